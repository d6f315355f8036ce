"""The Zipkin sink: spans to `POST /api/v2/spans`.

Zipkin answers 202 as soon as it has queued the spans, and stores them afterwards: 202 is not "stored", and what its
storage then refuses shows in Zipkin's own metrics only.
"""

import gzip
import json
import ssl
import time
from dataclasses import dataclass
from http import HTTPStatus

import orjson
import urllib3

from sinks.keep import KeepPolicy
from sinks.sink import Batch, Message, Outcome, Refused, Report
from sinks.zipkin_json import zipkin_span
from tracelink.errors import InvalidRecord, Reason, Unavailable, UserError
from tracelink.metrics import SinkMetrics
from tracelink.records import Span
from tracelink.settings import ZipkinSettings, without_credentials

# Level 1 is five times faster than the default and leaves spans but a fifth larger.
_GZIP_LEVEL = 1
_SPANS_REFUSED = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
)
_TRY_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(frozen=True, slots=True)
class _Item:
    part: int
    message: Message
    span: Span
    body: bytes


class ZipkinSink:
    """Writes the spans of each part; Zipkin has no log lines.

    Writing a batch again is safe where Zipkin's storage is Elasticsearch: the id of a span's document is its trace id
    and the hash of its content, so that the same span overwrites itself. The exception is a span without a timestamp,
    which lies in the index of the day it arrived. Other storages may keep a repeated span twice.
    """

    def __init__(self, settings: ZipkinSettings, metrics: SinkMetrics) -> None:
        self._url = settings.zipkin_url.rstrip("/")
        self._where = without_credentials(self._url)
        self._batch_bytes = settings.batch_bytes
        self._keep = KeepPolicy(settings.keep_share, settings.keep_slower_than)
        self._request_seconds = metrics.request_seconds
        self._headers = _headers(settings)
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=1,
            # The runner repeats; and no redirect is followed, for a POST would lose its body.
            retries=False,
            timeout=settings.request_timeout,
            ssl_context=_tls(settings),
        )

    def write(self, batch: Batch) -> Report:
        """Post the batch's spans; see Sink. A 400 or 413 is narrowed down to the single span that earns it."""
        report = Report([Outcome.WRITTEN] * len(batch.parts))
        chunk: list[_Item] = []
        size = 0
        for index, part in enumerate(batch.parts):
            spans = part.trace["spans"]
            if not spans or not self._keep.keeps(part.trace):
                report.parts[index] = Outcome.NOT_KEPT
                report.count("span", Outcome.NOT_KEPT, len(spans))
                continue
            for span in spans:
                item = _Item(index, part.message, span, _encode(span))
                if chunk and size + len(item.body) > self._batch_bytes:
                    self._send(chunk, report)
                    chunk, size = [], 0
                chunk.append(item)
                size += len(item.body) + 1
        if chunk:
            self._send(chunk, report)
        return report

    def check(self) -> None:
        """Ask for Zipkin's health, which includes its storage's; see Sink."""
        status, text = self._ask("GET", "/health")
        if status != HTTPStatus.OK:
            raise Unavailable(f"Zipkin at {self._where} says {status}: {text}")

    def close(self) -> None:
        """Close the connection."""
        self._pool.clear()

    def _send(self, items: list[_Item], report: Report) -> None:
        pending = [items]
        while pending:
            some = pending.pop()
            refusal = self._post(some)
            if refusal is None:
                report.count("span", Outcome.WRITTEN, len(some))
            elif len(some) == 1:
                report.refuse_span(some[0].message, some[0].span, refusal)
            else:
                half = len(some) // 2
                pending += [some[half:], some[:half]]

    def _post(self, items: list[_Item]) -> InvalidRecord | None:
        """Return None where Zipkin took the spans, or why it will never take them as they are."""
        body = gzip.compress(b"[" + b",".join([item.body for item in items]) + b"]", _GZIP_LEVEL)
        status, text = self._ask("POST", "/api/v2/spans", body)
        return InvalidRecord(Reason.REFUSED, f"{status}: {text}") if status in _SPANS_REFUSED else None

    def _ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, str]:
        """Send one request; returns the status (2xx or one that refuses the content) and the answer's first words."""
        headers = self._headers
        if body is not None:
            headers = headers | {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        started = time.perf_counter()
        try:
            response = self._pool.request(method, self._url + path, body=body, headers=headers)
        except urllib3.exceptions.SSLError as error:
            raise Refused(f"No TLS with Zipkin at {self._where} (TRACELINK_ZIPKIN_CA): {error}.") from None
        except urllib3.exceptions.LocationParseError as error:
            raise Refused(f"TRACELINK_ZIPKIN_URL is no address: {error}.") from None
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(f"Zipkin at {self._where} does not answer: {error}") from error
        self._request_seconds.observe(time.perf_counter() - started)
        text = response.data[:300].decode(errors="replace")
        status = response.status
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TRY_AGAIN:
            raise Unavailable(f"Zipkin at {self._where} says {status}: {text}")
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise Refused(f"Zipkin at {self._where} says {status}: check TRACELINK_ZIPKIN_HEADERS.")
        # What answers 200 to spans is something else than Zipkin, and has not taken them.
        if status not in _SPANS_REFUSED and status != (HTTPStatus.OK if body is None else HTTPStatus.ACCEPTED):
            raise Refused(f"{self._where}{path} says {status}, which Zipkin never does: check TRACELINK_ZIPKIN_URL.")
        return status, text


def _encode(span: Span) -> bytes:
    """Return a span's JSON in ASCII: Zipkin garbles a character of several bytes where two of its buffers meet."""
    shown = zipkin_span(span)
    body = orjson.dumps(shown)
    return body if body.isascii() else json.dumps(shown, separators=(",", ":")).encode()


def _headers(settings: ZipkinSettings) -> dict[str, str]:
    """Read `NAME: VALUE`, one a line or separated by semicolons."""
    given = settings.zipkin_headers.get_secret_value() if settings.zipkin_headers else ""
    found: dict[str, str] = {}
    for number, line in enumerate(given.splitlines() if "\n" in given else given.split(";"), 1):
        name, colon, value = line.partition(":")
        if line.strip() and not (colon and name.strip()):
            raise UserError(f"TRACELINK_ZIPKIN_HEADERS: header {number} is not NAME: VALUE.")
        if name.strip():
            found[name.strip()] = value.strip()
    return found


def _tls(settings: ZipkinSettings) -> ssl.SSLContext | None:
    if settings.zipkin_ca is None:
        return None
    try:
        return ssl.create_default_context(cafile=settings.zipkin_ca)
    except (OSError, ssl.SSLError) as error:
        raise UserError(f"TRACELINK_ZIPKIN_CA: cannot read certificates from {settings.zipkin_ca} ({error}).") from None
