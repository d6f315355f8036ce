"""Redriving and discarding: what goes out and the mark that says so are one Kafka transaction."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import Event
from typing import Any, Self

from confluent_kafka import KafkaError, KafkaException

from pipeline.kafka.reader import Reader
from pipeline.kafka.transactions import Aborted, Transactions
from pipeline.model.redriven import REDRIVEN
from streams.dead_letters.letter import Letter
from streams.dead_letters.marks import MARK, Action, Mark, Source
from streams.dead_letters.verdict import Outcome, Verdict
from tracelink.errors import UserError
from tracelink.kafka import errors
from tracelink.kafka.client import PARTITIONER, client_properties
from tracelink.kafka.topics import TopicNames
from tracelink.settings import KafkaSettings

Settled = tuple[Letter, Verdict]

LETTERS_AT_ONCE = 500
BYTES_AT_ONCE = 8 * 1024 * 1024
_TOMBSTONES_AT_ONCE = 5000
_ATTEMPTS = 3
# Kafka takes none of them: it is not the letters.
_NOT_TAKEN_IN_A_ROW = 3
_LARGEST = 1_000_000_000
_FENCED = frozenset(
    {
        errors.FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
    }
)


class Settler:
    """Sends letters and marks; there is one at a time, whoever comes later takes over. A context manager.

    Once it is entered, all that another has committed can be read, and nothing more of it comes.
    """

    def __init__(self, settings: KafkaSettings, source: Source) -> None:
        self._live = TopicNames(settings.topic_prefix)
        self._source = source
        self._stopping = Event()
        self._not_taken = 0
        self._member: Any = None
        self._open = ExitStack()
        self._settings = settings
        properties = client_properties(
            settings,
            promised={
                "transactional.id": f"{self._live.prefix}redrive",
                "acks": "all",
                "enable.idempotence": True,
                # A letter goes where its key belongs, as it did at first.
                "partitioner": PARTITIONER,
            },
            # What the topics take they say themselves.
            defaults={"compression.type": "lz4", "message.max.bytes": _LARGEST, "linger.ms": 5},
        )
        self._transactions = Transactions(properties, self._stopping)

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            reader = opening.enter_context(Reader(self._settings, f"{self._live.prefix}redrive", {}))
            # A commit is that of a group's member, even of one that has no offsets to commit.
            self._member = reader.member()
            with self._told():
                self._transactions.start()
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        # Whatever is open now was interrupted: nothing of it goes out.
        self._stopping.set()
        with self._open:
            self._transactions.abandon()

    def wait(self, seconds: float) -> None:
        """Wait; Ctrl-C ends it."""
        self._stopping.wait(seconds)

    def settle(self, batch: Sequence[Settled]) -> list[Verdict]:
        """Send and mark letters, all in one transaction; returns what became of each.

        Where Kafka does not take them they are sent one by one, so that the one that it refuses is alone with that.
        """
        if not batch:
            return []
        with self._told():
            try:
                self._commit(batch)
            except Aborted:
                return [self._settle_one(one) for one in batch]
        return [verdict for _, verdict in batch]

    def forget(self, keys: Sequence[bytes]) -> None:
        """Write tombstones in place of marks."""
        with self._told():
            for start in range(0, len(keys), _TOMBSTONES_AT_ONCE):
                for key in keys[start : start + _TOMBSTONES_AT_ONCE]:
                    self._transactions.send(self._live.settled_letters, key, None)
                self._transactions.flush()
                self._transactions.commit([], self._member)

    def _settle_one(self, one: Settled) -> Verdict:
        letter, verdict = one
        why = ""
        for _ in range(_ATTEMPTS):  # after one that was refused, the next may be undone although it is sound
            try:
                self._commit([one])
            except Aborted as error:
                why = str(error)
            else:
                self._not_taken = 0
                return verdict
        self._not_taken += 1
        if self._not_taken >= _NOT_TAKEN_IN_A_ROW:
            raise UserError(
                f"Kafka takes no letter any more: {why}. Once it does, call this again: none goes out twice."
            )
        return Verdict(letter.name, Outcome.NOT_TAKEN, verdict.topic, verdict.count, f"Kafka does not take it: {why}")

    def _commit(self, batch: Iterable[Settled]) -> None:
        send = self._transactions.send
        now = time.time_ns() // 1_000_000
        for letter, verdict in batch:
            action: Action = "DISCARDED"
            if verdict.outcome is Outcome.SENT and verdict.topic:
                action = "REDRIVEN"
                send(verdict.topic, letter.key, letter.payload, [(REDRIVEN, str(verdict.count).encode())])
            mark = Mark(
                action=action,
                time=now,
                letterTimestamp=letter.timestamp,
                digest=letter.digest(),
                count=verdict.count,
            )
            send(self._live.settled_letters, self._source.key(letter.name), MARK.encode(mark))
        self._transactions.flush()
        self._transactions.commit([], self._member)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            cause = self._transactions.cause(error)
            if cause.code() in _FENCED:
                raise UserError(
                    "Another redrive or discard has begun, and this one has ended. Call it again when that is done: "
                    "none goes out twice."
                ) from None
            raise UserError(f"Kafka does not take dead letters back: {cause.str()}. Call this again.") from None
        except Aborted as error:
            raise UserError(f"Kafka does not take dead letters back: {error}. Call this again.") from None
