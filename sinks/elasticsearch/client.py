"""A thin wrapper around the official client: the calls that sinks and commands use, with errors translated."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, cast

import elastic_transport
from elasticsearch import ApiError, Elasticsearch, SerializationError, UnsupportedProductError
from elasticsearch.helpers import ScanError, scan

from pipeline.runtime.http_client import trusting
from pipeline.settings import ElasticsearchAccess, without_credentials
from sinks.base.contract import Refused
from tracelink.errors import Unavailable, UserError

# Concurrent requests: one that the cluster works on, one that it has queued, and one in transit.
IN_FLIGHT = 3
# Operators lift their blocks, the block of a full disk ends by itself, and a cluster at its shard limit creates indices
# again when the limit is raised. None of these is the documents' fault, and a retry is safe.
_PASSING_ERRORS = frozenset({"cluster_block_exception", "validation_exception"})
_TRY_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
# Fields of responses: the outcome of each document; and whether a document exists, or the error that hides that.
_BULK_ANSWER = "items.*.status,items.*.error"
_GET_ANSWER = "docs.found,docs.error.type"


class Overloaded(Unavailable):
    """The cluster is overloaded; it may accept a smaller request, or one at a time."""


class Late(Unavailable):
    """The cluster has not answered within the request timeout; it may answer a smaller request in time."""


class ElasticsearchClient:
    """Sends requests to a cluster; each blocks at most for the request timeout, and is not retried.

    All calls raise Unavailable if the cluster does not answer or is overloaded, and Refused if a retry will not help.
    Up to `IN_FLIGHT` threads may call at a time.
    """

    def __init__(self, settings: ElasticsearchAccess, request_timeout: float) -> None:
        """Connect with the first call; the timeout is in seconds. Raises UserError for invalid settings."""
        self.url = without_credentials(settings.elasticsearch_url)
        """Its URL without credentials."""
        self._client = _connect(settings, request_timeout)
        self._request_timeout = request_timeout

    def check(self) -> None:
        """Check that the cluster answers."""
        with self._failures():
            self._client.info()

    def put_template(self, name: str, body: Mapping[str, Any]) -> None:
        """Create or replace an index template."""
        with self._failures():
            self._client.indices.put_index_template(name=name, body=dict(body))

    def bulk(self, body: bytes, number: int) -> list[dict[str, Any]] | None:
        """Send the body of a bulk request; returns the result items of its `number` documents.

        Returns None if the body is too large for one request. Raises Overloaded if the cluster refuses all of it for
        now, and ApiError for a request that is invalid by our own fault.
        """
        try:
            with self._failures():
                # The client sends bytes unchanged, although its annotation allows only mappings.
                answer = self._client.bulk(operations=cast("Any", body), filter_path=_BULK_ANSWER)
        except ApiError as error:
            if error.status_code != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                raise
            return None
        return self._all(answer.body.get("items"), number)

    def get(self, addresses: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
        """Look up documents by index and id; returns for each `found`, or the `error` of its lookup."""
        docs = [{"_index": index, "_id": identity} for index, identity in addresses]
        try:
            with self._failures():
                answer = self._client.mget(docs=docs, source=False, filter_path=_GET_ANSWER)
        except ApiError as error:
            raise Refused(f"Elasticsearch at {self.url} refused to look up documents: {error}.") from None
        return self._all(answer.body.get("docs"), len(docs))

    def search(
        self, index: str, query: Mapping[str, Any], at_once: int, *, until: float = math.inf
    ) -> Iterator[dict[str, Any]]:
        """Yield all hits of a search in its sort order, fetched in pages of `at_once`.

        Raises Late if hits still come after `until`, a time of `time.monotonic`.
        """
        try:
            with self._failures():
                for hit in scan(
                    self._client,
                    dict(query),
                    index=index,
                    size=at_once,
                    scroll="1m",
                    preserve_order=True,
                    ignore_unavailable=True,
                    # Without it the helper waits forever.
                    request_timeout=self._request_timeout,
                ):
                    if time.monotonic() > until:
                        raise Late(
                            f"Elasticsearch at {self.url} is slow: it has not sent all hits of a search in time."
                        )
                    yield hit
        except (ApiError, ScanError) as error:
            raise Refused(f"Elasticsearch at {self.url} refused a search: {error}.") from None

    def ask(self, index: str, query: Mapping[str, Any]) -> dict[str, Any]:
        """Return the whole answer of one search: hits, aggregations. Indices that do not exist have no hits."""
        try:
            with self._failures():
                return dict(self._client.search(index=index, body=dict(query), ignore_unavailable=True).body)
        except ApiError as error:
            raise Refused(f"Elasticsearch at {self.url} refused a search: {error}.") from None

    def without_field(self, index: str, field: str) -> list[str]:
        """Return the indices whose mapping has no such field, sorted."""
        try:
            with self._failures():
                answer = self._client.field_caps(
                    index=index, fields=field, include_unmapped=True, ignore_unavailable=True
                ).body
        except ApiError as error:
            raise Refused(f"Elasticsearch at {self.url} refused to describe a field: {error}.") from None
        unmapped = answer["fields"].get(field, {}).get("unmapped")
        if unmapped is None:
            return [] if field in answer["fields"] else sorted(answer["indices"])
        return sorted(unmapped.get("indices", answer["indices"]))

    def close(self) -> None:
        """Close the connections; may be called again."""
        self._client.close()

    def refuse_or_wait(self, status: int, kind: str, said: object) -> None:
        """Raise Unavailable or Refused if the status of a request, or of one document, means that."""
        text = f"Elasticsearch at {self.url} responded {said}"
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            raise Overloaded(text)
        if passes(status, kind):
            raise Unavailable(text)
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise Refused(f"{text}: check TRACELINK_ELASTICSEARCH_API_KEY or …_USERNAME and …_PASSWORD.")
        if status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED} or status < HTTPStatus.BAD_REQUEST:
            raise Refused(f"{text}: check TRACELINK_ELASTICSEARCH_URL, and that indices can be created automatically.")

    def _all(self, items: list[dict[str, Any]] | None, number: int) -> list[dict[str, Any]]:
        """Return the items of a response; raises Refused if their number is wrong."""
        if len(items or ()) != number:
            raise Refused(f"The server at {self.url} is not Elasticsearch: check TRACELINK_ELASTICSEARCH_URL.")
        return items or []

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Translate the official client's exceptions to Unavailable and Refused; others are bugs, and are raised."""
        where = f"Elasticsearch at {self.url}"
        try:
            yield
        except elastic_transport.TlsError as error:
            raise Refused(
                f"TLS with {where} failed: {error}. Check TRACELINK_ELASTICSEARCH_CA and TRACELINK_ELASTICSEARCH_URL."
            ) from None
        except elastic_transport.ConnectionTimeout as error:
            raise Late(f"{where} does not answer: {error}") from error
        except elastic_transport.ConnectionError as error:
            raise Unavailable(f"{where} does not answer: {error}") from error
        except (UnsupportedProductError, SerializationError):
            raise Refused(
                f"The server at {self.url} is not Elasticsearch: check TRACELINK_ELASTICSEARCH_URL."
            ) from None
        except ApiError as error:
            self.refuse_or_wait(error.status_code, _error_type(error.body), error)
            raise


def passes(status: int, kind: str) -> bool:
    """Return True if a retry may succeed after this status and error type, of a request or of one document."""
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TRY_AGAIN or kind in _PASSING_ERRORS


def _connect(settings: ElasticsearchAccess, request_timeout: float) -> Elasticsearch:
    options: dict[str, Any] = {}
    if settings.elasticsearch_api_key and settings.elasticsearch_username:
        raise UserError("TRACELINK_ELASTICSEARCH_API_KEY and TRACELINK_ELASTICSEARCH_USERNAME: set only one of them.")
    if settings.elasticsearch_api_key:
        options["api_key"] = settings.elasticsearch_api_key.get_secret_value()
    if settings.elasticsearch_password and not settings.elasticsearch_username:
        raise UserError("TRACELINK_ELASTICSEARCH_PASSWORD needs TRACELINK_ELASTICSEARCH_USERNAME.")
    if settings.elasticsearch_username:
        if settings.elasticsearch_password is None:
            raise UserError("TRACELINK_ELASTICSEARCH_USERNAME needs TRACELINK_ELASTICSEARCH_PASSWORD.")
        password = settings.elasticsearch_password.get_secret_value()
        options["basic_auth"] = (settings.elasticsearch_username, password)
    if settings.elasticsearch_ca:
        options["ssl_context"] = trusting(settings.elasticsearch_ca, "TRACELINK_ELASTICSEARCH_CA")
    urls = [url.strip() for url in settings.elasticsearch_url.split(",") if url.strip()]
    try:
        # The sink retries, so the client must not.
        return Elasticsearch(
            urls, request_timeout=request_timeout, max_retries=0, connections_per_node=IN_FLIGHT, **options
        )
    except ValueError as error:
        raise UserError(f"TRACELINK_ELASTICSEARCH_URL: {without_credentials(str(error))}.") from None


def _error_type(body: object) -> str:
    """Return the error type of a response, or an empty text."""
    error = body.get("error") if isinstance(body, dict) else None
    return str(error.get("type", "")) if isinstance(error, dict) else ""
