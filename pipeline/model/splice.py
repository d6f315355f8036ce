"""Encoding of a part from the bytes of its records, without decoding them; and its decoding, record by record.

Avro writes an array as blocks of a count and that many items; after a negative count comes the block's size in bytes.
Each record has its own block with its size, so a reader can skip an invalid record.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import NamedTuple, TypeVar

from tracelink.errors import InvalidRecord, Reason
from tracelink.model.avro import read_varint, varint
from tracelink.model.codec import HEADER_BYTES, LOG_RECORD, SPAN, TRACE, Codec
from tracelink.model.records import LogRecord, Span, Trace

R = TypeVar("R", Span, LogRecord)

REASONS = ("IDLE", "AGE", "ROOT", "FULL", "PRESSURE")
"""The reasons why a part closed, in the order of the schema's symbols."""

_ONE_RECORD = b"\x01"  # the count -1: one item, its size follows
_END = b"\x00"


class _Openings(dict[int, bytes]):
    """The first bytes of a block, by the length of the framed message in it; cached for short messages."""

    def __missing__(self, length: int) -> bytes:
        opening = _ONE_RECORD + varint(length - HEADER_BYTES)
        if length < _KEPT_OPENINGS:
            self[length] = opening
        return opening


_KEPT_OPENINGS = 4096
_OPENINGS = _Openings()


def splice(
    *,
    flags: int,
    trace_id: bytes,
    name: str,
    opened: int,
    closed: int,
    reason: int,
    spans: Iterable[bytes],
    logs: Iterable[bytes],
) -> bytes:
    """Return the framed message of a trace.

    `spans` and `logs` are framed messages of the current schemas, in order. `flags` is the encoded byte of the records
    (twice the flags); `reason` is an index into REASONS; times are in milliseconds.
    """
    text = name.encode()
    openings = _OPENINGS
    return b"".join(
        (
            TRACE.header,
            bytes((flags,)),
            trace_id,
            varint(len(text)),
            text,
            varint(opened),
            varint(closed),
            varint(reason),
            *[piece for message in spans for piece in (openings[len(message)], message[HEADER_BYTES:])],
            _END,
            *[piece for message in logs for piece in (openings[len(message)], message[HEADER_BYTES:])],
            _END,
        )
    )


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that does not decode: its kind (`span` or `log`), its bytes without a frame, and the error."""

    kind: str
    body: bytes
    error: InvalidRecord


class Head(NamedTuple):
    """The fields of a trace before its records; stream times are in milliseconds."""

    flags: int
    trace_id: bytes
    name: str
    opened: int
    closed: int
    reason: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """A trace without its invalid records, and these."""

    trace: Trace
    bad: tuple[BadRecord, ...]


def decode(message: bytes, *, logs: bool = True) -> Decoded:
    """Decode a trace record by record; raises InvalidRecord if the trace itself is invalid.

    Every record must fill its block exactly, so that a bad length cannot damage the next record. Without `logs`, log
    lines are skipped, and the trace has none.
    """
    message = TRACE.current(message)
    bad: list[BadRecord] = []
    try:
        found, at = _head(message)
        spans, at = _records(message, at, SPAN, "span", bad)
        lines, at = _records(message, at, LOG_RECORD, "log", bad, wanted=logs)
        trace = Trace(
            flags=found.flags,
            traceId=found.trace_id,
            name=found.name,
            opened=found.opened,
            closed=found.closed,
            reason=REASONS[found.reason],
            spans=spans,
            logs=lines,
        )
    except (EOFError, IndexError, UnicodeDecodeError) as error:
        raise InvalidRecord(Reason.BODY, f"not a trace: {error}") from error
    if at != len(message):
        raise InvalidRecord(Reason.BODY, "bytes left over after the trace")
    return Decoded(trace, tuple(bad))


def head(message: bytes) -> Head:
    """Decode the fields before the records of a trace; raises InvalidRecord if they are invalid."""
    try:
        return _head(TRACE.current(message))[0]
    except (EOFError, IndexError, UnicodeDecodeError) as error:
        raise InvalidRecord(Reason.BODY, f"not a trace: {error}") from error


# The functions below read at a position of the message, and return the value and the position after it.


def _head(message: bytes) -> tuple[Head, int]:
    flags, at = read_varint(message, HEADER_BYTES)
    trace_id, at = _bytes(message, at, 16)
    size, at = read_varint(message, at)
    name, at = _bytes(message, at, size)
    opened, at = read_varint(message, at)
    closed, at = read_varint(message, at)
    reason, at = read_varint(message, at)
    return Head(flags, trace_id, name.decode(), opened, closed, reason), at


def _records(
    message: bytes, at: int, codec: Codec[R], kind: str, bad: list[BadRecord], *, wanted: bool = True
) -> tuple[list[R], int]:
    """Read the blocks of an array up to its end; skip the records if they are not wanted."""
    found: list[R] = []
    buffer = BytesIO(message)
    seek, tell, read = buffer.seek, buffer.tell, codec.read
    while opening := message[at]:
        if opening != _ONE_RECORD[0]:
            records, at = _uncut(message, at, codec)
            found += records if wanted else ()
            continue
        size, start = read_varint(message, at + 1)
        at = start + size
        if not start <= at <= len(message):
            raise EOFError(f"a record of {size} bytes, but only {len(message) - start} are left")
        if not wanted:
            continue
        seek(start)
        try:
            record = read(buffer)
            if tell() != at:
                raise InvalidRecord(Reason.BODY, f"{tell() - start} bytes of a record of {size}")
            found.append(record)
        except InvalidRecord as error:
            bad.append(BadRecord(kind, message[start:at], error))
    return found, at + 1


def _uncut(message: bytes, at: int, codec: Codec[R]) -> tuple[list[R], int]:
    """Read a valid Avro block that is not written like ours: an invalid record in it cannot be skipped."""
    count, at = read_varint(message, at)
    if count < 0:
        _, at = read_varint(message, at)  # its size
    buffer = BytesIO(message)
    buffer.seek(at)
    return [codec.read(buffer) for _ in range(abs(count))], buffer.tell()


def _bytes(message: bytes, at: int, size: int) -> tuple[bytes, int]:
    found = message[at : at + size] if size >= 0 else b""
    if len(found) != size:
        raise EOFError(f"{size} bytes expected, {len(found)} found")
    return found, at + size
