"""The Kafka clients of a worker, and the reasons for their properties."""

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
# A rebalance in progress delays the time-out of a session.
_SESSIONS = 3


class Clients:
    """Makes the clients of a worker, new ones for each membership of its group; raises KafkaException."""

    def __init__(self, settings: WorkerSettings, group: str) -> None:
        self._settings = settings
        self._group = group

    def consumer(self) -> Consumer:
        """Return a consumer: a static group member; for a replay job a dynamic one, which leaves when it ends."""
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
                    "auto.offset.reset": "error",  # fail if retention deleted records that the group still needs
                    "isolation.level": "read_committed",
                    "partition.assignment.strategy": "range",  # one worker gets the same partition of all inputs
                    "enable.partition.eof": True,
                },
                defaults={
                    # The group expels a worker whose loop hangs no later than the watchdog ends it: the member stops
                    # its heartbeats after this time, and its session then times out.
                    "max.poll.interval.ms": round(
                        1000 * max(settings.session_timeout, settings.stuck_after - settings.session_timeout)
                    ),
                    # A batch that decompresses to more than this would stop the worker after every restart.
                    "receive.message.max.bytes": 1_500_000_000,
                    # For each partition: the default of 100,000 would be hundreds of megabytes at a large lag.
                    "queued.min.messages": 20_000,
                    # The client checks a full queue again after this time. With the default of a second, the queue
                    # would be empty for most of that time.
                    "fetch.queue.backoff.ms": 20,
                    # The worker notices the end of an input within this time.
                    "fetch.wait.max.ms": 100,
                    "heartbeat.interval.ms": round(settings.session_timeout * 1000 / 4),
                },
            )
        )
        return Consumer(properties, logger=client_log(__name__))

    def has_rival(self, own: Container[str], stopping: Event) -> bool:
        """Return True if another worker is in the group under this worker's instance id; asks the coordinator.

        This worker has left the group; `own` are the member ids that it had. A client that was closed while it joined
        never learned its last id. So this method waits until an unknown member without a process must have timed out.
        Returns False as soon as `stopping` is set. Always returns True for a replay job: its members have no instance
        ids.
        """
        settings = self._settings
        if names_of(settings).job is not None:
            return True
        admin = connect(settings)
        named = re.compile(rf"{re.escape(settings.instance_id)}-[0-9a-f-]{{36}}")  # the coordinator's form

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
        """Return a transactional producer; its id stays the same after a restart."""
        settings = self._settings
        properties = transactional_producer(
            settings,
            f"{self._group}.{settings.instance_id}",
            timeout=settings.transaction_timeout,
            defaults={"queue.buffering.max.kbytes": 256 * 1024},
        )
        return Transactions(properties, stopping)

    def lookup(self, retry: Retry) -> OffsetLookup:
        """Return a lookup of the offsets of partitions and groups."""
        return OffsetLookup(connect(self._settings), retry=retry)

    def reader(self, ranges: Mapping[PartitionId, OffsetRange]) -> Reader:
        """Return a reader of the journal; retention that deleted the journal's records deleted their inputs as well."""
        # The same session time-out as the consumer's, so that a user's max.poll.interval.ms suits both.
        defaults = {"session.timeout.ms": round(self._settings.session_timeout * 1000)}
        return Reader(self._settings, f"{self._group}.reader", ranges, patient=True, defaults={**defaults})
