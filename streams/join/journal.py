"""The journal of one partition: its records in the topic, and the join's memory of them.

Pure: no I/O and no clock. A journal record lists every part of one transaction. After a crash or a rebalance, the join
reads inputs again, and skips the records of a trace up to the last offsets of its listed parts.
"""

import struct
from collections import deque
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import TypedDict, cast

from streams.join.window import LOGS, SPANS
from tracelink.model.codec import Codec, load_schema

_PART = struct.Struct(">16sqq?")


class _Encoded(TypedDict):
    spans: int
    logs: int
    watermark: int
    parts: bytes


_CODEC: Codec[_Encoded] = Codec(load_schema("closed"))


@dataclass(frozen=True, slots=True)
class Entry:
    """A journal record: the output of one transaction for a partition.

    `positions` are the offsets of spans and logs below which every record has been checked; `watermark` is stream time
    in milliseconds; a part is (trace id of 16 bytes, offset of its last span, of its last log, errored so far).
    """

    positions: tuple[int, int]
    watermark: int
    parts: tuple[tuple[bytes, int, int, bool], ...]

    def encode(self) -> bytes:
        """Return the message for the topic."""
        return _CODEC.encode(
            _Encoded(
                spans=self.positions[SPANS],
                logs=self.positions[LOGS],
                watermark=self.watermark,
                parts=b"".join(_PART.pack(*part) for part in self.parts),
            )
        )

    @staticmethod
    def decode(message: bytes) -> "Entry":
        """Decode a message of the topic; raises InvalidRecord."""
        found = _CODEC.decode(message)
        parts = cast("Iterator[tuple[bytes, int, int, bool]]", _PART.iter_unpack(found["parts"]))
        return Entry((found["spans"], found["logs"]), found["watermark"], tuple(parts))


@dataclass(slots=True)
class _Named:
    """A journal record's own offset, the greatest input offsets that it lists, and its watermark."""

    offset: int
    last: tuple[int, int]
    watermark: int


class Ledger:
    """The contents of a partition's journal, as far back as the join needs them."""

    def __init__(self, late_for: int, low: tuple[int, int] = (0, 0)) -> None:
        """`low` are the committed offsets: the inputs are read from there, so records below it never come again."""
        self._late_for = late_for
        self._low = low
        self._records: deque[_Named] = deque()
        # For records that are read again: the last committed offsets of each trace.
        self._sent: dict[bytes, list[int]] = {}
        self._sent_until = [-1, -1]
        self._errored: dict[bytes, int] = {}
        self._forget: deque[tuple[int, bytes]] = deque()
        self.judged = [0, 0]
        """Offsets of spans and logs below which all dead letters are committed."""

    def learn(self, offset: int, entry: Entry) -> None:
        """Take in a journal record that was read at this offset after an assignment."""
        self.wrote(offset, entry)
        for trace_id, *last, errored in entry.parts:
            key = trace_id.hex().encode()
            if last[SPANS] >= self._low[SPANS] or last[LOGS] >= self._low[LOGS]:
                known = self._sent.setdefault(key, [-1, -1])
                for kind in (SPANS, LOGS):
                    known[kind] = max(known[kind], last[kind])
                    self._sent_until[kind] = max(self._sent_until[kind], last[kind])
            if errored:
                self.remember(key, entry.watermark)

    def wrote(self, offset: int, entry: Entry) -> None:
        """Take in a journal record that this worker has committed at this offset."""
        last = (max((part[1] for part in entry.parts), default=-1), max((part[2] for part in entry.parts), default=-1))
        self._records.append(_Named(offset, last, entry.watermark))
        for kind in (SPANS, LOGS):
            self.judged[kind] = max(self.judged[kind], entry.positions[kind])

    def restoring(self, kind: int, offset: int) -> bool:
        """Return True if a committed part may hold the record at this offset; False for all later offsets, too."""
        return offset <= self._sent_until[kind]

    def has_sent(self, kind: int, offset: int, key: bytes) -> bool:
        """Return True if a committed part holds this record."""
        known = self._sent.get(key)
        return known is not None and offset <= known[kind]

    def forget_sent(self) -> None:
        """Drop the state that is only needed while records are read again."""
        self._sent.clear()

    def errored(self, key: bytes) -> bool:
        """Return True if this trace is remembered as errored."""
        return key in self._errored

    def remember(self, key: bytes, watermark: int) -> None:
        """Remember an errored trace from this stream time on, for `late_for`."""
        if watermark > self._errored.get(key, -1):
            self._errored[key] = watermark
            self._forget.append((watermark, key))

    def expire(self, watermark: int, still_open: Container[bytes]) -> None:
        """Forget errored traces that are older than `late_for`, except those with an open part."""
        while self._forget and self._forget[0][0] < watermark - self._late_for:
            since, key = self._forget.popleft()
            if self._errored.get(key) != since:  # it was errored again since
                continue
            del self._errored[key]
            if key in still_open:
                self.remember(key, watermark)

    def start(self, low: tuple[int, int], watermark: int, current: int) -> int:
        """Return the journal offset from which the next owner has to read.

        `low` are the offsets about to be committed, `current` is the offset of the first journal record of the same
        transaction. The skipped records list no offset that will be read again, and are older than `late_for`.
        """
        records = self._records
        while records and not (
            records[0].last[SPANS] >= low[SPANS]
            or records[0].last[LOGS] >= low[LOGS]
            or records[0].watermark >= watermark - self._late_for
        ):
            records.popleft()
        return records[0].offset if records else current
