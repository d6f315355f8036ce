"""A trace made of its records' own bytes, and cut into them again.

Avro writes an array as blocks of a count and that many items; a negative count is followed by the block's size in
bytes. Each record lies in a block of its own with its size, so nothing is decoded to put a trace together, and a
reader can step over one bad record and go on.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import TypeVar

from tracelink.codec import HEADER_BYTES, LOG_RECORD, SPAN, TRACE, Codec
from tracelink.errors import InvalidRecord, Reason
from tracelink.records import LogRecord, Span, Trace

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


# Records are mostly small: their block's opening (count and size) comes from a table.
_OPENINGS = tuple(_ONE_RECORD + varint(size) for size in range(4096))


def block(size: int) -> bytes:
    """Return the opening of the block that holds a body of this many bytes: count -1 and the size."""
    return _OPENINGS[size] if size < len(_OPENINGS) else _ONE_RECORD + varint(size)


def splice(  # noqa: PLR0913 - the fields of a trace
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

    `spans` and `logs` are the pieces of its blocks in order: for each record its opening (see `block`), then its body
    under the current schema, without a frame. `flags` is as encoded in the records (twice the bits); `reason` is an
    index of REASONS; times are in milliseconds.
    """
    text = name.encode()
    head = (
        TRACE.header,
        bytes((flags,)),
        trace_id,
        varint(len(text)),
        text,
        varint(opened),
        varint(closed),
        varint(reason),
    )
    return b"".join((*head, *spans, _END, *logs, _END))


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record of a trace that does not decode: its kind (`span` or `log`), its bytes without a frame, and why."""

    kind: str
    body: bytes
    error: InvalidRecord


@dataclass(frozen=True, slots=True)
class Decoded:
    """A trace without its bad records, and those."""

    trace: Trace
    bad: tuple[BadRecord, ...]


def decode(message: bytes) -> Decoded:
    """Decode a trace record by record; raises InvalidRecord where the trace itself is broken.

    Every record must fill its block exactly: a short one would otherwise eat into its neighbour unseen.
    """
    message = TRACE.current(message)
    buffer = BytesIO(message)
    buffer.seek(HEADER_BYTES)
    bad: list[BadRecord] = []
    try:
        flags = _read_varint(buffer)
        trace_id = _read_exactly(buffer, 16)
        name = _read_exactly(buffer, _read_varint(buffer)).decode()
        opened, closed, reason = _read_varint(buffer), _read_varint(buffer), REASONS[_read_varint(buffer)]
        spans: list[Span] = []
        logs: list[LogRecord] = []
        _read_blocks(buffer, SPAN, "span", spans, bad)
        _read_blocks(buffer, LOG_RECORD, "log", logs, bad)
    except (EOFError, IndexError, UnicodeDecodeError) as error:
        raise InvalidRecord(Reason.BODY, f"not a trace: {error}") from error
    if buffer.read(1):
        raise InvalidRecord(Reason.BODY, "bytes left over after the trace")
    trace = Trace(
        flags=flags, traceId=trace_id, name=name, opened=opened, closed=closed, reason=reason, spans=spans, logs=logs
    )
    return Decoded(trace, tuple(bad))


def _read_blocks(buffer: BytesIO, codec: Codec[R], kind: str, into: list[R], bad: list[BadRecord]) -> None:
    """Read the blocks of an array up to its end."""
    while count := _read_varint(buffer):
        size = _read_varint(buffer) if count < 0 else None
        start = buffer.tell()
        if size is None or count != -1:  # legal Avro, and not ours: it cannot be cut
            into.extend(codec.read(buffer) for _ in range(abs(count)))
            continue
        try:
            record = codec.read(buffer)
            if buffer.tell() != start + size:
                raise InvalidRecord(Reason.BODY, f"{buffer.tell() - start} bytes of a record of {size}")
            into.append(record)
        except InvalidRecord as error:
            buffer.seek(start)
            bad.append(BadRecord(kind, _read_exactly(buffer, size), error))


def _read_exactly(buffer: BytesIO, size: int) -> bytes:
    data = buffer.read(size) if size >= 0 else b""
    if len(data) != size:
        raise EOFError(f"{size} bytes announced, {len(data)} there")
    return data


def _read_varint(buffer: BytesIO) -> int:
    value = shift = 0
    while True:
        byte = _read_exactly(buffer, 1)[0]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit
            return (value >> 1) ^ -(value & 1)
        shift += 7
        if shift > 63:  # noqa: PLR2004 - Avro's longs have 64 bits
            raise EOFError("a number of more than 64 bits")
