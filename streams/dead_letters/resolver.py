"""Redrives and discards dead letters: one Kafka transaction holds the messages and their resolutions."""

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
# After so many refusals in a row, the cause is Kafka and not the dead letters.
_NOT_TAKEN_IN_A_ROW = 3
_FENCED = frozenset(
    {
        errors.FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
    }
)


class Resolver:
    """Sends messages and resolutions. A context manager; a later resolver fences an earlier one.

    After it is entered, everything that others have committed can be read, and they can commit nothing more.
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
            # A commit needs a group member, even without offsets.
            self._member = reader.member()
            with self._explaining_errors():
                self._transactions.start()
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        # An open transaction was interrupted: abort it.
        self._stopping.set()
        with self._open:
            self._transactions.abandon()

    def wait(self, seconds: float) -> None:
        """Wait; Ctrl-C ends the wait."""
        self._stopping.wait(seconds)

    def resolve(self, batch: Sequence[Resolved]) -> list[Verdict]:
        """Resolve dead letters in one transaction; returns the verdict of each.

        If Kafka aborts it, they are sent one by one, so that only those that Kafka refuses fail.
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
        """Delete resolutions by tombstones."""
        with self._explaining_errors():
            for start in range(0, len(keys), _TOMBSTONES_AT_ONCE):
                for key in keys[start : start + _TOMBSTONES_AT_ONCE]:
                    self._transactions.send(self._live.resolutions, key, None)
                self._transactions.flush()
                self._transactions.commit([], self._member)

    def _resolve_one(self, one: Resolved) -> Verdict:
        letter, verdict = one
        why = ""
        for _ in range(_ATTEMPTS):  # after a refusal, the next transaction may abort although its message is valid
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
                f"Kafka no longer accepts dead letters: {why}. Repeat the command later: no dead letter is sent twice."
            )
        return Verdict(
            letter.name, Disposition.NOT_TAKEN, verdict.topic, verdict.count, f"Kafka does not accept it: {why}"
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
                    "Another redrive or discard has begun, and this one has ended. Repeat the command after the other "
                    "has ended: no dead letter is sent twice."
                ) from None
            raise UserError(f"Kafka does not accept the dead letters: {cause.str()}. Repeat the command.") from None
        except Aborted as error:
            raise UserError(f"Kafka does not accept the dead letters: {error}. Repeat the command.") from None


@dataclass(slots=True)
class Summary:
    """Counts of the verdicts; `topics` counts the sent messages by topic."""

    dispositions: Counter[Disposition] = field(default_factory=Counter)
    topics: Counter[str] = field(default_factory=Counter)
    refused: list[Verdict] = field(default_factory=list)
    forgotten: int = 0
    """Number of resolutions that were deleted because their dead letters no longer exist."""

    def add(self, verdict: Verdict) -> None:
        """Count a verdict."""
        self.dispositions[verdict.disposition] += 1
        if verdict.disposition in REFUSED:
            self.refused.append(verdict)
        elif verdict.disposition is Disposition.SENT and verdict.topic:
            self.topics[verdict.topic] += 1

    @property
    def to_do(self) -> int:
        """The number of dead letters to send or discard."""
        return self.dispositions[Disposition.SENT] + self.dispositions[Disposition.DISCARDED]


def plan(
    letters: Iterable[DeadLetter], judge: Judge, named: Iterable[Name], on_verdict: Callable[[Verdict], None]
) -> Summary:
    """Judge dead letters without any action; `on_verdict` is called for each."""
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
    """Resolve dead letters in transactions of some hundred, at most `rate` per second; keeps `summary` up to date."""
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
    """Dead letters of one transaction."""

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
    why = "it does not exist, or retention has deleted it, or a filter excludes it"
    return [Verdict(name, Disposition.MISSING, why=why) for name in sorted(names)]
