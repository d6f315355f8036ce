"""Redriving and discarding: letters are judged; what goes out and the mark that says so are one Kafka transaction."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Self

from confluent_kafka import KafkaError, KafkaException

from pipeline.kafka.reader import Reader
from pipeline.kafka.transactions import Aborted, Transactions, transactional_producer
from pipeline.model.dead_letters import REDRIVEN
from streams.dead_letters.dead_letter import DeadLetter, Name
from streams.dead_letters.resolutions import RESOLUTION, Action, Owner, Resolution
from streams.dead_letters.verdict import REFUSED, Disposition, Verdict
from tracelink.errors import UserError
from tracelink.kafka import errors
from tracelink.kafka.topics import TopicNames
from tracelink.settings import KafkaSettings

Resolved = tuple[DeadLetter, Verdict]
Judge = Callable[[DeadLetter], Verdict]

_LETTERS_AT_ONCE = 500
_BYTES_AT_ONCE = 8 * 1024 * 1024
_TOMBSTONES_AT_ONCE = 5000
_ATTEMPTS = 3
# Kafka takes none of them: it is not the letters.
_NOT_TAKEN_IN_A_ROW = 3
_FENCED = frozenset(
    {
        errors.FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
    }
)


class Resolver:
    """Sends letters and marks; there is one at a time, whoever comes later takes over. A context manager.

    Once it is entered, all that another has committed can be read, and nothing more of it comes.
    """

    def __init__(self, settings: KafkaSettings, owner: Owner) -> None:
        self._live = TopicNames(settings.topic_prefix)
        self._owner = owner
        self._stopping = Event()
        self._not_taken = 0
        self._member: Any = None
        self._open = ExitStack()
        self._settings = settings
        properties = transactional_producer(settings, f"{self._live.prefix}redrive", defaults={"linger.ms": 5})
        self._transactions = Transactions(properties, self._stopping)

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            reader = opening.enter_context(Reader(self._settings, f"{self._live.prefix}redrive", {}))
            # A commit is that of a group's member, even of one that has no offsets to commit.
            self._member = reader.member()
            with self._explaining_errors():
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

    def resolve(self, batch: Sequence[Resolved]) -> list[Verdict]:
        """Send and mark letters, all in one transaction; returns what became of each.

        Where Kafka does not take them they are sent one by one, so that the one that it refuses is alone with that.
        """
        if not batch:
            return []
        with self._explaining_errors():
            try:
                self._commit(batch)
            except Aborted:
                return [self._resolve_one(one) for one in batch]
        return [verdict for _, verdict in batch]

    def forget(self, keys: Sequence[bytes]) -> None:
        """Write tombstones in place of marks."""
        with self._explaining_errors():
            for start in range(0, len(keys), _TOMBSTONES_AT_ONCE):
                for key in keys[start : start + _TOMBSTONES_AT_ONCE]:
                    self._transactions.send(self._live.resolutions, key, None)
                self._transactions.flush()
                self._transactions.commit([], self._member)

    def _resolve_one(self, one: Resolved) -> Verdict:
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
        return Verdict(
            letter.name, Disposition.NOT_TAKEN, verdict.topic, verdict.count, f"Kafka does not take it: {why}"
        )

    def _commit(self, batch: Iterable[Resolved]) -> None:
        send = self._transactions.send
        now = time.time_ns() // 1_000_000
        for letter, verdict in batch:
            action: Action = "DISCARDED"
            if verdict.disposition is Disposition.SENT and verdict.topic:
                action = "REDRIVEN"
                send(verdict.topic, letter.key, letter.payload, [(REDRIVEN, str(verdict.count).encode())])
            resolution = Resolution(
                action=action,
                time=now,
                letterTimestamp=letter.timestamp,
                digest=letter.digest(),
                count=verdict.count,
            )
            send(self._live.resolutions, self._owner.key(letter.name), RESOLUTION.encode(resolution))
        self._transactions.flush()
        self._transactions.commit([], self._member)

    @contextmanager
    def _explaining_errors(self) -> Iterator[None]:
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


@dataclass(slots=True)
class Summary:
    """What became of the letters; `topics` are those that letters were sent to."""

    dispositions: Counter[Disposition] = field(default_factory=Counter)
    topics: Counter[str] = field(default_factory=Counter)
    refused: list[Verdict] = field(default_factory=list)
    forgotten: int = 0
    """Marks that were deleted because their letters are no more."""

    def add(self, verdict: Verdict) -> None:
        """Count what became of a letter."""
        self.dispositions[verdict.disposition] += 1
        if verdict.disposition in REFUSED:
            self.refused.append(verdict)
        elif verdict.disposition is Disposition.SENT and verdict.topic:
            self.topics[verdict.topic] += 1

    @property
    def to_do(self) -> int:
        """How many letters are sent or discarded."""
        return self.dispositions[Disposition.SENT] + self.dispositions[Disposition.DISCARDED]


def plan(
    letters: Iterable[DeadLetter], judge: Judge, named: Iterable[Name], on_verdict: Callable[[Verdict], None]
) -> Summary:
    """Judge letters and do nothing; `on_verdict` is called for each."""
    summary, missing = Summary(), set(named)
    for letter in letters:
        verdict = judge(letter)
        missing.discard(letter.name)
        summary.add(verdict)
        on_verdict(verdict)
    for verdict in _missing(missing):
        summary.add(verdict)
        on_verdict(verdict)
    return summary


def carry_out(
    letters: Iterable[DeadLetter],
    judge: Judge,
    resolver: Resolver,
    summary: Summary,
    *,
    named: Iterable[Name] = (),
    rate: float | None = None,
) -> None:
    """Settle letters, so many a second, a transaction for some hundred; `summary` tells at any time what is done."""
    missing = set(named)
    batch = _Batch(resolver, summary, rate)
    for letter in letters:
        verdict = judge(letter)
        missing.discard(letter.name)
        if verdict.disposition in {Disposition.SENT, Disposition.DISCARDED}:
            batch.add((letter, verdict))
        else:
            summary.add(verdict)
    batch.resolve()
    for verdict in _missing(missing):
        summary.add(verdict)


class _Batch:
    """Letters that go out together."""

    def __init__(self, resolver: Resolver, summary: Summary, rate: float | None) -> None:
        self._resolver = resolver
        self._summary = summary
        self._rate = rate
        self._most = _LETTERS_AT_ONCE if rate is None else max(1, min(_LETTERS_AT_ONCE, int(rate)))
        self._due = time.monotonic()
        self._letters: list[Resolved] = []
        self._bytes = 0

    def add(self, one: Resolved) -> None:
        self._letters.append(one)
        self._bytes += one[0].size
        if len(self._letters) >= self._most or self._bytes >= _BYTES_AT_ONCE:
            self.resolve()

    def resolve(self) -> None:
        if self._rate is not None and self._letters:
            self._resolver.wait(max(0.0, self._due - time.monotonic()))
            self._due = max(self._due, time.monotonic()) + len(self._letters) / self._rate
        for verdict in self._resolver.resolve(self._letters):
            self._summary.add(verdict)
        self._letters, self._bytes = [], 0


def _missing(names: Iterable[Name]) -> list[Verdict]:
    why = "there is no such letter, or retention has passed it, or a filter leaves it out"
    return [Verdict(name, Disposition.MISSING, why=why) for name in sorted(names)]
