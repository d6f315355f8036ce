"""HTTP client of Zipkin: posts spans, checks health, fetches traces, and classifies responses and errors.

Zipkin responds 202 as soon as it has queued the spans, and stores them later. So 202 does not mean "stored": spans that
the storage then refuses appear only in Zipkin's own metrics. `Pace` keeps that queue short.
"""

import gzip
import time
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any

import orjson
import urllib3

from pipeline.analysis.redacted_records import redacted_span
from pipeline.runtime.http_client import headers_of, trusting
from pipeline.settings import without_credentials
from sinks.base.contract import Refused
from sinks.zipkin.pace import Pace
from sinks.zipkin.settings import ZipkinSettings
from sinks.zipkin.span_json import encode
from tracelink.errors import InvalidRecord, Reason, Unavailable
from tracelink.model.records import Span

# Level 1 is five times faster than the default, and its output is only a fifth larger.
_GZIP_LEVEL = 1
_CONTENT_REFUSED = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
)
_TRY_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


class Unreadable(Exception):
    """Zipkin has stored something in these traces that it cannot show: its answer is an error, or no valid JSON."""


class ZipkinClient:
    """Sends requests to one Zipkin, one at a time over one connection; each blocks at most for the request timeout.

    All calls raise Unavailable if Zipkin does not answer or is overloaded, and Refused if a retry will not help.
    """

    def __init__(self, settings: ZipkinSettings, observe: Callable[[float], None] = lambda _: None) -> None:
        """Connect with the first call. `observe` gets the seconds of each request. Raises UserError."""
        self._url = settings.zipkin_url.rstrip("/")
        self._where = without_credentials(self._url)
        self._batch_bytes = settings.batch_bytes
        self._redactor = settings.redactor()
        self._observe = observe
        self._headers = headers_of(settings.zipkin_headers, "TRACELINK_ZIPKIN_HEADERS")
        # Two requests of the largest size: Zipkin stores one while it receives the other.
        self._pace = Pace(self._metrics_page, 2 * settings.batch_bytes, settings.request_timeout)
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=1,
            # Callers retry. Redirects are not followed, because a POST would lose its body.
            retries=False,
            timeout=settings.request_timeout,
            ssl_context=trusting(settings.zipkin_ca, "TRACELINK_ZIPKIN_CA") if settings.zipkin_ca else None,
        )

    def check(self) -> None:
        """Check Zipkin's health, which includes its storage."""
        refusal = self._judge("/health", self._ask("GET", "/health"), HTTPStatus.OK)
        if refusal is not None:
            raise Unavailable(f"Zipkin at {self._where} responded {refusal.detail}")

    def send(self, spans: Sequence[Span]) -> list[tuple[int, InvalidRecord]]:
        """Redact and post spans, at least one; returns the index of each span that Zipkin refuses, and the reason.

        All others are sent. A request that is too large or is refused is split in halves.
        """
        refused: list[tuple[int, InvalidRecord]] = []
        pending = [(0, len(spans))]
        while pending:
            begin, end = pending.pop()
            alone = end - begin == 1
            body = encode(redacted_span(span, self._redactor) for span in spans[begin:end])
            too_large = len(body) > self._batch_bytes and not alone
            refusal = None if too_large else self._post(body)
            if refusal is not None and alone:
                refused.append((begin, refusal))
            elif refusal is not None or too_large:
                half = begin + (end - begin) // 2
                pending += [(half, end), (begin, half)]
        return refused

    def traces(self, trace_ids: Iterable[str]) -> list[list[dict[str, Any]]]:
        """Fetch the spans of at least two traces; traces that Zipkin does not have are left out.

        Raises Unreadable if one of them breaks Zipkin's answer.
        """
        response = self._ask("GET", f"/api/v2/traceMany?traceIds={','.join(trace_ids)}")
        if response.status == HTTPStatus.BAD_REQUEST:
            raise Unreadable(_said(response))
        if response.status != HTTPStatus.OK:
            raise Unavailable(f"Zipkin at {self._where} returned no traces; it responded {_said(response)}")
        try:
            found = orjson.loads(response.data)
        except orjson.JSONDecodeError as error:
            if b'"traceId"' in response.data:
                raise Unreadable(str(error)) from None
            found = None
        if not isinstance(found, list):
            raise Refused(f"The server at {self._where} is not Zipkin: check TRACELINK_ZIPKIN_URL.")
        return found

    def close(self) -> None:
        """Close the connection; may be called again."""
        self._pool.clear()

    def _post(self, body: bytes) -> InvalidRecord | None:
        """Return None if Zipkin accepted the spans, or the reason why it refuses their content."""
        path = "/api/v2/spans"
        self._pace.wait(len(body))
        started = time.monotonic()
        response = self._ask("POST", path, gzip.compress(body, _GZIP_LEVEL, mtime=0))
        # A server that responds 200 to spans is not Zipkin, and has not stored them.
        refusal = self._judge(path, response, HTTPStatus.ACCEPTED)
        self._pace.note(len(body), time.monotonic() - started)
        return refusal

    def _metrics_page(self) -> str:
        response = self._ask("GET", "/prometheus")
        return response.data.decode(errors="replace") if response.status == HTTPStatus.OK else ""

    def _ask(self, method: str, path: str, body: bytes | None = None) -> urllib3.BaseHTTPResponse:
        headers = self._headers
        if body is not None:
            headers = headers | {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        started = time.perf_counter()
        try:
            response = self._pool.request(method, self._url + path, body=body, headers=headers)
        except urllib3.exceptions.SSLError as error:
            raise Refused(
                f"TLS with Zipkin at {self._where} failed: {error}. Check TRACELINK_ZIPKIN_CA and TRACELINK_ZIPKIN_URL."
            ) from None
        except urllib3.exceptions.LocationParseError as error:
            raise Refused(f"TRACELINK_ZIPKIN_URL is not a valid URL: {without_credentials(str(error))}.") from None
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(f"Zipkin at {self._where} does not answer: {without_credentials(str(error))}") from error
        self._observe(time.perf_counter() - started)
        return response

    def _judge(self, path: str, response: urllib3.BaseHTTPResponse, wanted: HTTPStatus) -> InvalidRecord | None:
        """Return None for the wanted status, or the reason if the content is refused; raises Unavailable, Refused."""
        status = response.status
        if status == wanted:
            return None
        if status in _CONTENT_REFUSED:
            return InvalidRecord(Reason.REFUSED, _said(response))
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TRY_AGAIN:
            raise Unavailable(f"Zipkin at {self._where} responded {_said(response)}")
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise Refused(f"Zipkin at {self._where} responded {status}: check TRACELINK_ZIPKIN_HEADERS.")
        raise Refused(f"{self._where}{path} responded {status}, which Zipkin never does: check TRACELINK_ZIPKIN_URL.")


def _said(response: urllib3.BaseHTTPResponse) -> str:
    """Return the status and the first 300 bytes of a response."""
    return f"{response.status}: {response.data[:300].decode(errors='replace')}"
