"""Reads the topics of dead letters and of their resolutions, without a consumer group."""

import logging
from collections.abc import Generator, Mapping

from pipeline.cli.progress_bar import bars
from pipeline.cli.times import milliseconds_of, now_ms
from pipeline.kafka.admin import connect, no_such_job
from pipeline.kafka.offsets import OffsetLookup, OffsetRange
from pipeline.kafka.reader import Reader
from pipeline.model.replay_markers import is_end
from pipeline.settings import ReplayedSettings, names_of
from streams.dead_letters.dead_letter import DeadLetter, Filters, Query
from streams.dead_letters.resolutions import Owner, Resolutions
from tracelink.errors import InvalidRecord, UserError
from tracelink.kafka.client import Properties
from tracelink.kafka.topics import PartitionId, TopicNames

_log = logging.getLogger(__name__)
_TIMEOUT = 10.0
# Dead letters may be large, so few are prefetched.
_FETCH: Properties = {"queued.min.messages": 1000, "queued.max.messages.kbytes": 65_536}


class DeadLettersTopic:
    """The dead letters of the live pipeline, or of a replay job; raises UserError if a topic is missing."""

    def __init__(self, settings: ReplayedSettings) -> None:
        self.live = TopicNames(settings.topic_prefix)
        self.names = names_of(settings)
        self.owner = Owner(self.names.job)
        self._settings = settings
        self._admin = connect(settings)
        self._lookup = OffsetLookup(self._admin)
        self._known = frozenset(self._admin.list_topics(timeout=_TIMEOUT).topics)
        if self.names.job and self.names.dead_letters not in self._known:
            raise no_such_job(self.names.job)
        for topic in (self.names.dead_letters, self.live.resolutions):
            if topic not in self._known:
                raise UserError(f"Kafka has no topic {topic}. Create the topics with: tracelink topics apply")

    def query(self, filters: Filters) -> Query:
        """Resolve filters; raises UserError if a time spec names a record that does not exist."""
        now = now_ms()
        begin, end = (
            None if text is None else milliseconds_of(text, now, self._settings, self._lookup)
            for text in (filters.since, filters.until)
        )
        names = (self.live, self.names)
        topics = {filters.topic, *(one.prefix + filters.topic for one in names)} if filters.topic else ()
        return Query(filters, begin, end, frozenset(topics))

    def offset_ranges(self, query: Query) -> dict[PartitionId, OffsetRange]:
        """Return the offset ranges to read for a query, up to the current end."""
        partitions = self._lookup.partitions(self.names.dead_letters)
        begins, ends = self._lookup.begins(partitions), self._lookup.ends(partitions)
        if query.begin is not None:
            since = self._lookup.at(partitions, query.begin)
            begins = {one: max(begin, since[one]) for one, begin in begins.items()}
        found: dict[PartitionId, OffsetRange] = {}
        for one, begin in begins.items():
            named = [name.offset for name in query.filters.letters if name.partition == one[1]]
            if named:
                found[one] = OffsetRange(max(begin, min(named)), min(ends[one], max(named) + 1))
            elif not query.filters.letters:
                found[one] = OffsetRange(begin, ends[one])
        return found

    def read(self, query: Query, offset_ranges: Mapping[PartitionId, OffsetRange], what: str) -> Generator[DeadLetter]:
        """Yield the matching dead letters in offset ranges, with a progress bar named `what`; raises UserError."""
        total = sum(max(0, end - start) for start, end in offset_ranges.values())
        with (
            Reader(self._settings, f"{self.live.prefix}dead-letters.read", offset_ranges, defaults=_FETCH) as reader,
            bars() as on_progress,
        ):
            while reader.unread:
                read = reader.poll()
                on_progress(
                    what, sum(offset - offset_ranges[one].start for one, offset in reader.positions.items()), total
                )
                for partition, messages in read:
                    letters = (DeadLetter.of(partition, message) for message in messages if not is_end(message))
                    yield from (letter for letter in letters if letter in query)

    def resolutions(self) -> Resolutions:
        """Read the resolutions of all dead letters."""
        resolutions, whole = Resolutions(), self._lookup.whole(self.live.resolutions)
        with Reader(self._settings, f"{self.live.prefix}dead-letters.settled.read", whole) as reader:
            for message in reader.messages():
                try:
                    resolutions.take(message.key() or b"", message.value())
                except InvalidRecord as error:
                    place = f"{message.topic()}[{message.partition()}]@{message.offset()}"
                    _log.warning("%s is not a resolution and is skipped: %s", place, error)
        return resolutions

    def outdated(self, resolutions: Resolutions) -> list[bytes]:
        """Return the keys of resolutions whose dead letters retention has deleted, or whose replay job was deleted."""
        partitions = self._lookup.partitions(self.names.dead_letters)
        begins = {(self.owner, number): offset for (_, number), offset in self._lookup.begins(partitions).items()}
        gone = [Owner(job) for job in resolutions.jobs() if self.live.of_job(job).dead_letters not in self._known]
        return resolutions.outdated(begins, gone)
