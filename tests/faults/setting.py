"""What a run takes place in: topics of its own, workers, sinks behind proxies, and a supervisor for them."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Event, Thread
from uuid import uuid4

from pipeline.kafka.admin import apply, connect
from pipeline.kafka.offsets import OffsetLookup, group_offsets
from pipeline.settings import TopicSettings
from tests.faults.batch_join import Cuts
from tests.faults.probe import coordinated, starved
from tests.faults.recovery import Recovery, Start, read_log, slowest
from tests.faults.servers import Servers
from tests.faults.tail import Tail
from tests.kit.children import Child
from tests.kit.proxy import Proxy
from tracelink.settings import KafkaSettings

CUTS = Cuts(idle_gap=500, max_age=3000, max_records=40)
SESSION_SECONDS, TRANSACTION_SECONDS = 2.0, 3.0
STUCK_SECONDS = 8.0
_TICK = 0.1
_SECONDS_BETWEEN_LOOKS = 2.0
_RECOVERY_SECONDS = 60.0


@dataclass
class Setting:
    """A running pipeline under names of its own."""

    servers: Servers
    prefix: str
    indices: str
    partitions: int
    workers: list[Child]
    groupers: list[Child]
    """The workers that group errors."""
    sinks: dict[str, Child]
    proxies: dict[str, Proxy]
    tail: Tail
    environment: dict[str, str]
    folder: Path
    """For the processes' logs."""
    forked: bool
    """Whether processes are forked, which makes their starts shorter than those of a user's."""
    others: list[Child] = field(default_factory=list)
    """Processes that a scenario has added."""
    recoveries: list[Recovery] = field(default_factory=list)
    fault: str = ""
    """The fault that is under way."""
    left_alone: set[str] = field(default_factory=set)
    """Children and servers that are down on purpose: the supervisor does not start them."""
    restarts: Counter[str] = field(default_factory=Counter)
    """Starts of children that had ended by themselves."""
    _numbers: Iterator[int] = field(default_factory=count)

    @property
    def children(self) -> list[Child]:
        return [*self.workers, *self.groupers, *self.sinks.values(), *self.others]

    def add_worker(self) -> Child:
        """Add a worker under a name of its own; it is not started."""
        name = f"join-{next(self._numbers)}"
        self.workers.append(self._child(name, "join", "--instance-id", name))
        return self.workers[-1]

    def add_grouper(self) -> Child:
        """Add a worker that groups errors, under a name of its own; it is not started."""
        name = f"alerts-{len(self.groupers)}"
        self.groupers.append(self._child(name, "alerts", "--instance-id", name))
        return self.groupers[-1]

    def add(self, *arguments: str, **environment: str) -> Child:
        """Add a process of another kind, named after its command; it is not started."""
        self.others.append(
            Child(arguments[0], arguments, self.environment | environment, self.folder, forked=self.forked)
        )
        return self.others[-1]

    def _child(self, name: str, *arguments: str) -> Child:
        return Child(name, arguments, self.environment, self.folder, forked=self.forked)

    def remove(self, worker: Child) -> None:
        """Forget a worker that has ended for good."""
        self.workers.remove(worker)

    @property
    def group(self) -> str:
        return f"{self.prefix}join"

    def start(self) -> None:
        """Start all processes and wait until they are ready."""
        for child in self.children:
            child.start()
        for child in self.children:
            child.wait_until_ready()

    def supervise(self) -> None:
        """Start again what has ended by itself, as whoever runs the pipeline would."""
        for child in self.children:
            if child.started and child.name not in self.left_alone and not child.running:
                self.restarts[child.name] += 1
                child.start()

    @contextmanager
    def away(self, *children: Child) -> Iterator[None]:
        """Keep the supervisor from starting these again, and start them at the end."""
        names = {child.name for child in children}
        self.left_alone |= names
        try:
            yield
        finally:
            self.left_alone -= names
            for child in children:
                child.start()

    @contextmanager
    def server_away(self, name: str) -> Iterator[None]:
        """Keep the supervisor from starting a server again, and start it at the end."""
        self.left_alone.add(name)
        try:
            yield
        finally:
            self.servers.start()
            self.left_alone.discard(name)

    def recovered(self, since: float, start: Start | None = None) -> float:
        """Wait until every partition goes on after a moment (time of day); note and return the seconds it took."""
        began, before = time.monotonic(), starved()
        first = self.tail.first(self.partitions, since, seconds=_RECOVERY_SECONDS)
        took, after = time.monotonic() - began, starved()
        log = [line for file in self.folder.glob("join-*.log") for line in read_log(file.read_text())]
        share = None if before is None or after is None else (after - before) / took
        self.recoveries.append(Recovery(self.fault, slowest(since, log, first, time.time()), start, share))
        return self.recoveries[-1].seconds

    def recovered_from_start(self, began: float) -> float:
        """Do so after a broker that answers now and was started at a time of day; counts from its coordinators on."""
        answers = time.time()
        since = coordinated(self.servers.endpoints.kafka, self.group, f"{self.prefix}spans")
        return self.recovered(since, Start(answers - began, since - answers))

    @property
    def _kafka(self) -> KafkaSettings:
        return KafkaSettings(kafka_bootstrap_servers=self.servers.endpoints.kafka)

    def lookup(self) -> OffsetLookup:
        """Connect to ask where partitions end."""
        return OffsetLookup(connect(self._kafka))

    def problems_everywhere(self) -> bool:
        """Tell whether there is something to read in each partition of the problems."""
        topic = f"{self.prefix}problems"
        return all(self.lookup().ends([(topic, number) for number in range(self.partitions)]).values())

    def lags(self, lookup: OffsetLookup) -> dict[str, int]:
        """Return how far each group's committed offsets are from the ends of what it reads."""
        reads = {
            self.group: ("spans", "logs"),
            f"{self.prefix}alerts": ("error-traces", "errors"),
            f"{self.prefix}sink-zipkin": ("traces",),
            f"{self.prefix}sink-elasticsearch": ("traces", "unlinked-logs"),
        }
        return {group: self._lag(lookup, group, topics) for group, topics in reads.items()}

    def _lag(self, lookup: OffsetLookup, group: str, topics: tuple[str, ...]) -> int:
        where = [(self.prefix + topic, number) for topic in topics for number in range(self.partitions)]
        ends = lookup.ends(where, committed=False)
        found = group_offsets(self._kafka, group, where, stable=False)
        return sum(ends[one] - max(0, found[one].offset) for one in where)


@contextmanager
def setting(
    servers: Servers,
    folder: Path,
    *,
    workers: int = 3,
    groupers: int = 1,
    partitions: int = 6,
    running: bool = True,
    forked: bool = False,
    **more: str,
) -> Iterator[Setting]:
    """Set up topics, workers and sinks, and take the processes down at the end; `more` are settings of theirs.

    Without `running`, the topics alone are there until `start` is called.
    """
    name = f"f{uuid4().hex[:8]}"
    topics = TopicSettings(
        kafka_bootstrap_servers=servers.endpoints.kafka,
        topic_prefix=f"{name}.",
        partitions=partitions,
        join_group=f"{name}.join",
    )
    apply(connect(topics), topics)
    with ExitStack() as resources:
        proxies = {
            target: resources.enter_context(Proxy(url))
            for target, url in (
                ("zipkin", servers.endpoints.zipkin),
                ("elasticsearch", servers.endpoints.elasticsearch),
            )
        }
        environment = {
            "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": servers.endpoints.kafka,
            "TRACELINK_ZIPKIN_URL": proxies["zipkin"].url,
            "TRACELINK_ELASTICSEARCH_URL": proxies["elasticsearch"].url,
            "TRACELINK_TOPIC_PREFIX": f"{name}.",
            "TRACELINK_INDEX_PREFIX": f"{name}-",
            "TRACELINK_JOIN_GROUP": f"{name}.join",
            "TRACELINK_ALERTS_GROUP": f"{name}.alerts",
            "TRACELINK_IDLE_GAP": str(CUTS.idle_gap / 1000),
            "TRACELINK_MAX_AGE": str(CUTS.max_age / 1000),
            "TRACELINK_MAX_TRACE_RECORDS": str(CUTS.max_records),
            "TRACELINK_SESSION_TIMEOUT": str(SESSION_SECONDS),
            "TRACELINK_TRANSACTION_TIMEOUT": str(TRANSACTION_SECONDS),
            "TRACELINK_STUCK_AFTER": str(STUCK_SECONDS),
            "TRACELINK_BATCH_WAIT": "0.2",
            "TRACELINK_REQUEST_TIMEOUT": "5",
            **more,
        }
        made = Setting(
            servers=servers,
            prefix=f"{name}.",
            indices=f"{name}-",
            partitions=partitions,
            workers=[],
            groupers=[],
            folder=folder,
            forked=forked,
            sinks={
                target: Child(
                    target,
                    ("sink", target),
                    environment
                    | {"TRACELINK_SINK_GROUP": f"{name}.sink-{target}"}
                    | {
                        "TRACELINK_KAFKA_SESSION_TIMEOUT_MS": str(round(SESSION_SECONDS * 1000)),
                        "TRACELINK_KAFKA_HEARTBEAT_INTERVAL_MS": "500",
                    },
                    folder,
                    forked=forked,
                )
                for target in proxies
            },
            proxies=proxies,
            tail=resources.enter_context(Tail(servers.endpoints.kafka, f"{name}.closed.{name}.join")),
            environment=environment,
        )
        for _ in range(workers):
            made.add_worker()
        for _ in range(groupers):
            made.add_grouper()
        resources.callback(_take_down, made)
        resources.enter_context(_supervised(made))
        if running:
            made.start()
        yield made


@contextmanager
def _supervised(one: Setting) -> Iterator[None]:
    ended = Event()

    def run() -> None:
        while not ended.wait(_TICK):
            one.supervise()

    def run_servers() -> None:
        while not ended.wait(_SECONDS_BETWEEN_LOOKS):
            one.servers.revive(but=one.left_alone)

    threads = [Thread(target=run, name="supervisor"), Thread(target=run_servers, name="supervisor of the servers")]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _take_down(one: Setting) -> None:
    for child in one.children:
        child.kill()
