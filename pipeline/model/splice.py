"""A trace made of its records' own bytes, and cut into them again.

Avro writes an array as blocks of a count and that many items; a negative count is followed by the block's size in
bytes. Each record lies in a block of its own with its size, so nothing is decoded to put a trace together, and a
reader can step over one bad record and go on.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import NamedTuple, TypeVar

from tracelink.errors import InvalidRecord, Reason
from tracelink.model.codec import HEADER_BYTES, LOG_RECORD, SPAN, TRACE, Codec
from tracelink.model.records import LogRecord, Span, Trace

R = TypeVar("R", Span, LogRecord)

REASONS = ("IDLE", "AGE", "ROOT", "FULL", "PRESSURE")
"""Why a part closed, in the order of the schema's symbols."""

_ONE_RECORD = b"\x01"  # the count -1: one item, its size follows
_END = b"\x00"


def varint(value: int) -> bytes:
    """Encode an int or long as Avro does: zigzag, seven bits a byte, the lowest first."""
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value & ~0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class _Openings(dict[int, bytes]):
    """The opening of a block by the length of the framed message whose body it holds; those of small ones are kept."""

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

    `spans` and `logs` are framed messages under the current schemas, in order. `flags` is as encoded in the records
    (twice the bits); `reason` is an index of REASONS; times are in milliseconds.
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
    """A record of a trace that does not decode: its kind (`span` or `log`), its bytes without a frame, and why."""

    kind: str
    body: bytes
    error: InvalidRecord


class Head(NamedTuple):
    """What stands before the records of a trace: flags, id, name, and stream times in milliseconds."""

    flags: int
    trace_id: bytes
    name: str
    opened: int
    closed: int
    reason: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """A trace without its bad records, and those."""

    trace: Trace
    bad: tuple[BadRecord, ...]


def decode(message: bytes, *, logs: bool = True) -> Decoded:
    """Decode a trace record by record; raises InvalidRecord where the trace itself is broken.

    Every record must fill its block exactly: a short one would otherwise eat into its neighbour unseen. Without `logs`
    the log lines are stepped over, and the trace has none.
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
    """Decode what stands before the records of a trace; raises InvalidRecord where it is broken."""
    try:
        return _head(TRACE.current(message))[0]
    except (EOFError, IndexError, UnicodeDecodeError) as error:
        raise InvalidRecord(Reason.BODY, f"not a trace: {error}") from error


# What follows reads from a place in the message on, and returns what it has read and where that ends.


def _head(message: bytes) -> tuple[Head, int]:
    flags, at = _number(message, HEADER_BYTES)
    trace_id, at = _bytes(message, at, 16)
    size, at = _number(message, at)
    name, at = _bytes(message, at, size)
    opened, at = _number(message, at)
    closed, at = _number(message, at)
    reason, at = _number(message, at)
    return Head(flags, trace_id, name.decode(), opened, closed, reason), at


def _records(
    message: bytes, at: int, codec: Codec[R], kind: str, bad: list[BadRecord], *, wanted: bool = True
) -> tuple[list[R], int]:
    """Read the blocks of an array up to its end; only their openings where the records are not wanted."""
    found: list[R] = []
    buffer = BytesIO(message)
    seek, tell, read = buffer.seek, buffer.tell, codec.read
    while opening := message[at]:
        if opening != _ONE_RECORD[0]:
            records, at = _uncut(message, at, codec)
            found += records if wanted else ()
            continue
        size, start = _number(message, at + 1)
        at = start + size
        if not start <= at <= len(message):
            raise EOFError(f"a record of {size} bytes, {len(message) - start} are there")
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
    """Read a block that is legal Avro and not ours: a bad record of it cannot be cut out."""
    count, at = _number(message, at)
    if count < 0:
        _, at = _number(message, at)  # its size
    buffer = BytesIO(message)
    buffer.seek(at)
    return [codec.read(buffer) for _ in range(abs(count))], buffer.tell()


def _bytes(message: bytes, at: int, size: int) -> tuple[bytes, int]:
    found = message[at : at + size] if size >= 0 else b""
    if len(found) != size:
        raise EOFError(f"{size} bytes announced, {len(found)} there")
    return found, at + size


def _number(message: bytes, at: int) -> tuple[int, int]:
    """Read an int or long; raises IndexError where the message ends in it."""
    byte = message[at]
    value = byte & 0x7F
    shift = 0
    while byte & 0x80:
        at += 1
        shift += 7
        if shift > 63:  # noqa: PLR2004 - Avro's longs have 64 bits
            raise EOFError("a number of more than 64 bits")
        byte = message[at]
        value |= (byte & 0x7F) << shift
    return (value >> 1) ^ -(value & 1), at + 1
