"""The comparison: reads the messages that the sinks had to write, and looks them up in the stores."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from confluent_kafka.admin import AdminClient

from pipeline.kafka.offsets import OffsetLookup
from pipeline.settings import WindowSettings, names_of
from sinks.base.contract import Part, SourceMessage, UnlinkedLog
from sinks.base.decoding import decode, record_kinds
from sinks.elasticsearch.settings import ElasticsearchSettings
from sinks.verify import elasticsearch, zipkin
from sinks.verify.dead_lettered import DeadLettered, read_dead_letters
from sinks.verify.elasticsearch import ElasticsearchStore
from sinks.verify.gaps import Gaps
from sinks.verify.read import CommittedOffsets, JoinedInput, committed, topics_of
from sinks.verify.tally import Judged, Position, Tally
from sinks.verify.zipkin import ZipkinStore
from sinks.zipkin.settings import ZipkinSettings
from tracelink.errors import Unavailable, UserError
from tracelink.kafka.topics import TopicNames

if TYPE_CHECKING:
    from sinks.base.settings import TraceSinkSettings

Store = ElasticsearchStore | ZipkinStore
Advance = Callable[[int, int], None]
"""Called with the number of messages done, and their total."""


class AllSettings(NamedTuple):
    """The settings of the join and the sinks that are verified."""

    join: WindowSettings
    elasticsearch: ElasticsearchSettings
    zipkin: ZipkinSettings


@dataclass(slots=True)
class Verified:
    """The result of a comparison."""

    tally: Tally = field(default_factory=Tally)
    gaps: Gaps = field(default_factory=Gaps)
    available_since: int | None = None
    """The earliest time that can be verified (ms), if retention has deleted older parts; else None."""
    unseen: int = 0
    """Spans that could not be verified, because Zipkin does not show their trace completely."""
    unreadable: int = 0
    """Spans that could not be verified, because Zipkin cannot show their trace at all."""


def verify(
    settings: AllSettings, admin: AdminClient, begin: int, end: int, *, only: str | None, on_progress: Advance
) -> Verified:
    """Compare a time range (milliseconds) with both stores or `only` one; raises UserError."""
    names = names_of(settings.join)
    found = Verified()
    dead_lettered = DeadLettered(topics_of(names))
    with ExitStack() as stores:
        # Offsets first: messages before them are already written or dead-lettered.
        due = _due(settings, admin, names)
        asked: list[Store] = []
        try:
            if only != zipkin.NAME:
                asked.append(stores.enter_context(closing(ElasticsearchStore(settings.elasticsearch, dead_lettered))))
            if only != elasticsearch.NAME:
                asked.append(stores.enter_context(closing(ZipkinStore(settings.zipkin, dead_lettered))))
            for store in asked:
                store.check()
            for _ in read_dead_letters(settings.join, admin, names, begin, dead_lettered):
                on_progress(0, 1)
            joined_input = JoinedInput(settings.join, admin, begin, end, unlinked=only != zipkin.NAME)
            for messages in joined_input.read():
                for judged in _judge(messages, names, asked, due):
                    found.tally.add(judged)
                    found.gaps.add(judged)
                on_progress(joined_input.done, joined_input.total)
        except Unavailable as error:
            # One that answered, but not as it should, is running.
            hint = " Is it running? `tracelink stack up` starts one on this machine." if error.__cause__ else ""
            raise UserError(f"{error}.{hint}") from None
        found.available_since = joined_input.available_since
        for store in asked:
            if isinstance(store, ZipkinStore):
                found.unseen, found.unreadable = store.unseen, store.unreadable
    return found


def _due(settings: AllSettings, admin: AdminClient, names: TopicNames) -> dict[str, CommittedOffsets]:
    lookup = OffsetLookup(admin)
    partitions = [*lookup.partitions(names.traces), *lookup.partitions(names.unlinked_logs)]
    of: dict[str, TraceSinkSettings] = {
        elasticsearch.NAME: settings.elasticsearch,
        zipkin.NAME: settings.zipkin,
    }
    return {name: committed(one, one.group(name), partitions) for name, one in of.items()}


def _judge(
    messages: Sequence[SourceMessage], names: TopicNames, stores: Iterable[Store], due: Mapping[str, CommittedOffsets]
) -> list[Judged]:
    """Look up the records of messages in the stores; returns the counts of each message."""
    kinds = record_kinds(names)
    batch = decode(messages, kinds)
    all_judged = {_position(message): _unjudged(message) for message in messages}
    for letter in batch.dead_letters:
        all_judged[_position(letter.message)].counts.dead_letters += 1
    for part in batch.parts:
        judged, trace = all_judged[_position(part.message)], part.trace
        judged.opened, judged.closed, judged.trace_id = trace["opened"], trace["closed"], trace["traceId"]
        judged.counts.parts, judged.counts.spans, judged.counts.lines = 1, len(trace["spans"]), len(trace["logs"])
    for log in batch.unlinked:
        all_judged[_position(log.message)].counts.lines = 1
    for store in stores:
        records: list[Part | UnlinkedLog] = [*batch.parts]
        if store.name == elasticsearch.NAME:
            records += batch.unlinked
        ready: list[tuple[Part | UnlinkedLog, Judged]] = []
        for record in records:
            judged = all_judged[_position(record.message)]
            if due[store.name].covers(record.message.partition, record.message.origin.offset):
                ready.append((record, judged))
            else:
                judged.counts.pending = 1
        store.judge(ready)
    return list(all_judged.values())


def _position(message: SourceMessage) -> Position:
    return Position(*message.partition, message.origin.offset)


def _unjudged(message: SourceMessage) -> Judged:
    return Judged(_position(message), message.origin.timestamp, message.origin.timestamp, None)
