"""Looks for a canary in Elasticsearch and in Zipkin, as people find it there."""

from typing import Any, Protocol

from pipeline.settings import ElasticsearchAccess, ZipkinAccess
from producers.canary.trace import Canary
from producers.stores import ElasticsearchQueries, ZipkinQueries
from tracelink.errors import Unavailable

_TIMEOUT_SECONDS = 5.0


class Store(Protocol):
    """A place where traces end up."""

    stage: str

    def look(self, canary: Canary) -> str | None:
        """Return what of a canary is missing, in words, or None where all of it is there; blocks for some seconds."""
        ...


class ElasticsearchStore:
    """Its log lines, each a document, and its part with all of them counted."""

    stage = "elasticsearch"

    def __init__(self, settings: ElasticsearchAccess) -> None:
        self._queries = ElasticsearchQueries(settings, _TIMEOUT_SECONDS)

    def look(self, canary: Canary) -> str | None:
        """Search for its documents; see Store."""
        try:
            return missing_documents(canary, self._queries.search([canary.shown], "logs", "traces"))
        except Unavailable as error:
            return str(error)


def missing_documents(canary: Canary, documents: list[dict[str, Any]]) -> str | None:
    """Compare the documents of a trace with what was sent."""
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
    """Its spans, on the page of its trace."""

    stage = "zipkin"

    def __init__(self, settings: ZipkinAccess) -> None:
        self._queries = ZipkinQueries(settings, _TIMEOUT_SECONDS)

    def look(self, canary: Canary) -> str | None:
        """Ask for its trace; see Store."""
        try:
            return missing_spans(canary, self._queries.spans(canary.shown))
        except Unavailable as error:
            return str(error)


def missing_spans(canary: Canary, found: list[dict[str, Any]]) -> str | None:
    """Compare the spans that Zipkin has with those that were sent."""
    ours = {span["id"] for span in canary.spans}
    return lacks({"spans": len(ours)}, {"spans": len(ours & {span["id"] for span in found})})


def lacks(wanted: dict[str, int], there: dict[str, int]) -> str | None:
    """Say how much of what is wanted is there, or None where nothing lacks."""
    short = [f"{there[name]} of {count} {name}" for name, count in wanted.items() if there[name] < count]
    return " and ".join(short) or None
