"""The worker's loop where a session ends by an error, and where partitions come and go within one fetch."""

import logging
from collections.abc import Callable, Container, Sequence
from threading import Event
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from prometheus_client import CollectorRegistry, Counter

from pipeline.kafka.offsets import OffsetLookup
from pipeline.kafka.transactions import Transactions
from streams.alerts.settings import AlertSettings
from streams.worker.clients import Clients
from streams.worker.engine import TransactionalWorker
from streams.worker.handler import Due, Outgoing, Turn
from tracelink.errors import UserError
from tracelink.kafka.topics import PartitionId

_HERE: PartitionId = ("errors", 0)
_SETTINGS = AlertSettings.load()

Callback = Callable[[object, list[TopicPartition]], None]
Fetch = Callable[["_Kafka"], list[Message]]


class _Kafka(Clients):
    """The consumer and the producer of a worker: its fetches are scripted, and it notes what is asked of it."""

    def __init__(self, fetches: Sequence[Fetch], refuses: KafkaError | None = None) -> None:
        super().__init__(_SETTINGS, "group")
        self._fetches = iter(fetches)
        self._refuses = refuses
        self._has = False
        self.asked: list[Any] = []
        self.stopping = Event()
        self.id = "a"
        self.rival = False
        self.unreachable: Exception | None = None

    def consumer(self) -> Consumer:
        return cast("Consumer", self)

    def transactions(self, stopping: Event) -> Transactions:
        assert stopping is self.stopping
        return cast("Transactions", self)

    def lookup(self, retry: object) -> OffsetLookup:
        return cast("OffsetLookup", retry)

    # The consumer

    def subscribe(self, _: Sequence[str], *, on_assign: Callback, on_revoke: Callback, on_lost: Callback) -> None:
        self._on_assign, self._on_revoke, self._on_lost = on_assign, on_revoke, on_lost

    def consume(self, _: int, timeout: float) -> list[Message]:
        assert timeout
        fetch = next(self._fetches, None)
        if fetch is None:
            self.stopping.set()
            return []
        return fetch(self)

    def come(self) -> None:
        self._has = True
        self._on_assign(self, [TopicPartition(*_HERE)])

    def go(self) -> None:
        self._has = False
        self._on_revoke(self, [TopicPartition(*_HERE)])

    def lose(self) -> None:
        self._has = False
        self._on_lost(self, [TopicPartition(*_HERE)])

    def memberid(self) -> str:
        return self.id

    def has_rival(self, own: Container[str], stopping: Event) -> bool:
        assert self.id in own
        assert stopping is self.stopping
        if self.unreachable is not None:
            raise self.unreachable
        return self.rival

    def consumer_group_metadata(self) -> str:
        return "member"

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        self.asked.append(("assign", [one.offset for one in partitions]))

    def resume(self, partitions: Sequence[TopicPartition]) -> None: ...

    def close(self) -> None:
        if self._has:
            self.go()

    # The producer

    def start(self) -> None: ...

    def poll(self) -> None: ...

    def send(self, _topic: str, _key: object, value: bytes, _headers: object, *, partition: int) -> None:
        assert partition == -1
        if self._refuses is not None:
            raise KafkaException(self._refuses)
        self.asked.append(("send", value))

    def write_journal(self, _: str, records: Sequence[object]) -> dict[int, list[int]]:
        assert not records
        return {}

    def commit(self, offsets: Sequence[TopicPartition], membership: str) -> None:
        assert membership == "member"
        self.asked.append(("commit", [one.offset for one in offsets]))

    def abandon(self) -> None:
        self.asked.append("abandon")

    def cause(self, error: KafkaException) -> KafkaError:
        return cast("KafkaError", error.args[0])


class _Copier:
    """A handler that copies what it reads, and fails at a broken message."""

    def __init__(self) -> None:
        self.group, self.journal, self.commit_interval = "group", "journal", 0.0
        self.topics: Sequence[str] = ("errors",)
        self.transactions = Counter("transactions", "By outcome.", ("outcome",), registry=CollectorRegistry())
        self._at: int | None = None
        self._unsent: list[bytes] = []

    def assign(self, partitions: Sequence[PartitionId], _: object) -> dict[PartitionId, int]:
        return dict.fromkeys(partitions, 7)

    def receive(self, _topic: str, _number: int, messages: Sequence[Message], _turn: Turn) -> None:
        # It notes where it is before it has done its part, as a handler may.
        self._at = (messages[-1].offset() or 0) + 1
        for message in messages:
            if message.value() == b"broken":
                raise OverflowError("a mistake of ours")
            self._unsent.append(message.value() or b"")

    def reach_end(self, topic: str, number: int, offset: int) -> None: ...

    def advance(self, _: Turn) -> list[Outgoing]:
        unsent, self._unsent = self._unsent, []
        return [Outgoing("out", None, value) for value in unsent]

    def due(self) -> Due | None:
        at = self._at
        return None if at is None else Due([], lambda _: [TopicPartition(*_HERE, at)])

    def settle(self, *, committed: bool) -> None:
        assert committed
        self._at = None

    def release(self, *, committed: bool) -> None:  # noqa: ARG002 - it holds nothing
        self._at = None

    def progress(self) -> dict[PartitionId, int]:
        return {}


def _comes(kafka: _Kafka) -> list[Message]:
    kafka.come()
    return []


def _brings(*values: bytes) -> Fetch:
    messages = [Message(topic=_HERE[0], partition=_HERE[1], offset=at, value=one) for at, one in enumerate(values, 7)]
    return lambda _: messages


def _run(kafka: _Kafka) -> list[Any]:
    TransactionalWorker(_Copier(), _SETTINGS, kafka.stopping, clients=kafka).run()
    return kafka.asked


def test_what_is_due_is_committed_in_each_turn() -> None:
    kafka = _Kafka([_comes, _brings(b"one", b"two")])
    assert _run(kafka)[2:] == [("send", b"one"), ("send", b"two"), ("commit", [9])]


def test_a_handler_that_fails_commits_nothing_on_its_way_out() -> None:
    kafka = _Kafka([_comes, _brings(b"good", b"broken", b"good")])
    with pytest.raises(OverflowError):
        _run(kafka)
    assert kafka.asked[2:] == ["abandon"]


def test_a_message_that_the_producer_refuses_is_not_committed_on_the_way_out() -> None:
    kafka = _Kafka([_comes, _brings(b"one")], refuses=KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    with pytest.raises(KafkaException):
        _run(kafka)
    assert kafka.asked[2:] == ["abandon"]


@pytest.mark.parametrize("leave", [_Kafka.go, _Kafka.lose])
def test_partitions_that_came_and_left_within_a_fetch_are_not_fetched(leave: Callable[[_Kafka], None]) -> None:
    def comes_and_leaves(kafka: _Kafka) -> list[Message]:
        kafka.come()
        leave(kafka)
        return []

    asked = _run(_Kafka([comes_and_leaves]))
    assert [one for one in asked if one != "abandon"] == [("assign", [7])]


def test_what_was_fetched_while_partitions_came_is_fetched_again() -> None:
    def brings_while_it_comes(kafka: _Kafka) -> list[Message]:
        kafka.come()
        return _brings(b"of the assignment before")(kafka)

    assert _run(_Kafka([brings_while_it_comes])) == [("assign", [7]), ("assign", [7])]


_FENCED = KafkaError(KafkaError.FENCED_INSTANCE_ID, "Broker: Static consumer fenced by other consumer", fatal=True)
_LOST = KafkaError(KafkaError._FATAL, "out of sequence", fatal=True)  # noqa: SLF001 - the client's name


def _fails(error: KafkaError, *, told_to_stop: bool = False) -> Fetch:
    def fetch(kafka: _Kafka) -> list[Message]:
        if told_to_stop:
            kafka.stopping.set()
        raise KafkaException(error)

    return fetch


def test_fences_are_answered_by_joining_again_where_no_other_worker_has_the_name() -> None:
    kafka = _Kafka([_comes, _fails(_FENCED), _comes, _fails(_FENCED), _comes, _fails(_FENCED), _comes, _brings(b"one")])
    assert _run(kafka)[-2:] == [("send", b"one"), ("commit", [8])]


def test_a_second_fence_ends_a_worker_whose_name_another_has() -> None:
    kafka = _Kafka([_comes, _fails(_FENCED), _comes, _fails(_FENCED)])
    kafka.rival = True
    with pytest.raises(UserError, match="Another worker has the instance id"):
        _run(kafka)


def test_a_worker_that_has_committed_since_a_fatal_error_joins_again_after_the_next() -> None:
    kafka = _Kafka([_comes, _fails(_LOST), _comes, _brings(b"one"), _fails(_LOST), _comes, _brings(b"two")])
    assert _run(kafka)[-2:] == [("send", b"two"), ("commit", [8])]


@pytest.mark.parametrize("why", [UserError("Kafka does not answer"), KafkaException(_FENCED)])
def test_a_coordinator_that_does_not_answer_knows_no_other_worker(why: Exception) -> None:
    kafka = _Kafka([_comes, _fails(_FENCED), _comes, _fails(_FENCED), _comes, _brings(b"one")])
    kafka.unreachable = why
    assert _run(kafka)[-2:] == [("send", b"one"), ("commit", [8])]


def test_a_second_fatal_error_that_is_no_fence_ends_a_worker_that_has_committed_nothing_since() -> None:
    with pytest.raises(UserError, match="repeatedly ended this worker's transactions: out of sequence"):
        _run(_Kafka([_comes, _fails(_LOST), _comes, _fails(_LOST)]))


@pytest.mark.parametrize("error", [_FENCED, _LOST])
def test_a_worker_that_was_told_to_stop_ends_well_though_it_is_fenced_again(error: KafkaError) -> None:
    kafka = _Kafka([_comes, _fails(error), _comes, _fails(error, told_to_stop=True)])
    kafka.rival = True
    _run(kafka)


def test_a_worker_that_was_told_to_stop_does_not_hide_an_error_of_another_kind() -> None:
    with pytest.raises(KafkaException):
        _run(_Kafka([_comes, _fails(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), told_to_stop=True)]))


def test_it_says_when_partitions_come(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        _run(_Kafka([_comes]))
    assert "assigned partitions [0]" in caplog.messages
