"""How the workers' Kafka clients are set: each property that a promise rests on, and why."""

from pipeline.settings import ReplayedSettings
from streams.worker.settings import WorkerSettings
from tracelink.kafka.client import PARTITIONER, Properties, client_properties, outside_group


def consumer_properties(settings: WorkerSettings, group: str) -> Properties:
    """Read as a static member of the group; of that of a replay job as one that leaves it when it is through."""
    lasting = settings.replay is None if isinstance(settings, ReplayedSettings) else True
    return client_properties(
        settings,
        promised={
            "group.id": group,
            **({"group.instance.id": settings.instance_id} if lasting else {}),
            "session.timeout.ms": round(settings.session_timeout * 1000),
            "enable.auto.commit": False,
            "auto.offset.reset": "error",  # retention that has passed the group must be loud
            "isolation.level": "read_committed",
            "partition.assignment.strategy": "range",  # the same partitions of both topics go to one worker
            "enable.partition.eof": True,
        },
        defaults={
            # A batch that unpacks to more than this would stop the worker, and again after every restart.
            "receive.message.max.bytes": 1_500_000_000,
            # Of each partition: the default of 100,000 is hundreds of megabytes where there is much to catch up with.
            "queued.min.messages": 20_000,
            # A queue that is full is looked at again after this time; after a second, the default, it has been empty
            # for most of it.
            "fetch.queue.backoff.ms": 20,
            # The end of an input is noticed within this time.
            "fetch.wait.max.ms": 100,
            "heartbeat.interval.ms": round(settings.session_timeout * 1000 / 4),
        },
    )


def producer_properties(settings: WorkerSettings, group: str) -> Properties:
    """Write in transactions, under an id that a restart takes over."""
    return client_properties(
        settings,
        promised={
            "transactional.id": f"{group}.{settings.instance_id}",
            "transaction.timeout.ms": round(settings.transaction_timeout * 1000),
            "acks": "all",
            "enable.idempotence": True,
            "partitioner": PARTITIONER,
            # The broker's limit counts what is compressed, and a dead letter may be larger than any record of ours.
            "message.max.bytes": 1_000_000_000,
        },
        defaults={
            "compression.type": "lz4",
            "linger.ms": 20,
            "queue.buffering.max.kbytes": 256 * 1024,
            # Bootstrapping anew, as the client else does where all brokers were away, makes it forget the group's
            # coordinator, and sending offsets then waits for ever (librdkafka #5511).
            "metadata.recovery.strategy": "none",
        },
    )


def reader_properties(settings: WorkerSettings, group: str) -> Properties:
    """Read what the worker has written itself to its end."""
    return outside_group(
        settings,
        f"{group}.reader",
        promised={
            "auto.offset.reset": "earliest",  # what retention took from a journal, it took from the inputs
            "enable.partition.eof": True,
        },
        # The session's as the other consumer's, so that a user's max.poll.interval.ms suits both.
        defaults={"fetch.wait.max.ms": 100, "session.timeout.ms": round(settings.session_timeout * 1000)},
    )
