"""The official client as the sink uses it, and its failures in our words."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import elastic_transport
from elasticsearch import ApiError, Elasticsearch, SerializationError, UnsupportedProductError

from pipeline.runtime.http_client import trusting
from pipeline.settings import without_credentials
from sinks.base.contract import Refused
from sinks.elasticsearch.settings import ElasticsearchSettings
from tracelink.errors import Unavailable, UserError

# An operator's block passes when it is lifted, a full disk's by itself, and a cluster at its limit of shards takes
# no new index until it is raised: nothing of this is the documents' fault, and a repeat is safe.
PASSING_ERRORS = frozenset({"cluster_block_exception", "validation_exception"})
# Requests at a time: one that the cluster works on, one that waits for it, and one on its way.
IN_FLIGHT = 3
TRY_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


def connect(settings: ElasticsearchSettings) -> Elasticsearch:
    """Return a client; nothing is sent yet. Raises UserError for settings that cannot be."""
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


@contextmanager
def failures(url: str) -> Iterator[None]:
    """Turn the client's exceptions into Unavailable and Refused; others are faults of our own and pass."""
    where = f"Elasticsearch at {url}"
    try:
        yield
    except elastic_transport.TlsError as error:
        raise Refused(f"No TLS with {where} (TRACELINK_ELASTICSEARCH_CA): {error}.") from None
    except (elastic_transport.ConnectionError, elastic_transport.ConnectionTimeout) as error:
        raise Unavailable(f"{where} does not answer: {error}") from error
    except (UnsupportedProductError, SerializationError):
        raise Refused(f"What answers at {url} is no Elasticsearch: check TRACELINK_ELASTICSEARCH_URL.") from None
    except ApiError as error:
        refuse_or_wait(error.status_code, error_type(error.body), f"{where} says {error}")
        raise


def refuse_or_wait(status: int, kind: str, text: str) -> None:
    """Raise Unavailable or Refused for a status that means one of them, of a whole request or of one document."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in TRY_AGAIN or kind in PASSING_ERRORS:
        raise Unavailable(text)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise Refused(f"{text}: check TRACELINK_ELASTICSEARCH_API_KEY or …_USERNAME and …_PASSWORD.")
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED} or status < HTTPStatus.BAD_REQUEST:
        raise Refused(f"{text}: check TRACELINK_ELASTICSEARCH_URL, and that indices may be created automatically.")


def error_type(body: object) -> str:
    """Return the type of an answer's error, or an empty text."""
    error = body.get("error") if isinstance(body, dict) else None
    return str(error.get("type", "")) if isinstance(error, dict) else ""
