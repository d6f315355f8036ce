"""The journal of one partition: what has gone out, as the topic holds it and as the join remembers it.

Pure: no I/O and no clock. A journal record names every part that one transaction sent out; after a crash, or when a
partition comes from another worker, records at or below a part's last offsets are not taken in again.
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
    """What one transaction did for a partition.

    `positions` are the offsets of spans and logs below which every record was judged; `watermark` is stream time in
    milliseconds; a part is (trace id of 16 bytes, offset of its last span, of its last log, errored so far).
    """

    positions: tuple[int, int]
    watermark: int
    parts: tuple[tuple[bytes, int, int, bool], ...]

    def encode(self) -> bytes:
        """Return the journal's message."""
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
        """Read a journal's message; raises InvalidRecord."""
        found = _CODEC.decode(message)
        parts = cast("Iterator[tuple[bytes, int, int, bool]]", _PART.iter_unpack(found["parts"]))
        return Entry((found["spans"], found["logs"]), found["watermark"], tuple(parts))


@dataclass(slots=True)
class _Named:
    """The greatest offsets that a journal record names, its own offset in the journal, and its watermark."""

    offset: int
    last: tuple[int, int]
    watermark: int


class Ledger:
    """What a partition's journal says, as far back as it is needed."""

    def __init__(self, late_for: int, low: tuple[int, int] = (0, 0)) -> None:
        """`low` are the committed offsets, from which the inputs are read: what lies below is not asked for again."""
        self._late_for = late_for
        self._low = low
        self._records: deque[_Named] = deque()
        # For records that are read again: the last offsets of a trace that have gone out.
        self._sent: dict[bytes, list[int]] = {}
        self._sent_until = [-1, -1]
        self._errored: dict[bytes, int] = {}
        self._forget: deque[tuple[int, bytes]] = deque()
        self.judged = [0, 0]
        """Offsets of spans and logs below which dead letters have gone out."""

    def learn(self, offset: int, entry: Entry) -> None:
        """Take in a record of the journal, read at this offset after an assignment."""
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
        """Note a record of the journal that this worker has written at this offset."""
        last = (max((part[1] for part in entry.parts), default=-1), max((part[2] for part in entry.parts), default=-1))
        self._records.append(_Named(offset, last, entry.watermark))
        for kind in (SPANS, LOGS):
            self.judged[kind] = max(self.judged[kind], entry.positions[kind])

    def restoring(self, kind: int, offset: int) -> bool:
        """Tell whether a record at this offset may have gone out before; once not, never again for that input."""
        return offset <= self._sent_until[kind]

    def has_sent(self, kind: int, offset: int, key: bytes) -> bool:
        """Tell whether this record has gone out before."""
        known = self._sent.get(key)
        return known is not None and offset <= known[kind]

    def forget_sent(self) -> None:
        """Drop what is only needed while records are read again."""
        self._sent.clear()

    def errored(self, key: bytes) -> bool:
        """Tell whether this trace has erred before, as far as that is remembered."""
        return key in self._errored

    def remember(self, key: bytes, watermark: int) -> None:
        """Remember an errored trace for `late_for` from this stream time on."""
        if watermark > self._errored.get(key, -1):
            self._errored[key] = watermark
            self._forget.append((watermark, key))

    def expire(self, watermark: int, still_open: Container[bytes]) -> None:
        """Forget the errored traces of longer ago than `late_for`, except those that have a part open."""
        while self._forget and self._forget[0][0] < watermark - self._late_for:
            since, key = self._forget.popleft()
            if self._errored.get(key) != since:  # it erred again since
                continue
            del self._errored[key]
            if key in still_open:
                self.remember(key, watermark)

    def start(self, low: tuple[int, int], watermark: int, current: int) -> int:
        """Return the offset in the journal from which a later reader needs it.

        `low` are the offsets about to be committed, `current` is the offset of the first journal record of that same
        transaction. The records passed over name no offset that will be read again, and are older than `late_for`.
        """
        records = self._records
        while records and not (
            records[0].last[SPANS] >= low[SPANS]
            or records[0].last[LOGS] >= low[LOGS]
            or records[0].watermark >= watermark - self._late_for
        ):
            records.popleft()
        return records[0].offset if records else current
