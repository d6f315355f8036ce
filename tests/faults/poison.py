"""What is no record, or none that a target takes: how it is made, and where it has to end."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.faults.wire import Json, encode

Spoil = Callable[[bytes, bytes, Json], tuple[bytes | None, bytes | None]]
"""From the key, the message and the body of a good span, or log line, to the key and the message to send."""

_LARGEST = 2**63 - 1
_YEAR_9999 = 253_370_764_800_000_000
_TRACE_ID_END = 27


@dataclass(frozen=True, slots=True)
class Poison:
    """`letters` are the dead letters that there must be, by who writes them: the join, or a sink's name."""

    name: str
    spoil: Spoil
    letters: tuple[str, ...] = ("join",)
    topic: Literal["spans", "logs"] = "spans"
    refused: bool = False
    """The broker does not take it, and says so to the sender."""


def _with(**changes: object) -> Spoil:
    return lambda key, _, body: (key, encode("span", body | changes))


def _value(make: Callable[[bytes], bytes | None]) -> Spoil:
    return lambda key, value, _: (key, make(value))


def _under(key: bytes | None) -> Spoil:
    return lambda _, value, __: (key, value)


def _not_utf8(value: bytes) -> bytes:
    """Put a byte that UTF-8 never has into a string that is there for sure: the id."""
    return value[: _TRACE_ID_END + 1] + b"\xff" + value[_TRACE_ID_END + 2 :]


def _span_of(size: int) -> Spoil:
    """Pad a tag, so that the message has exactly so many bytes."""

    def pad(key: bytes, _: bytes, body: Json) -> tuple[bytes, bytes]:
        short = size - 1000
        missing = size - len(encode("span", body | {"tags": {"padding": "x" * short}}))
        return key, encode("span", body | {"tags": {"padding": "x" * (short + missing)}})

    return pad


_RECORD_LIMIT, _TOPIC_LIMIT = 1024 * 1024, 1024 * 1024 + 1024
_SINKS = ("zipkin", "elasticsearch")

KINDS = (
    Poison("bad frame", _value(lambda value: b"{}" + value)),
    Poison("unknown schema", _value(lambda value: value[:2] + bytes(8) + value[10:])),
    Poison("truncated head", _value(lambda value: value[:20])),
    Poison("truncated body", _value(lambda value: value[:-3]), _SINKS),
    Poison("bytes left over", _value(lambda value: value + b"?"), _SINKS),
    Poison("no value", _value(lambda _: None)),
    Poison("empty trace id", _under(b"")),
    Poison("no trace id", _under(None)),
    Poison("zero trace id", lambda _, __, body: (b"0" * 32, encode("span", body | {"traceId": bytes(16)}))),
    Poison("trace id that is not hex", _under(b"g" * 32)),
    Poison("key and body disagree", _under(b"1" * 32)),
    Poison("not UTF-8", _value(_not_utf8), _SINKS),
    Poison("as large as a record may be", _span_of(_RECORD_LIMIT), ()),
    Poison("larger than a record may be", _span_of(_RECORD_LIMIT + 1)),
    Poison("larger than the topic takes", _span_of(_TOPIC_LIMIT + 1), (), refused=True),
    Poison("negative duration", _with(duration=-5), ()),
    Poison("overflowing duration", _with(duration=_LARGEST), ()),
    Poison("a time in the year 9999", _with(timestamp=_YEAR_9999), ()),
    Poison("a time beyond all years", _with(timestamp=_LARGEST), ()),
    Poison("a time before all years", _with(timestamp=-_LARGEST), ()),
    Poison("a span id that is not hex", _with(id="not hex"), ("zipkin",)),
    Poison("not a number", _with(tags={"rate": "NaN"}), ()),
    Poison(
        "a field that Elasticsearch cannot index",
        lambda key, _, body: (key, encode("log_record", body | {"fields": {**body["fields"], "null\0byte": "x"}})),
        (),
        topic="logs",
    ),
    Poison(
        "a line of the year 9999",
        lambda key, _, body: (key, encode("log_record", body | {"timestamp": _YEAR_9999})),
        ("elasticsearch",),
        topic="logs",
    ),
)
