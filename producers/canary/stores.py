"""Looks for a canary in Elasticsearch and in Zipkin, as people find it there."""

from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

import urllib3

from pipeline.runtime.http_client import elasticsearch_authorization, headers_of, trusting
from pipeline.settings import ElasticsearchAccess, ZipkinAccess, without_credentials
from producers.canary.trace import Canary

_TIMEOUT_SECONDS = 5.0
_MOST_HITS = 1000


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
        self._urls = [url.strip().rstrip("/") for url in settings.elasticsearch_url.split(",") if url.strip()]
        self._headers = elasticsearch_authorization(settings)
        self._indices = f"{settings.index_prefix}logs-*,{settings.index_prefix}traces-*"
        self._pool = _pool(settings.elasticsearch_ca, "TRACELINK_ELASTICSEARCH_CA")

    def look(self, canary: Canary) -> str | None:
        """Ask the nodes in turn until one answers; see Store."""
        why = ""
        for url in self._urls:
            try:
                return self._look(url, canary)
            except urllib3.exceptions.HTTPError as error:
                why = without_credentials(f"{url} does not answer: {error}")
        return why

    def _look(self, url: str, canary: Canary) -> str | None:
        asked = {
            "query": {"term": {"trace.id": canary.shown}},
            "size": _MOST_HITS,
            "_source": ["trace.part", "trace.span_count", "trace.log_count"],
        }
        path = f"{url}/{self._indices}/_search?ignore_unavailable=true"
        auth = urllib3.util.parse_url(url).auth
        headers = urllib3.make_headers(basic_auth=unquote(auth)) if auth else self._headers
        answer = self._pool.request("POST", path, json=asked, headers=headers)
        if answer.status != HTTPStatus.OK:
            return f"{without_credentials(url)} says {answer.status}"
        return missing_documents(canary, [hit["_source"] for hit in answer.json()["hits"]["hits"]])


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
        self._url = settings.zipkin_url.rstrip("/")
        self._headers = headers_of(settings.zipkin_headers, "TRACELINK_ZIPKIN_HEADERS")
        self._pool = _pool(settings.zipkin_ca, "TRACELINK_ZIPKIN_CA")

    def look(self, canary: Canary) -> str | None:
        """Ask for its trace; see Store."""
        try:
            answer = self._pool.request("GET", f"{self._url}/api/v2/trace/{canary.shown}", headers=self._headers)
        except urllib3.exceptions.HTTPError as error:
            return without_credentials(f"{self._url} does not answer: {error}")
        if answer.status not in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}:
            return without_credentials(f"{self._url} says {answer.status}")
        found = answer.json() if answer.status == HTTPStatus.OK else []
        return missing_spans(canary, found)


def missing_spans(canary: Canary, found: list[dict[str, Any]]) -> str | None:
    """Compare the spans that Zipkin has with those that were sent."""
    ours = {span["id"] for span in canary.spans}
    return lacks({"spans": len(ours)}, {"spans": len(ours & {span["id"] for span in found})})


def lacks(wanted: dict[str, int], there: dict[str, int]) -> str | None:
    """Say how much of what is wanted is there, or None where nothing lacks."""
    short = [f"{there[name]} of {count} {name}" for name, count in wanted.items() if there[name] < count]
    return " and ".join(short) or None


def _pool(ca: Path | None, setting: str) -> urllib3.PoolManager:
    context = trusting(ca, setting) if ca else None
    timeout = urllib3.Timeout(total=_TIMEOUT_SECONDS)
    return urllib3.PoolManager(num_pools=4, maxsize=1, retries=False, timeout=timeout, ssl_context=context)
