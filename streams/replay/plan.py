"""The plan of a replay: which records to copy, those of a range and those of its traces beyond the range's edges."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

from confluent_kafka import Message
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from pipeline.kafka.offsets import OffsetLookup, OffsetRange
from pipeline.kafka.reader import Reader
from streams.replay.trace_extents import TraceExtents
from tracelink.errors import UserError
from tracelink.kafka.client import Properties
from tracelink.kafka.topics import PartitionId, TopicNames
from tracelink.settings import KafkaSettings

_LOOK_SECONDS = 0.2
# A producer's default transaction time-out, plus the interval of the brokers' scan for timed-out transactions.
_LONGEST_TRANSACTION = 75.0


class Range(NamedTuple):
    """Offsets of an input: the range (`start`, `end`), and the input's end when the replay was planned (`limit`)."""

    start: int
    end: int
    limit: int


class ScanBounds(NamedTuple):
    """Offsets of an input between which it is read: the range, extended for its traces' records beyond it."""

    head: int
    tail: int


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected stream times in milliseconds, traces (None for all) and partitions (None for all)."""

    begin: int
    end: int
    gap: int
    """The join's `idle_gap`, in milliseconds: a trace is followed up to a longer pause."""
    keys: frozenset[bytes] | None = None
    numbers: frozenset[int] | None = None

    @property
    def is_whole(self) -> bool:
        """True if it selects by time alone, so that it includes log lines without a trace."""
        return self.keys is None and self.numbers is None

    def wants(self, number: int) -> bool:
        """Return True if the partition is selected."""
        return self.numbers is None or number in self.numbers


@dataclass(slots=True)
class Beyond:
    """The traces of a partition that extend beyond the edges of the range: their first and last times by key, in ms."""

    since: Mapping[bytes, int] = field(default_factory=dict)
    until: Mapping[bytes, int] = field(default_factory=dict)
    cut: frozenset[bytes] = frozenset()
    """Traces whose first records retention may have deleted: their replayed parts could differ from the live ones."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The offsets to read of each input, and the records to copy."""

    selection: Selection
    ranges: Mapping[PartitionId, Range]
    scan_bounds: Mapping[PartitionId, ScanBounds]
    beyond: Mapping[int, Beyond]
    unlinked: str
    """The topic of log lines without a trace."""
    complete_until: int
    """The stream time up to which the inputs were complete, in milliseconds."""

    def offset_ranges(self) -> dict[PartitionId, OffsetRange]:
        """Return the offset range to read of each input."""
        return {one: OffsetRange(reach.head, reach.tail) for one, reach in self.scan_bounds.items()}

    def choose(self, partition: PartitionId, messages: list[Message]) -> list[Message]:
        """Return the messages of an input to copy; `messages` must be in the order of their offsets."""
        topic, number = partition
        if topic == self.unlinked:
            begin, end = self.selection.begin, self.selection.end
            return [one for one in messages if begin <= one.timestamp()[1] < end]
        keys, beyond, found = self.selection.keys, self.beyond[number], self.ranges[partition]
        first, last = messages[0].offset() or 0, messages[-1].offset() or 0
        if found.start <= first and last < found.end:
            selected = messages if keys is None else [one for one in messages if one.key() in keys]
        else:
            selected = [one for one in messages if self._is_chosen(one, found, beyond)]
        return [one for one in selected if one.key() not in beyond.cut] if beyond.cut else selected

    def _is_chosen(self, message: Message, found: Range, beyond: Beyond) -> bool:
        key, offset, (_, time) = message.key() or b"", message.offset() or 0, message.timestamp()
        if offset < found.start:
            return time >= beyond.since.get(key, time + 1)
        if offset >= found.end:
            return time <= beyond.until.get(key, time - 1)
        return self.selection.keys is None or key in self.selection.keys

    @property
    def cut(self) -> int:
        """The number of traces that are skipped because retention may have deleted their first records."""
        return sum(len(beyond.cut) for beyond in self.beyond.values())


class Planner:
    """Makes plans from the offsets and records in Kafka; raises UserError."""

    def __init__(self, settings: KafkaSettings, lookup: OffsetLookup, also: Callable[[], None] = lambda: None) -> None:
        """`also` is called regularly during long reads, and may raise to end them."""
        self._settings = settings
        self._also = also
        self._lookup = lookup
        self._names = TopicNames(settings.topic_prefix)

    def ranges(self, selection: Selection, complete_until: int) -> dict[PartitionId, Range]:
        """Look up the range's offsets in every input, and the limit up to which records may be copied.

        The limit is at `complete_until` (stream time in milliseconds): a later record could close a part although an
        earlier record of it is not readable yet. It does not apply to log lines without a trace.
        """
        names, lookup = self._names, self._lookup
        partitions = [
            one for topic in (names.spans, names.logs, names.unlinked_logs) for one in lookup.partitions(topic)
        ]
        limits = self._readable_ends(partitions)
        joined = [one for one in partitions if one[0] != names.unlinked_logs]
        limits |= {one: min(limits[one], until) for one, until in lookup.at(joined, complete_until).items()}
        starts, ends = lookup.at(partitions, selection.begin), lookup.at(partitions, selection.end)
        found: dict[PartitionId, Range] = {}
        for one in partitions:
            start = min(starts[one], limits[one])
            if one[0] == names.unlinked_logs:
                # Their timestamps are set by publishers, in no order, so each is checked.
                wanted, end = selection.is_whole, limits[one]
            else:
                wanted, end = selection.wants(one[1]), min(ends[one], limits[one])
            # An input that is not selected has an empty range: its copy still needs an end marker.
            end = max(start, end) if wanted else start
            found[one] = Range(start, end, limits[one])
        return found

    def _readable_ends(self, partitions: list[PartitionId]) -> dict[PartitionId, int]:
        """Return the current ends, after all transactions before them have ended."""
        there = self._lookup.ends(partitions, committed=False)

        def ends() -> dict[PartitionId, int]:
            self._also()
            return self._lookup.ends(partitions)

        def are_open(found: dict[PartitionId, int]) -> bool:
            return any(found[one] < end for one, end in there.items())

        retrying = Retrying(
            retry=retry_if_result(are_open),
            wait=wait_fixed(_LOOK_SECONDS),
            stop=stop_after_delay(_LONGEST_TRANSACTION),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        found: dict[PartitionId, int] = retrying(ends)
        for (topic, number), end in there.items():
            if found[topic, number] < end:
                raise UserError(
                    f"A transaction is open on {topic}[{number}] at offset {found[topic, number]}: records after it "
                    "cannot be read. Start the replay again after it has ended."
                )
        return found

    def plan(self, selection: Selection, ranges: Mapping[PartitionId, Range], complete_until: int) -> Plan:
        """Find the records of the range's traces beyond its edges, and return the plan."""
        names = self._names
        inputs = {one: found for one, found in ranges.items() if one[0] != names.unlinked_logs}
        numbers = sorted({number for _, number in inputs})
        wanted = {one: found for one, found in inputs.items() if selection.wants(one[1])}
        heads, horizons = self._heads(selection, wanted)
        tails = self._tails(selection, wanted)
        beyond = {number: Beyond() for number in numbers}
        for number, extents in heads.items():
            distance = selection.begin - horizons[number] if number in horizons else None
            cut = frozenset(() if distance is None else extents.reaching(distance))
            beyond[number].cut = cut
            beyond[number].since = {key: selection.begin - far for key, far in extents.beyond.items() if key not in cut}
        for number, extents in tails.items():
            cut = beyond[number].cut
            beyond[number].until = {key: selection.end + far for key, far in extents.beyond.items() if key not in cut}
        scan_bounds = {one: ScanBounds(found.start, found.end) for one, found in ranges.items()}
        for number in numbers:
            since, until = beyond[number].since, beyond[number].until
            mine = _of(number, wanted)
            first = self._lookup.at(mine, min(since.values())) if since else {}
            behind = self._lookup.at(mine, max(until.values()) + 1) if until else {}
            for one in mine:
                start, end, limit = ranges[one]
                scan_bounds[one] = ScanBounds(
                    min(start, first.get(one, start)), min(limit, max(end, behind.get(one, end)))
                )
        return Plan(selection, ranges, scan_bounds, beyond, names.unlinked_logs, complete_until)

    def _heads(
        self, selection: Selection, ranges: Mapping[PartitionId, Range]
    ) -> tuple[dict[int, TraceExtents], dict[int, int]]:
        """Follow the traces back from the begin of the range.

        Also returns, for each partition with deleted records, the time up to which retention may have deleted them.
        """
        begin, gap = selection.begin, selection.gap
        begins = self._lookup.begins(ranges)
        horizons = self._horizons(begins, ranges)
        before = {one for one, found in ranges.items() if begins[one] < found.start}
        numbers = {number for _, number in before} | horizons.keys()
        extents = {number: TraceExtents(gap) for number in numbers}
        # Only traces with a record this close to the begin can have records before it.
        near = {
            number: self._lookup.at(_of(number, ranges), max(begin, horizons.get(number, 0)) + gap + 1)
            for number in numbers
        }
        inside = {
            one: OffsetRange(found.start, min(found.end, near[one[1]][one]))
            for one, found in ranges.items()
            if one[1] in numbers
        }
        for number, records in self._records(inside, selection.keys):
            extents[number].inside((begin - time, key) for time, key in records)
        high = {one: found.start for one, found in ranges.items()}
        reach, alive = 0, numbers
        while alive := {number for number in alive if extents[number].go_on(reach)}:
            step = max(4 * gap, reach)
            mine = [one for one in ranges if one[1] in alive and high[one] > begins[one]]
            if not mine:
                break
            low = self._lookup.at(mine, begin - reach - step)
            # There may be new records after the limit.
            offset_ranges = {one: OffsetRange(min(low[one], high[one]), high[one]) for one in mine}
            self._follow(extents, offset_ranges, selection.keys, lambda time: begin - time)
            high |= {one: offset_range.start for one, offset_range in offset_ranges.items()}
            reach += step
        return extents, horizons

    def _tails(self, selection: Selection, ranges: Mapping[PartitionId, Range]) -> dict[int, TraceExtents]:
        """Follow the traces forward from the end of the range."""
        end, gap = selection.end, selection.gap
        numbers = {number for (_, number), found in ranges.items() if found.end < found.limit}
        extents = {number: TraceExtents(gap) for number in numbers}
        mine = [one for one in ranges if one[1] in numbers]
        near = self._lookup.at(mine, end - gap)
        inside = {one: OffsetRange(max(ranges[one].start, near[one]), ranges[one].end) for one in mine}
        for number, records in self._records(inside, selection.keys):
            extents[number].inside((time - end, key) for time, key in records)
        low = {one: ranges[one].end for one in mine}
        reach, alive = 0, numbers
        while alive := {number for number in alive if extents[number].go_on(reach)}:
            step = max(4 * gap, reach)
            mine = [one for one in mine if one[1] in alive and low[one] < ranges[one].limit]
            if not mine:
                break
            high = self._lookup.at(mine, end + reach + step)
            offset_ranges = {one: OffsetRange(low[one], min(ranges[one].limit, high[one])) for one in mine}
            self._follow(extents, offset_ranges, selection.keys, lambda time: time - end)
            low |= {one: offset_range.end for one, offset_range in offset_ranges.items()}
            reach += step
        return extents

    def _horizons(self, begins: Mapping[PartitionId, int], ranges: Mapping[PartitionId, Range]) -> dict[int, int]:
        """Return the time of the oldest record, for each partition with deleted records."""
        cut = {
            one: OffsetRange(first, ranges[one].limit) for one, first in begins.items() if 0 < first < ranges[one].limit
        }
        oldest: dict[PartitionId, int] = {}
        one_record: Properties = {
            "queued.min.messages": 1,
            "max.partition.fetch.bytes": 1024,
            "fetch.queue.backoff.ms": 20,
        }
        with self._reader(cut, one_record) as reader:
            while reader.unread:
                for one, messages in reader.poll():
                    reader.finish(one)
                    oldest.setdefault(one, messages[0].timestamp()[1])  # one poll may return several
        found: dict[int, int] = {}
        for (_, number), time in oldest.items():
            found[number] = max(found.get(number, time), time)
        return found

    def _follow(
        self,
        extents: Mapping[int, TraceExtents],
        offset_ranges: Mapping[PartitionId, OffsetRange],
        keys: frozenset[bytes] | None,
        distance_of: Callable[[int], int],
    ) -> None:
        """Follow traces through offset ranges of both inputs, one step farther from the edge."""
        found: dict[int, list[tuple[int, bytes]]] = {}
        for number, records in self._records(offset_ranges, keys):
            mine = found.setdefault(number, [])
            mine += [(distance_of(time), key) for time, key in records if key in extents[number]]
        for number, records in found.items():
            extents[number].outside(sorted(records, key=itemgetter(0)))

    def _records(
        self, offset_ranges: Mapping[PartitionId, OffsetRange], keys: frozenset[bytes] | None
    ) -> Iterator[tuple[int, list[tuple[int, bytes]]]]:
        """Yield (time, trace) of the records in offset ranges, by partition; records without a key are skipped."""
        with self._reader(offset_ranges) as reader:
            while reader.unread:
                for (_, number), messages in reader.poll():
                    self._also()
                    records = [(one.timestamp()[1], one.key() or b"") for one in messages]
                    yield number, [one for one in records if (one[1] if keys is None else one[1] in keys)]

    def _reader(self, offset_ranges: Mapping[PartitionId, OffsetRange], defaults: Properties | None = None) -> Reader:
        return Reader(self._settings, f"{self._settings.topic_prefix}replay.plan", offset_ranges, defaults=defaults)


def _of(number: int, inputs: Iterable[PartitionId]) -> list[PartitionId]:
    return [one for one in inputs if one[1] == number]
