"""The Zipkin sink: spans to `POST /api/v2/spans`.

Zipkin answers 202 as soon as it has queued the spans, and stores them afterwards: 202 is not "stored", and what its
storage then refuses shows in Zipkin's own metrics only.
"""

import gzip
import json
import re
import time
from http import HTTPStatus

import orjson
import urllib3

from pipeline.analysis.redaction import Redactor
from pipeline.formats.zipkin_json import zipkin_span
from pipeline.runtime.http_client import headers_of, trusting
from pipeline.settings import without_credentials
from sinks.base.contract import Batch, Message, Outcome, Refused, Report
from sinks.base.metrics import SinkMetrics
from sinks.base.redacting import redacted_span
from sinks.base.sampling import KeepPolicy
from sinks.zipkin.settings import ZipkinSettings
from tracelink.errors import InvalidRecord, Reason, Unavailable
from tracelink.model.records import Span

# Level 1 is five times faster than the default and leaves spans but a fifth larger.
_GZIP_LEVEL = 1
# Of the bytes that a span has as Avro, it has up to about four times as many as JSON: the fewer, the more.
_GROWTH = 4
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_SPANS_REFUSED = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
)
_TRY_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


_Item = tuple[Message, Span]
"""A span, and the message that it came in."""


class ZipkinSink:
    """Writes the spans of each part; Zipkin has no log lines.

    Writing a batch again is safe where Zipkin's storage is Elasticsearch: the id of a span's document is its trace id
    and the hash of its content, so that the same span overwrites itself. The exception is a span without a timestamp,
    which lies in the index of the day it arrived. Other storages may keep a repeated span twice.
    """

    takes_logs = False

    def __init__(self, settings: ZipkinSettings, metrics: SinkMetrics) -> None:
        self._url = settings.zipkin_url.rstrip("/")
        self._where = without_credentials(self._url)
        self._batch_bytes = settings.batch_bytes
        self._keep = KeepPolicy(settings.keep_share, settings.keep_slower_than)
        self._redactor = settings.redactor()
        self._request_seconds = metrics.request_seconds
        self._headers = headers_of(settings.zipkin_headers, "TRACELINK_ZIPKIN_HEADERS")
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=1,
            # The runner repeats; and no redirect is followed, for a POST would lose its body.
            retries=False,
            timeout=settings.request_timeout,
            ssl_context=trusting(settings.zipkin_ca, "TRACELINK_ZIPKIN_CA") if settings.zipkin_ca else None,
        )

    def write(self, batch: Batch) -> Report:
        """Post the batch's spans; see Sink. A 400 or 413 is narrowed down to the single span that earns it."""
        report = Report([Outcome.WRITTEN] * len(batch.parts))
        items: list[_Item] = []
        size = 0
        for index, part in enumerate(batch.parts):
            spans = part.trace["spans"]
            if not spans or not self._keep.keeps(part.trace):
                report.parts[index] = Outcome.NOT_KEPT
                report.count("span", Outcome.NOT_KEPT, len(spans))
                continue
            message = part.message
            size += len(message.value) * _GROWTH
            if items and size > self._batch_bytes:
                self._send(items, report)
                items, size = [], len(message.value) * _GROWTH
            items += [(message, span) for span in spans]
        if items:
            self._send(items, report)
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
        """Post spans at once; where they are too large for one request, or some are refused, in halves."""
        pending = [items]
        while pending:
            some = pending.pop()
            body = _encode(some, self._redactor)
            too_large = len(body) > self._batch_bytes and len(some) > 1
            refusal = None if too_large else self._post(body)
            if refusal is not None and len(some) == 1:
                report.refuse_span(*some[0], refusal)
            elif refusal is not None or too_large:
                half = len(some) // 2
                pending += [some[half:], some[:half]]
            else:
                report.count("span", Outcome.WRITTEN, len(some))

    def _post(self, body: bytes) -> InvalidRecord | None:
        """Return None where Zipkin took the spans, or why it will never take them as they are."""
        status, text = self._ask("POST", "/api/v2/spans", gzip.compress(body, _GZIP_LEVEL, mtime=0))
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
            raise Refused(f"TRACELINK_ZIPKIN_URL is no address: {without_credentials(str(error))}.") from None
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(f"Zipkin at {self._where} does not answer: {without_credentials(str(error))}") from error
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


def _encode(items: list[_Item], redactor: Redactor) -> bytes:
    """Return spans without secrets as JSON in ASCII.

    Zipkin garbles a character of several bytes where two of its buffers meet.
    """
    body = orjson.dumps([zipkin_span(redacted_span(span, redactor)) for _, span in items])
    return body if body.isascii() else _NOT_ASCII.sub(_escape, body.decode()).encode()


def _escape(text: re.Match[str]) -> str:
    return json.dumps(text.group())[1:-1]
