"""Live topics whose records have the times that a test gives them, and a naive model of what is copied of them."""

import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import cast

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import NewTopic

from pipeline.kafka.admin import connect
from pipeline.kafka.offsets import OffsetLookup
from pipeline.model.replay_markers import END, ORIGIN, is_end
from streams.join.settings import JoinSettings
from streams.replay.plan import Plan, Planner, Selection
from tests.kit.records import key
from tests.kit.waiting import wait_for
from tracelink.kafka.topics import PartitionId, TopicNames

START = (round(time.time()) + 2000) * 1000
"""To come: the marks of transactions have the broker's time, and so are before all records."""
FAR = 1_200_000
"""Longer than any traffic, and not farther than the broker takes times that are to come."""
GAP = 1000
"""The join's idle gap, in milliseconds."""
PARTITIONS = 2

Place = tuple[str, int, int]
"""Topic, partition and offset."""
Headers = list[tuple[str, str | bytes | None]]
Row = tuple[bytes | None, bytes | None, int, Headers]
"""Key, value, time and headers of a record."""


NO_END = 1 << 61
"""A stream time behind all records: none is left to the live join."""


class Inputs:
    """The live topics, and those that a replay keeps its jobs in."""

    def __init__(self, servers: str, prefix: str) -> None:
        self.servers = servers
        self.names = TopicNames(prefix)
        self.settings = JoinSettings.load(
            kafka_bootstrap_servers=servers, topic_prefix=prefix, idle_gap=str(GAP / 1000)
        )
        self.admin = connect(self.settings)
        self.lookup = OffsetLookup(self.admin)
        topics = (*self.topics, self.names.traces, self.names.jobs)
        brokers = {"message.timestamp.type": "LogAppendTime"}
        new = [NewTopic(topic, PARTITIONS, 1, config=brokers if topic == self.names.jobs else {}) for topic in topics]
        made = self.admin.create_topics(new, operation_timeout=20)
        for future in made.values():
            future.result(30)
        self._producer = Producer({"bootstrap.servers": servers, "linger.ms": 1})
        self._transactional: Producer | None = None

    @property
    def topics(self) -> tuple[str, str, str]:
        return self.names.spans, self.names.logs, self.names.unlinked_logs

    @property
    def options(self) -> list[str]:
        """What a command needs to work on them."""
        return ["--kafka-bootstrap-servers", self.servers, "--topic-prefix", self.names.prefix]

    def put(self, topic: str, partition: int, rows: Iterable[Row]) -> None:
        for sent, value, stamp, headers in rows:
            self._producer.produce(topic, value, sent, partition, timestamp=stamp, headers=headers)
        assert self._producer.flush(20) == 0

    def put_span(self, trace: int, time: int, *, partition: int = 0) -> None:
        """Add a span of a trace, so long after the start."""
        self.put(self.names.spans, partition, [(key(trace), b"span", START + time, [])])

    def put_log(self, trace: int, time: int, *, partition: int = 0) -> None:
        self.put(self.names.logs, partition, [(key(trace), b"line", START + time, [])])

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[None]:
        """Put what is put meanwhile in a transaction."""
        if self._transactional is None:
            self._transactional = Producer({"bootstrap.servers": self.servers, "transactional.id": uuid.uuid4().hex})
            self._transactional.init_transactions(20)
        ordinary, self._producer = self._producer, self._transactional
        self._producer.begin_transaction()
        try:
            yield
            (self._producer.commit_transaction if commit else self._producer.abort_transaction)(20)
        finally:
            self._producer = ordinary

    def forget(self, topic: str, partition: int, before: int) -> None:
        """Delete the records before an offset, as retention does."""
        asked = TopicPartition(topic, partition, before)
        self.admin.delete_records([asked])[asked].result(20)

    def records(self) -> list[Message]:
        """Return all that there is now."""
        return self._read(self.topics)

    def begins(self) -> dict[PartitionId, int]:
        return self.lookup.begins([one for topic in self.topics for one in self.lookup.partitions(topic)])

    def plan(self, selection: Selection) -> Plan:
        planner = Planner(self.settings, self.lookup)
        return planner.plan(selection, planner.ranges(selection, NO_END), NO_END)

    def job(self, name: str) -> dict[PartitionId, list[Row]]:
        """Return what a job's topics have before their end markers, of which each partition has one, the last."""
        found: dict[PartitionId, list[Row]] = {}
        ends: dict[PartitionId, bytes | None] = {}
        names = self.names.of_job(name)
        topics = (names.spans, names.logs, names.unlinked_logs)
        partitions = {one for topic in topics for one in self.lookup.partitions(topic)}

        def committed() -> list[Message] | None:
            # The broker shows the end of a transaction in its partitions a little after the commit was answered.
            messages = self._read(topics)
            return messages if sum(map(is_end, messages)) >= len(partitions) else None

        for message in wait_for("an end marker in each partition", committed) or []:
            partition = place(message)[:2]
            assert partition not in ends
            if is_end(message):
                (end,) = cast("list[tuple[str, bytes | None]]", message.headers())
                assert end[0] == END
                ends[partition] = end[1]
            else:
                found.setdefault(partition, []).append(row_of(message))
        assert ends.keys() == partitions
        assert len(set(ends.values())) == 1
        return {one: found.get(one, []) for one in ends}

    def _read(self, topics: Iterable[str]) -> list[Message]:
        found: list[Message] = []
        unread = {one for topic in topics for one in self.lookup.partitions(topic)}
        consumer = Consumer(
            {
                "bootstrap.servers": self.servers,
                "group.id": f"{self.names.prefix}test",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,
            }
        )
        consumer.assign([TopicPartition(*one, offset) for one, offset in self.lookup.begins(unread).items()])

        def probe() -> bool:
            for message in consumer.consume(10_000, 0.05):
                error = message.error()
                if error is None:
                    found.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - confluent-kafka's name for it
                    unread.discard(place(message)[:2])
            return not unread

        wait_for(f"the ends of {', '.join(topics)}", probe)
        consumer.close()
        return found


def selection(
    begin: int, end: int, *, keys: Iterable[bytes] | None = None, numbers: Iterable[int] | None = None
) -> Selection:
    """Select what lies from so long after the start to so long."""
    return Selection(
        START + begin,
        START + end,
        GAP,
        None if keys is None else frozenset(keys),
        None if numbers is None else frozenset(numbers),
    )


def place(message: Message) -> Place:
    return message.topic() or "", message.partition() or 0, message.offset() or 0


def row_of(message: Message) -> Row:
    headers = cast("Headers", message.headers() or [])
    return message.key(), message.value(), message.timestamp()[1], headers


def copy_of(message: Message) -> Row:
    """Return a record as its copy is to be."""
    sent, value, time, headers = row_of(message)
    return sent, value, time, [(ORIGIN, str(message.offset()).encode()), *headers]


def copies(inputs: Inputs, job: str, selected: Iterable[Message]) -> dict[PartitionId, list[Row]]:
    """Return what a job's topics must have of what was chosen."""
    names = inputs.names.of_job(job)
    targets = dict(zip(inputs.topics, (names.spans, names.logs, names.unlinked_logs), strict=True))
    found: dict[PartitionId, list[Row]] = {
        (targets[topic], number): [] for topic in inputs.topics for _, number in inputs.lookup.partitions(topic)
    }
    for message in sorted(selected, key=place):
        topic, number, _ = place(message)
        found[targets[topic], number].append(copy_of(message))
    return found


def expected(inputs: Inputs, records: list[Message], asked: Selection) -> tuple[list[Message], int]:
    """Return which of all records are to be copied, and how many traces are cut, by walking through each trace."""
    is_in = within(asked)
    found: list[Message] = []
    traces: dict[tuple[int, bytes], list[Message]] = {}
    for message in records:
        topic, number, _ = place(message)
        if topic == inputs.names.unlinked_logs:
            found += [message] if asked.keys is None and asked.numbers is None and is_in(message) else []
        elif asked.numbers is not None and number not in asked.numbers:
            continue
        elif not message.key():
            found += [message] if asked.keys is None and is_in(message) else []
        elif asked.keys is None or message.key() in asked.keys:
            traces.setdefault((number, message.key() or b""), []).append(message)
    horizons = _horizons(inputs, records)
    cut = 0
    for (number, _), messages in traces.items():
        whole = _whole(messages, is_in)
        if whole and number in horizons and time_of(whole[0]) - horizons[number] <= GAP:
            cut += 1
        else:
            found += whole
    return found, cut


def time_of(message: Message) -> int:
    return message.timestamp()[1]


def within(asked: Selection) -> Callable[[Message], bool]:
    return lambda message: asked.begin <= time_of(message) < asked.end


def _whole(messages: list[Message], is_in: Callable[[Message], bool]) -> list[Message]:
    """Return a trace's records in the range, those between, and what comes before and after without too long a gap."""
    ordered = sorted(messages, key=time_of)
    inside = [index for index, message in enumerate(ordered) if is_in(message)]
    if not inside:
        return []
    first, last = inside[0], inside[-1]
    while first > 0 and time_of(ordered[first]) - time_of(ordered[first - 1]) <= GAP:
        first -= 1
    while last + 1 < len(ordered) and time_of(ordered[last + 1]) - time_of(ordered[last]) <= GAP:
        last += 1
    return ordered[first : last + 1]


def _horizons(inputs: Inputs, records: list[Message]) -> dict[int, int]:
    """Return the time before which a partition may have lost records, where it has lost any."""
    found: dict[int, int] = {}
    for (topic, number), begin in inputs.begins().items():
        times = [time_of(one) for one in records if place(one)[:2] == (topic, number)]
        if begin > 0 and times and topic != inputs.names.unlinked_logs:
            found[number] = max(found.get(number, 0), min(times))
    return found


def random_traffic(inputs: Inputs, chance: random.Random, *, traces: int = 40, span: int = 60_000) -> None:
    """Fill the inputs: traces with gaps about the longest allowed, some of one input alone, poison, and lost writes."""
    rows: dict[PartitionId, list[Row]] = {}
    pauses = (0, 1, 1, 300, GAP - 1, GAP, GAP, GAP + 1, 3 * GAP)
    for trace in range(1, traces + 1):
        number, time = trace % PARTITIONS, START + chance.randrange(0, span, 500)
        for step in range(chance.randint(1, 12)):
            time += chance.choice(pauses)
            topic = chance.choice((inputs.names.spans, inputs.names.logs))
            headers: Headers = [("of", b"%d" % step)] if chance.random() < 0.3 else []
            rows.setdefault((topic, number), []).append((key(trace), chance.randbytes(20), time, headers))
    for topic in inputs.topics:
        for number in range(PARTITIONS):
            odd: list[Row] = [
                (chance.choice((None, b"", b"no id")), chance.choice((None, b"?")), START + chance.randrange(span), [])
                for _ in range(4)
            ]
            rows.setdefault((topic, number), []).extend(odd)
    for (topic, number), some in rows.items():
        some.sort(key=lambda row: row[2])
        cuts = sorted(chance.sample(range(len(some) + 1), 2))
        for start, end in pairwise([0, *cuts, len(some)]):
            how = chance.choice(("plain", "commit", "abort and plain"))
            if how == "abort and plain":
                # Their times are no later than those of what follows: the broker's clock goes on.
                with inputs.transaction(commit=False):
                    inputs.put(topic, number, [(row[0], row[1], some[start][2], []) for row in some[start:end]])
            if how == "commit":
                with inputs.transaction(commit=True):
                    inputs.put(topic, number, some[start:end])
            else:
                inputs.put(topic, number, some[start:end])
