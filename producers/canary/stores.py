"""Looks for a probe in Elasticsearch and Zipkin, through the same APIs that users search with."""

from typing import Any, Protocol

from pipeline.settings import ElasticsearchAccess, ZipkinAccess
from producers.canary.trace import Canary
from producers.stores import ElasticsearchQueries, ZipkinQueries
from tracelink.errors import Unavailable

_TIMEOUT_SECONDS = 5.0


class Store(Protocol):
    """A target of the pipeline that stores traces."""

    stage: str

    def look(self, canary: Canary) -> str | None:
        """Return a text with what is missing of a probe, or None if nothing is; blocks for at most some seconds."""
        ...


class ElasticsearchStore:
    """Looks for a document of each log line, and for documents of parts that count all records."""

    stage = "elasticsearch"

    def __init__(self, settings: ElasticsearchAccess) -> None:
        self._queries = ElasticsearchQueries(settings, _TIMEOUT_SECONDS)

    def look(self, canary: Canary) -> str | None:
        """Search for the probe's documents; see Store."""
        try:
            return missing_documents(canary, self._queries.search([canary.shown], "logs", "traces"))
        except Unavailable as error:
            return str(error)


def missing_documents(canary: Canary, documents: list[dict[str, Any]]) -> str | None:
    """Compare the documents of a trace with the records that were sent."""
    parts = [one["trace"] for one in documents if "part" in one.get("trace", {})]
    wanted = {
        "log lines": len(canary.logs),
        "spans in parts": len(canary.spans),
        "log lines in parts": len(canary.logs),
    }
    there = {
        "log lines": len(documents) - len(parts),
        "spans in parts": sum(part["span_count"] for part in parts),
        "log lines in parts": sum(part["log_count"] for part in parts),
    }
    return lacks(wanted, there)


class ZipkinStore:
    """Looks for the spans of the trace."""

    stage = "zipkin"

    def __init__(self, settings: ZipkinAccess) -> None:
        self._queries = ZipkinQueries(settings, _TIMEOUT_SECONDS)

    def look(self, canary: Canary) -> str | None:
        """Fetch the probe's trace; see Store."""
        try:
            return missing_spans(canary, self._queries.spans(canary.shown))
        except Unavailable as error:
            return str(error)


def missing_spans(canary: Canary, found: list[dict[str, Any]]) -> str | None:
    """Compare the spans in Zipkin with those that were sent."""
    ours = {span["id"] for span in canary.spans}
    return lacks({"spans": len(ours)}, {"spans": len(ours & {span["id"] for span in found})})


def lacks(wanted: dict[str, int], there: dict[str, int]) -> str | None:
    """Return a text with the incomplete counts, or None if none is incomplete."""
    short = [f"{there[name]} of {count} {name}" for name, count in wanted.items() if there[name] < count]
    return " and ".join(short) or None
