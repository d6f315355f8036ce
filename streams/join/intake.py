"""Checks which messages are records: a whole fetch at once, or message by message if one of them is invalid."""

from binascii import hexlify
from collections.abc import Sequence
from itertools import repeat
from typing import NamedTuple, Protocol, cast

from streams.join.window import Record
from tracelink.errors import InvalidRecord, Reason
from tracelink.model.codec import HEADER_BYTES, LOG_RECORD, SPAN, TRACE_ID
from tracelink.model.records import TRACE_ID_CHARS

_NO_TRACE = b"0" * TRACE_ID_CHARS
_NOT_ONE_BYTE = 0x81  # a flags field that is longer than one byte, or negative
_FLAGS = frozenset(flags for flags in range(256) if not flags & _NOT_ONE_BYTE)
_KEY_LENGTHS = {TRACE_ID_CHARS}
_CODECS = (SPAN, LOG_RECORD)


class InputMessage(Protocol):
    """The methods of a Kafka message that the join uses; times are in milliseconds since the epoch."""

    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...
    def offset(self) -> int: ...
    def timestamp(self) -> tuple[int, int]: ...
    def headers(self) -> list[tuple[str, bytes]] | None: ...


class InvalidMessage(NamedTuple):
    """A message that is no record, and the error."""

    message: InputMessage
    error: InvalidRecord


def judge(
    kind: int, messages: Sequence[InputMessage], times: Sequence[int], largest: int
) -> tuple[list[Record], dict[int, InvalidMessage]]:
    """Return the messages of a fetch as records, in their order, and the invalid ones by offset.

    `times` are the messages' stream times; a record has at most `largest` bytes. An invalid message keeps its place
    among the records, with an empty key.
    """
    offsets = [message.offset() for message in messages]
    keys = [message.key() for message in messages]
    values = [message.value() for message in messages]
    flags = _flags(kind, keys, values, largest)
    if flags is not None:
        sound = cast("list[bytes]", keys), flags, cast("list[bytes]", values)
        return list(zip(times, repeat(kind), offsets, *sound, strict=False)), {}
    records: list[Record] = []
    invalid: dict[int, InvalidMessage] = {}
    for message, time, offset, key, value in zip(messages, times, offsets, keys, values, strict=True):
        try:
            current = _examine(kind, key, value, largest)
            records.append((time, kind, offset, key or b"", current[HEADER_BYTES], current))
        except InvalidRecord as error:
            records.append((time, kind, offset, b"", 0, value or b""))
            invalid[offset] = InvalidMessage(message, error)
    return records, invalid


def _flags(kind: int, keys: Sequence[bytes | None], values: Sequence[bytes | None], largest: int) -> list[int] | None:
    """Return the flags of the messages, or None unless each has the current schema and its own trace id as its key.

    Each check runs over all messages in one call, which takes half as long as message by message.
    """
    if None in keys or None in values:
        return None
    known_keys, known_values = cast("Sequence[bytes]", keys), cast("Sequence[bytes]", values)
    lengths = list(map(len, known_values))
    if min(lengths) <= TRACE_ID.stop or max(lengths) > largest or set(map(len, known_keys)) != _KEY_LENGTHS:
        return None
    if not all(map(bytes.startswith, known_values, repeat(_CODECS[kind].header))):
        return None
    trace_ids = hexlify(b"".join([value[TRACE_ID] for value in known_values]))
    if trace_ids != b"".join(known_keys) or _NO_TRACE in keys:
        return None
    flags = [value[HEADER_BYTES] for value in known_values]
    return flags if _FLAGS.issuperset(flags) else None


def _examine(kind: int, key: bytes | None, value: bytes | None, largest: int) -> bytes:
    """Return the message under the current schema; raises InvalidRecord if it is no record."""
    if key is None or len(key) != TRACE_ID_CHARS or key == _NO_TRACE or key.strip(b"0123456789abcdef"):
        # The key may be a secret: it goes into the dead letter's key, but not into a header.
        shown = "no key" if key is None else f"a key of {len(key)} bytes"
        raise InvalidRecord(Reason.KEY, f"{shown} is no trace id")
    if value is None:
        raise InvalidRecord(Reason.SIZE, "no value")
    if len(value) > largest:
        raise InvalidRecord(Reason.SIZE, f"{len(value)} bytes are more than max_record_bytes ({largest})")
    codec = _CODECS[kind]
    value = codec.current(value)
    if len(value) <= TRACE_ID.stop:
        raise InvalidRecord(Reason.SIZE, f"{len(value)} bytes hold no record")
    if value[HEADER_BYTES] & _NOT_ONE_BYTE:
        raise InvalidRecord(Reason.BODY, "its flags are out of range")
    inside = hexlify(value[TRACE_ID])
    if inside != key:
        raise InvalidRecord(Reason.MISMATCH, f"the body's trace id is {inside.decode()}")
    return value
