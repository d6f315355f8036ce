"""The official client as sinks and commands use it, and its failures in our words."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, cast

import elastic_transport
from elasticsearch import ApiError, Elasticsearch, SerializationError, UnsupportedProductError
from elasticsearch.helpers import ScanError, scan

from pipeline.runtime.http_client import trusting
from pipeline.settings import without_credentials
from sinks.base.contract import Refused
from sinks.elasticsearch.settings import ElasticsearchSettings
from tracelink.errors import Unavailable, UserError

# Requests at a time: one that the cluster works on, one that waits for it, and one on its way.
IN_FLIGHT = 3
# An operator's block passes when it is lifted, a full disk's by itself, and a cluster at its limit of shards takes
# no new index until it is raised: nothing of this is the documents' fault, and a repeat is safe.
_PASSING_ERRORS = frozenset({"cluster_block_exception", "validation_exception"})
_TRY_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
# Of an answer only what tells the outcomes apart; whether a document is there, and why that is not known.
_BULK_ANSWER = "items.*.status,items.*.error"
_GET_ANSWER = "docs.found,docs.error.type"


class Overloaded(Unavailable):
    """The cluster has no room for a request now: it may have some for a smaller one, or for one alone."""


class ElasticsearchClient:
    """Asks a cluster; each call blocks for as long as that takes, at most the request timeout a request.

    All raise Unavailable where it does not answer or is overloaded, and Refused where no repeat will help. Calls may
    come from several threads, so many at a time as may be in flight. Nothing is repeated.
    """

    def __init__(self, settings: ElasticsearchSettings) -> None:
        """Connect with the first call; raises UserError for settings that cannot be."""
        self.url = without_credentials(settings.elasticsearch_url)
        """Where it is, as it may be shown."""
        self._client = _connect(settings)

    def check(self) -> None:
        """Ask whether it is there."""
        with self._failures():
            self._client.info()

    def put_template(self, name: str, body: Mapping[str, Any]) -> None:
        """Create or replace an index template."""
        with self._failures():
            self._client.indices.put_index_template(name=name, body=dict(body))

    def bulk(self, body: bytes, number: int) -> list[dict[str, Any]] | None:
        """Send the body of a bulk request; returns what became of each of its documents, that `number` of them.

        Returns None where it is larger than one request may be. Raises Overloaded where all of it is refused for now,
        and ApiError for what is our own fault.
        """
        try:
            with self._failures():
                # Encoded bytes pass through the client as they are; its annotation knows only of mappings.
                answer = self._client.bulk(operations=cast("Any", body), filter_path=_BULK_ANSWER)
        except ApiError as error:
            if error.status_code != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                raise
            return None
        return self._all(answer.body.get("items"), number)

    def get(self, addresses: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
        """Ask for documents by index and id; returns for each whether it is `found`, or the `error` that hides that."""
        docs = [{"_index": index, "_id": identity} for index, identity in addresses]
        try:
            with self._failures():
                answer = self._client.mget(docs=docs, source=False, filter_path=_GET_ANSWER)
        except ApiError as error:
            raise Refused(f"Elasticsearch at {self.url} does not tell which documents it has: {error}.") from None
        return self._all(answer.body.get("docs"), len(docs))

    def search(self, index: str, query: Mapping[str, Any], at_once: int) -> Iterator[dict[str, Any]]:
        """Yield all hits of a search in their order, fetched so many at once."""
        try:
            with self._failures():
                yield from scan(
                    self._client,
                    dict(query),
                    index=index,
                    size=at_once,
                    scroll="1m",
                    preserve_order=True,
                    ignore_unavailable=True,
                )
        except (ApiError, ScanError) as error:
            raise Refused(f"Elasticsearch at {self.url} does not search: {error}.") from None

    def close(self) -> None:
        """Close the connections; may be called again."""
        self._client.close()

    def refuse_or_wait(self, status: int, kind: str, said: object) -> None:
        """Raise Unavailable or Refused for a status that means one of them, of a whole request or of one document."""
        text = f"Elasticsearch at {self.url} says {said}"
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            raise Overloaded(text)
        if passes(status, kind):
            raise Unavailable(text)
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise Refused(f"{text}: check TRACELINK_ELASTICSEARCH_API_KEY or …_USERNAME and …_PASSWORD.")
        if status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED} or status < HTTPStatus.BAD_REQUEST:
            raise Refused(f"{text}: check TRACELINK_ELASTICSEARCH_URL, and that indices may be created automatically.")

    def _all(self, items: list[dict[str, Any]] | None, number: int) -> list[dict[str, Any]]:
        """Return the items of an answer; raises Refused where they are not so many."""
        if len(items or ()) != number:
            raise Refused(f"{self.url} does not answer as Elasticsearch does: check TRACELINK_ELASTICSEARCH_URL.")
        return items or []

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn the official client's exceptions into Unavailable and Refused; others are our own fault and pass."""
        where = f"Elasticsearch at {self.url}"
        try:
            yield
        except elastic_transport.TlsError as error:
            raise Refused(f"No TLS with {where} (TRACELINK_ELASTICSEARCH_CA): {error}.") from None
        except (elastic_transport.ConnectionError, elastic_transport.ConnectionTimeout) as error:
            raise Unavailable(f"{where} does not answer: {error}") from error
        except (UnsupportedProductError, SerializationError):
            raise Refused(
                f"What answers at {self.url} is no Elasticsearch: check TRACELINK_ELASTICSEARCH_URL."
            ) from None
        except ApiError as error:
            self.refuse_or_wait(error.status_code, _error_type(error.body), error)
            raise


def passes(status: int, kind: str) -> bool:
    """Tell whether a repeat may succeed after this status and type of error, of a request or of one document."""
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TRY_AGAIN or kind in _PASSING_ERRORS


def _connect(settings: ElasticsearchSettings) -> Elasticsearch:
    options: dict[str, Any] = {}
    if settings.elasticsearch_api_key and settings.elasticsearch_username:
        raise UserError("TRACELINK_ELASTICSEARCH_API_KEY and TRACELINK_ELASTICSEARCH_USERNAME: give one of them.")
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
        # The sink repeats by itself, so the client does not.
        return Elasticsearch(
            urls, request_timeout=settings.request_timeout, max_retries=0, connections_per_node=IN_FLIGHT, **options
        )
    except ValueError as error:
        raise UserError(f"TRACELINK_ELASTICSEARCH_URL: {without_credentials(str(error))}.") from None


def _error_type(body: object) -> str:
    """Return the type of an answer's error, or an empty text."""
    error = body.get("error") if isinstance(body, dict) else None
    return str(error.get("type", "")) if isinstance(error, dict) else ""
