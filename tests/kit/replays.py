"""A replay job whose records a test copies itself."""

import uuid
from collections.abc import Callable, Iterable
from typing import cast

from confluent_kafka import Message, Producer

from pipeline.kafka.admin import connect, create_job
from pipeline.model.replay_markers import ORIGIN, end_headers
from pipeline.settings import names_of
from streams.join.settings import JoinSettings
from tests.kit.kafka import read_all
from tracelink.kafka.topics import TopicNames

Headers = list[tuple[str, str | bytes | None]]


class Job:
    """The topics of a job, and a copier of few records."""

    def __init__(self, servers: str, prefix: str, name: str, partitions: int) -> None:
        settings = JoinSettings.load(kafka_bootstrap_servers=servers, topic_prefix=prefix, replay=name)
        self.name = name
        self.names, self.live = names_of(settings), TopicNames(prefix)
        live_inputs = (self.live.spans, self.live.logs, self.live.unlinked_logs)
        create_job(connect(settings), settings, dict.fromkeys(live_inputs, partitions))
        self.servers = servers
        self._partitions = partitions
        self._producer = Producer({"bootstrap.servers": servers, "transactional.id": uuid.uuid4().hex})
        self._producer.init_transactions(20)

    @property
    def inputs(self) -> tuple[str, str, str]:
        """What a copier fills."""
        return self.names.spans, self.names.logs, self.names.unlinked_logs

    def copy(self, is_chosen: Callable[[Message], bool] = lambda _: True) -> None:
        """Copy what the live topics hold now."""
        for source, target in zip((self.live.spans, self.live.logs, self.live.unlinked_logs), self.inputs, strict=True):
            selected = filter(is_chosen, read_all(self.servers, source))
            self.put(target, (self._copied(message) for message in selected))

    @staticmethod
    def _copied(message: Message) -> tuple[int, bytes | None, bytes | None, int, Headers]:
        headers: Headers = [*cast("Headers", message.headers() or []), (ORIGIN, str(message.offset()).encode())]
        return message.partition() or 0, message.key(), message.value(), message.timestamp()[1], headers

    def put(
        self,
        topic: str,
        messages: Iterable[tuple[int, bytes | None, bytes | None, int, Headers]],
        *,
        commit: bool = True,
    ) -> None:
        """Write (partition, key, value, time, headers) in a transaction, which is left open without `commit`."""
        self._producer.begin_transaction()
        for partition, key, value, timestamp, headers in messages:
            self._producer.produce(topic, value, key, partition, timestamp=timestamp, headers=headers)
        assert self._producer.flush(20) == 0
        if commit:
            self.commit()

    def commit(self) -> None:
        self._producer.commit_transaction(20)

    def end(self, *topics: str, partitions: Iterable[int] | None = None) -> None:
        """Put end markers behind all, or some, partitions of topics."""
        for topic in topics:
            numbers = range(self._partitions) if partitions is None else partitions
            self.put(topic, [(number, None, None, 0, cast("Headers", end_headers())) for number in numbers])
