"""How a worker's Kafka clients are set: each property that a promise rests on, and why."""

import re
from collections.abc import Container, Mapping
from threading import Event
from typing import Any

from confluent_kafka import Consumer
from tenacity import Retrying, retry_if_result, stop_after_delay, stop_when_event_set, wait_fixed

from pipeline.kafka.admin import connect, member_ids
from pipeline.kafka.offsets import OffsetLookup, OffsetRange, Retry
from pipeline.kafka.reader import Reader
from pipeline.kafka.transactions import Transactions, transactional_producer
from pipeline.settings import names_of
from streams.worker.settings import WorkerSettings
from tracelink.kafka.client import client_log, client_properties
from tracelink.kafka.topics import PartitionId

_LOOK_EVERY = 0.2
# A rebalance that goes on puts the time-out of a session off.
_SESSIONS = 3


class Clients:
    """Makes the clients of a worker, for one membership of its group after another; raises KafkaException."""

    def __init__(self, settings: WorkerSettings, group: str) -> None:
        self._settings = settings
        self._group = group

    def consumer(self) -> Consumer:
        """Read as a static member of the group; of that of a replay job as one that leaves it at its end."""
        settings = self._settings
        static = {"group.instance.id": settings.instance_id} if names_of(settings).job is None else {}
        properties: dict[str, Any] = dict(
            client_properties(
                settings,
                promised={
                    "group.id": self._group,
                    **static,
                    "session.timeout.ms": round(settings.session_timeout * 1000),
                    "enable.auto.commit": False,
                    "auto.offset.reset": "error",  # retention that has passed the group must be loud
                    "isolation.level": "read_committed",
                    "partition.assignment.strategy": "range",  # equal numbers of all inputs go to one worker
                    "enable.partition.eof": True,
                },
                defaults={
                    # A worker that hangs holds the group for no longer than until it is taken for stuck: its member
                    # stops its heartbeats after this time, and is out when its session has timed out.
                    "max.poll.interval.ms": round(
                        1000 * max(settings.session_timeout, settings.stuck_after - settings.session_timeout)
                    ),
                    # A batch that unpacks to more than this would stop the worker, and again after every restart.
                    "receive.message.max.bytes": 1_500_000_000,
                    # Of each partition: the default of 100,000 is hundreds of megabytes where there is much to catch
                    # up with.
                    "queued.min.messages": 20_000,
                    # A queue that is full is looked at again after this time; after a second, the default, it has been
                    # empty for most of it.
                    "fetch.queue.backoff.ms": 20,
                    # The end of an input is noticed within this time.
                    "fetch.wait.max.ms": 100,
                    "heartbeat.interval.ms": round(settings.session_timeout * 1000 / 4),
                },
            )
        )
        return Consumer(properties, logger=client_log(__name__))

    def has_rival(self, own: Container[str], stopping: Event) -> bool:
        """Tell whether another worker has this one's name in the group, which it has left; asks the coordinator.

        `own` are the ids that it had itself. A client that was closed while it joined never learned its last one: so a
        member of another id is asked after until it must have timed out, if nobody is behind it. False also once
        `stopping` is set. The group of a replay job knows no names: there may always be another.
        """
        settings = self._settings
        if names_of(settings).job is not None:
            return True
        admin = connect(settings)
        named = re.compile(rf"{re.escape(settings.instance_id)}-[0-9a-f-]{{36}}")  # as the coordinator makes ids

        def is_there() -> bool:
            return any(named.fullmatch(one) and one not in own for one in member_ids(admin, self._group))

        stays: bool = Retrying(
            retry=retry_if_result(bool),
            wait=wait_fixed(_LOOK_EVERY),
            stop=stop_after_delay(_SESSIONS * settings.session_timeout) | stop_when_event_set(stopping),
            retry_error_callback=lambda _: not stopping.is_set(),
        )(is_there)
        return stays

    def transactions(self, stopping: Event) -> Transactions:
        """Write in transactions, under an id that a restart takes over."""
        settings = self._settings
        properties = transactional_producer(
            settings,
            f"{self._group}.{settings.instance_id}",
            timeout=settings.transaction_timeout,
            defaults={"queue.buffering.max.kbytes": 256 * 1024},
        )
        return Transactions(properties, stopping)

    def lookup(self, retry: Retry) -> OffsetLookup:
        """Ask the brokers where partitions and groups are."""
        return OffsetLookup(connect(self._settings), retry=retry)

    def reader(self, ranges: Mapping[PartitionId, OffsetRange]) -> Reader:
        """Read what the worker has written itself; what retention took of that, it took of the inputs."""
        # The session's time-out as the consumer's, so that a user's max.poll.interval.ms suits both.
        defaults = {"session.timeout.ms": round(self._settings.session_timeout * 1000)}
        return Reader(self._settings, f"{self._group}.reader", ranges, patient=True, defaults={**defaults})
