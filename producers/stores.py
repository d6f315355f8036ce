"""Queries Zipkin and Elasticsearch for traces, through the same APIs that users search with."""

from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import urllib3

from pipeline.runtime.http_client import headers_of, trusting
from pipeline.settings import ElasticsearchAccess, ZipkinAccess, without_credentials
from tracelink.errors import Unavailable

_MOST_HITS = 10_000


class _NotFound(Unavailable):
    """The server responded 404."""


class _Queries:
    """HTTP queries; each waits at most `timeout` seconds for its response."""

    def __init__(self, ca: Path | None, setting: str, timeout: float) -> None:
        context = trusting(ca, setting) if ca else None
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(total=timeout), ssl_context=context)

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def _ask(self, url: str, path: str, headers: dict[str, str], body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Send a GET, or a POST if there is a JSON body; returns the response's JSON, or raises Unavailable."""
        try:
            answer = self._pool.request("GET" if body is None else "POST", url + path, headers=headers, json=body)
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(without_credentials(f"{url} does not answer: {error}")) from None
        if answer.status != HTTPStatus.OK:
            kind = _NotFound if answer.status == HTTPStatus.NOT_FOUND else Unavailable
            raise kind(f"{without_credentials(url)} responded {answer.status}")
        return answer.json()


class ElasticsearchQueries(_Queries):
    """Searches Elasticsearch for documents of traces."""

    def __init__(self, settings: ElasticsearchAccess, timeout: float) -> None:
        super().__init__(settings.elasticsearch_ca, "TRACELINK_ELASTICSEARCH_CA", timeout)
        self._urls = [url.strip().rstrip("/") for url in settings.elasticsearch_url.split(",") if url.strip()]
        self._prefix = settings.index_prefix
        self._headers = _authorization(settings)

    def search(self, trace_ids: Iterable[str], *kinds: str) -> list[dict[str, Any]]:
        """Return the documents of traces. `kinds` are `logs` and `traces`; the latter come without their spans.

        Tries the nodes in turn; raises Unavailable if all fail.
        """
        path = f"/{','.join(f'{self._prefix}{kind}-*' for kind in kinds)}/_search?ignore_unavailable=true"
        query = {"terms": {"trace.id": list(trace_ids)}}
        asked = {"query": query, "size": _MOST_HITS, "_source": {"excludes": ["spans"]}}
        failure = Unavailable("TRACELINK_ELASTICSEARCH_URL has no URL")
        for url in self._urls:
            auth = urllib3.util.parse_url(url).auth
            headers = urllib3.make_headers(basic_auth=unquote(auth)) if auth else self._headers
            try:
                return [hit["_source"] for hit in self._ask(url, path, headers, asked)["hits"]["hits"]]
            except Unavailable as error:
                failure = error
        raise failure


class ZipkinQueries(_Queries):
    """Queries Zipkin for traces."""

    def __init__(self, settings: ZipkinAccess, timeout: float) -> None:
        super().__init__(settings.zipkin_ca, "TRACELINK_ZIPKIN_CA", timeout)
        self._url = settings.zipkin_url.rstrip("/")
        self._headers = headers_of(settings.zipkin_headers, "TRACELINK_ZIPKIN_HEADERS")

    def spans(self, trace_id: str) -> list[dict[str, Any]]:
        """Return the spans of a trace, none if Zipkin does not have it; raises Unavailable."""
        try:
            found: list[dict[str, Any]] = self._ask(self._url, f"/api/v2/trace/{trace_id}", self._headers)
        except _NotFound:
            return []
        return found


def _authorization(settings: ElasticsearchAccess) -> dict[str, str]:
    """Return the authorization header for Elasticsearch, or no header without credentials."""
    if settings.elasticsearch_api_key:
        return {"Authorization": f"ApiKey {settings.elasticsearch_api_key.get_secret_value()}"}
    if settings.elasticsearch_username and settings.elasticsearch_password:
        password = settings.elasticsearch_password.get_secret_value()
        return urllib3.make_headers(basic_auth=f"{settings.elasticsearch_username}:{password}")
    return {}
