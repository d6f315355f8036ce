"""Traces to measure with: encoded only once, then multiplied under fresh ids by joining bytes."""

import random
from binascii import hexlify
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from pipeline.cli.input_file import InputFile
from producers.send.records import Parser, Ready
from tracelink.errors import UserError
from tracelink.kafka.messages import SPANS, RecordEncoder
from tracelink.kafka.topics import TopicNames
from tracelink.model.codec import LOG_RECORD, SPAN, TRACE_ID
from tracelink.model.records import Endpoint, ErrorRule, Flag, LogRecord, Span

# The place of a log record's own id in a message, if the id has 32 characters, as all of ours have.
_LOG_ID = slice(TRACE_ID.stop + 1, TRACE_ID.stop + 33)
_LARGEST_RECORD = 1 << 20
_START = 1_700_000_000_000_000
_ERRORED_EVERY = 50
_MOST_TEMPLATE_RECORDS = 20_000


class Piece(NamedTuple):
    """An encoded message without its ids: they come after `head`, and between `middle` and `tail` for a log line."""

    is_span: bool
    head: bytes
    middle: bytes
    tail: bytes


Template = Sequence[Piece]
"""The messages of one trace in their order."""


class Record(NamedTuple):
    """One message to produce."""

    is_span: bool
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Shape:
    """Synthetic traces, each with this number of spans and log lines; a message has about 220 bytes."""

    spans: int = 10
    logs: int = 5
    rich: bool = False
    """Spans have 13 tags instead of 5, and the endpoints of both sides with their addresses."""

    def templates(self) -> list[Template]:
        """Make the traces: one of 50 is errored, if there are so many; of large traces there are fewer."""
        most = max(1, _MOST_TEMPLATE_RECORDS // (self.spans + self.logs))
        return [self._template(number) for number in range(min(_ERRORED_EVERY, most))]

    def _template(self, number: int) -> Template:
        chance = random.Random(number)
        spans = [
            _span(chance, at, errored=number == _ERRORED_EVERY - 1 and at == self.spans - 1) for at in range(self.spans)
        ]
        if self.rich:
            spans = [_enriched(span) for span in spans]
        logs = [_log(chance, at, spans[at * self.spans // self.logs]["id"]) for at in range(self.logs)]
        pieces = [_span_piece(SPAN.encode(span)) for span in spans] + [_log_piece(log) for log in logs]
        chance.shuffle(pieces)
        return pieces


def recorded(folder: Path, name: str) -> list[Template]:
    """Read recorded traces from `NAME.spans.jsonl.gz` and `NAME.logs.jsonl.gz`, in the formats of `tracelink send`."""
    parser = Parser(RecordEncoder(TopicNames()), ErrorRule(), _LARGEST_RECORD)
    traces: dict[bytes, list[tuple[int, Piece]]] = {}
    for kind in ("spans", "logs"):
        source = InputFile(folder / f"{name}.{kind}.jsonl.gz")
        records = parser.spans(source.items()) if kind == "spans" else parser.logs(source.log_lines(), source.modified)
        for time, entry in records:
            if not isinstance(entry, Ready):
                raise UserError(f"{entry.place}: no valid record: {entry.detail}")
            message = entry.message
            if message.key is not None:
                is_span = message.kind == SPANS
                piece = _span_piece(message.value) if is_span else _log_piece(LOG_RECORD.decode(message.value))
                traces.setdefault(message.key, []).append((time, piece))
        source.close()
    return [[piece for _, piece in sorted(trace, key=lambda pair: pair[0])] for trace in traces.values()]


def order(templates: Sequence[Sized], traces: int, gap: int) -> Iterator[tuple[int, int]]:
    """Yield, for each record, the number of its trace and its place in that trace.

    Between two records of a trace, `gap` further traces begin: `gap` times its length are open at a time.
    """
    lengths = list(map(len, templates))
    longest = max(lengths)
    for newest in range(traces + (longest - 1) * gap):
        # The bounds of places keep `number` between 0 and the last trace.
        first, end = (max(0, -((traces - 1 - newest) // gap)), newest // gap + 1) if gap else (0, longest)
        for place in range(first, min(longest, end)):
            number = newest - place * gap
            if place < lengths[number % len(lengths)]:
                yield number, place


def ids_of(traces: int) -> list[bytes]:
    """Return the ids of `traces` traces, always the same."""
    return [blake2b(number.to_bytes(8), digest_size=16).digest() for number in range(traces)]


def stream(templates: Sequence[Template], traces: int, gap: int) -> Iterator[Record]:
    """Yield the records of `traces` traces in their `order`, always the same bytes."""
    ids = ids_of(traces)
    keys = [hexlify(one) for one in ids]
    for number, place in order(templates, traces, gap):
        is_span, head, middle, tail = templates[number % len(templates)][place]
        key = keys[number]
        own = middle if is_span else b"%b%b%08x" % (middle, key[:24], place)
        yield Record(is_span, key, b"".join((head, ids[number], own, tail)))


def records_in(templates: Sequence[Template], traces: int) -> tuple[int, int]:
    """Count the spans and the log lines that `stream` yields."""
    spans = logs = 0
    for number, template in enumerate(templates):
        times = len(range(number, traces, len(templates)))
        found = sum(piece.is_span for piece in template)
        spans += found * times
        logs += (len(template) - found) * times
    return spans, logs


def _span_piece(message: bytes) -> Piece:
    return Piece(is_span=True, head=message[: TRACE_ID.start], middle=b"", tail=message[TRACE_ID.stop :])


def _log_piece(record: LogRecord) -> Piece:
    message = LOG_RECORD.encode(record | {"id": "0" * 32})
    return Piece(
        is_span=False,
        head=message[: TRACE_ID.start],
        middle=message[TRACE_ID.stop : _LOG_ID.start],
        tail=message[_LOG_ID.stop :],
    )


def _span(chance: random.Random, place: int, *, errored: bool) -> Span:
    return {
        "flags": Flag.ERROR * errored | Flag.ROOT * (place == 0),
        "traceId": bytes(16),
        "id": f"{place + 1:016x}",
        "parentId": f"{(place - 1) // 2 + 1:016x}" if place else None,
        "kind": "SERVER" if place % 2 == 0 else "CLIENT",
        "name": "get /api/v1/items/{id}",
        "timestamp": _START + place * 1000,
        "duration": chance.randrange(1000, 50_000),
        "localEndpoint": {"serviceName": f"service-{place % 5}"},
        "remoteEndpoint": None,
        "annotations": [],
        "tags": {
            "http.request.method": "GET",
            "http.route": "/api/v1/items/{id}",
            "http.response.status_code": "500" if errored else "200",
            "k8s.pod.name": f"pod-{chance.getrandbits(40):x}",
            "server.address": f"10.0.{place % 256}.{chance.randrange(256)}",
        },
    }


def _enriched(span: Span) -> Span:
    more = {
        "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "url.full": "http://shop.example.org/api/v1/items/4711?currency=EUR",
        "network.protocol.version": "1.1",
        "server.port": "8080",
        "thread.name": "http-nio-8080-exec-7",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.language": "java",
        "service.version": "2026.11.3",
    }
    own, other = Endpoint(ipv4="10.1.2.3", port=8080), Endpoint(serviceName="gateway", ipv4="10.1.7.9", port=41_822)
    return span | {
        "localEndpoint": (span["localEndpoint"] or {}) | own,
        "remoteEndpoint": other,
        "tags": span["tags"] | more,
    }


def _log(chance: random.Random, place: int, span_id: str) -> LogRecord:
    return {
        "flags": 0,
        "traceId": bytes(16),
        "id": "",
        "spanId": span_id,
        "timestamp": _START + place * 1000,
        "service": f"service-{place % 5}",
        "level": "INFO",
        "logger": "shop.items",
        "message": f"handled the request for item {chance.randrange(100_000)} in {chance.randrange(50)} ms, status 200",
        "fields": {"thread": "main", "module": "views", "pod": f"pod-{chance.getrandbits(40):x}"},
    }
