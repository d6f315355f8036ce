"""Parses the records of files, and merges them by time."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from typing import TypeVar

from pipeline.cli.input_file import Item, LineItem, Refusal
from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.log_record import LineReader
from pipeline.formats.zipkin_json import parse_span
from tracelink.kafka.messages import EncodedRecord, RecordEncoder
from tracelink.model.records import ErrorRule

T = TypeVar("T", Item, LineItem)


@dataclass(frozen=True, slots=True)
class Ready:
    """A record as a message, and its place in a file."""

    place: str
    message: EncodedRecord


class Parser:
    """Parses items to messages or refusals; `max_bytes` is the maximum size of a record."""

    def __init__(self, messages: RecordEncoder, rule: ErrorRule, max_bytes: int) -> None:
        self._encoder = messages
        self._rule = rule
        self._max_bytes = max_bytes

    def spans(self, entries: Iterable[Item | Refusal]) -> Iterator[tuple[int, Ready | Refusal]]:
        """Parse Zipkin v2 spans; yields each with its time in microseconds, see `_timed`."""

        def parse(item: Item) -> tuple[int | None, EncodedRecord]:
            span = parse_span(item.value, self._rule)
            return span.get("timestamp"), self._encoder.span(span)

        return self._timed(entries, parse)

    def logs(self, entries: Iterable[LineItem | Refusal], otherwise: int) -> Iterator[tuple[int, Ready | Refusal]]:
        """Parse the log lines of a file; yields each with its time in microseconds, see `_timed`.

        A line without a time takes that of the line before it, and the first ones take `otherwise`.
        """
        reader = LineReader(self._rule, otherwise)

        def parse(item: LineItem) -> tuple[int | None, EncodedRecord]:
            record = reader.read(item.entry, item.identity)
            return record["timestamp"], self._encoder.log(record)

        return self._timed(entries, parse)

    def _timed(
        self, entries: Iterable[T | Refusal], parse: Callable[[T], tuple[int | None, EncodedRecord]]
    ) -> Iterator[tuple[int, Ready | Refusal]]:
        """Yield each entry with its record's time, or 0 without one, so that it directly follows its predecessor."""
        for entry in entries:
            if isinstance(entry, Refusal):
                yield 0, entry
                continue
            try:
                time, message = parse(entry)
                size = len(message.value)
                if size > self._max_bytes:
                    raise InvalidInput("too large", f"{size} bytes, --max-record-bytes is {self._max_bytes}")
                yield time or 0, Ready(entry.place, message)
            except InvalidInput as error:
                yield 0, Refusal(entry.place, error.reason, error.detail)


def in_order(files: Iterable[Iterator[tuple[int, Ready | Refusal]]]) -> Iterator[Ready | Refusal]:
    """Merge files by time; each keeps its own order: in an unsorted file, an early record follows its predecessor."""
    return (found for _, found in merge(*files, key=lambda pair: pair[0]))
