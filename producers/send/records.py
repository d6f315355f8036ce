"""Parses the records of files, and merges them by time."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import merge

from pipeline.cli.input_file import Item, LineItem, Refusal
from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.log_record import LineReader
from pipeline.formats.spans import SpanReader
from tracelink.kafka.messages import EncodedRecord, RecordEncoder
from tracelink.model.records import ErrorRule


@dataclass(frozen=True, slots=True)
class Ready:
    """A record as a message, and its place in a file."""

    place: str
    message: EncodedRecord


class Parser:
    """Parses items to messages or refusals; `max_bytes` is the maximum size of a record.

    Each is yielded with the time of its record in microseconds, or 0 without one, so that it follows its predecessor.
    """

    def __init__(self, messages: RecordEncoder, rule: ErrorRule, max_bytes: int) -> None:
        self._encoder = messages
        self._rule = rule
        self._reader = SpanReader(rule)
        self._max_bytes = max_bytes

    @property
    def formats(self) -> Mapping[str, int]:
        """Numbers of spans read so far in other formats than Zipkin v2."""
        return self._reader.formats

    def spans(self, entries: Iterable[Item | Refusal]) -> Iterator[tuple[int, Ready | Refusal]]:
        """Parse spans; one item may hold many."""
        for entry in entries:
            if isinstance(entry, Refusal):
                yield 0, entry
                continue
            for found in self._reader.read(entry.value):
                if isinstance(found, InvalidInput):
                    yield 0, Refusal(entry.place, found.reason, found.detail)
                else:
                    yield self._ready(entry.place, found.get("timestamp") or 0, self._encoder.span(found))

    def logs(self, entries: Iterable[LineItem | Refusal], otherwise: int) -> Iterator[tuple[int, Ready | Refusal]]:
        """Parse the log lines of a file.

        A line without a time takes that of the line before it, and the first ones take `otherwise`.
        """
        reader = LineReader(self._rule, otherwise)
        for entry in entries:
            if isinstance(entry, Refusal):
                yield 0, entry
                continue
            try:
                record = reader.read(entry.entry, entry.identity)
            except InvalidInput as error:
                yield 0, Refusal(entry.place, error.reason, error.detail)
            else:
                yield self._ready(entry.place, record["timestamp"], self._encoder.log(record))

    def _ready(self, place: str, time: int, message: EncodedRecord) -> tuple[int, Ready | Refusal]:
        size = len(message.value)
        if size > self._max_bytes:
            return 0, Refusal(place, "too large", f"{size} bytes, --max-record-bytes is {self._max_bytes}")
        return time, Ready(place, message)


def in_order(files: Iterable[Iterator[tuple[int, Ready | Refusal]]]) -> Iterator[Ready | Refusal]:
    """Merge files by time; each keeps its own order: in an unsorted file, an early record follows its predecessor."""
    return (found for _, found in merge(*files, key=lambda pair: pair[0]))
