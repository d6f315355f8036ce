"""The loop of all sinks: poll a batch, decode, write, commit it. While one batch is written, the next is prepared.

Batches are written and committed strictly one after the other. If the target is unavailable, the runner pauses the
partitions, retries the same batch with exponential backoff, and keeps polling so that it stays in its group. Any other
failure ends the process without a commit; the next process starts with that batch.

The watchdog excuses a slow call of the sink for three request timeouts; after that it counts against `stuck_after`.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import wait
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential, wait_random

from pipeline.failpoints import Failpoint, hit
from pipeline.runtime.watchdog import Watchdog
from pipeline.settings import names_of
from sinks.base.background import start
from sinks.base.contract import Batch, Kind, Outcome, Report, Sink
from sinks.base.dead_letters import DeadLetters
from sinks.base.decoding import decode, record_kinds
from sinks.base.metrics import SinkMetrics
from sinks.base.settings import SinkSettings
from sinks.base.source import Gathered, Source
from tracelink.errors import Unavailable

if TYPE_CHECKING:
    from tracelink.kafka.topics import PartitionId

_log = logging.getLogger(__name__)
T = TypeVar("T")

_TICK = 0.2
_READ_EVERY = 0.01
# A call may make several requests, each bounded by the request timeout. One that takes longer than this many timeouts
# hangs, or reads an endless response.
_SLOW_REQUESTS = 3


class _Stopped(Exception):
    """The process is stopping; the current batch stays uncommitted."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A batch that is ready to be written, and the messages that it was decoded from."""

    gathered: Gathered
    batch: Batch


@dataclass(frozen=True, slots=True)
class _Written:
    """A batch that was written, without the partitions that were revoked before, and its report."""

    gathered: Gathered
    held: Batch
    report: Report


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the runner waits, in seconds."""

    first_retry: float = 0.25
    longest_retry: float = 15.0
    before_pause: float = 2.0
    """If a call of the sink takes longer and the next batch is prepared, the partitions are paused. Not sooner, because
    a pause discards prefetched messages."""
    at_stop: float = 5.0
    """A write that is running at a stop may take this long; then it is left uncommitted."""
    between_checks: float = 10.0


class Runner:
    """Runs one sink until it is stopped, or until a replay is drained.

    `stop` may be set from a signal handler or another thread.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        topics: tuple[str, ...],
        settings: SinkSettings,
        metrics: SinkMetrics,
        *,
        clock: Callable[[], float] = time.time,
        patience: Patience | None = None,
    ) -> None:
        self._name = name
        self._sink = sink
        self._topics = topics
        self._settings = settings
        names = names_of(settings)
        self._job = names.job
        self.group = settings.group(name)
        self._kinds = record_kinds(names)
        self._tally = Counter[str]()
        self._metrics = metrics
        self._clock = clock
        self._patience = patience or Patience()
        self.watchdog = Watchdog(settings.stuck_after + settings.batch_wait)
        self._stop = Event()
        self._unavailable: str | None = f"{name} has not answered yet"
        self._assigned = False
        self._checked = 0.0
        self._shown: set[PartitionId] = set()
        self._next: _Prepared | None = None
        self._written: _Written | None = None

    def not_ready(self) -> str | None:
        """Return why the sink is not ready, or None if it has partitions, its target answers, and it makes progress."""
        return self.watchdog.not_ready() or self._unavailable or (None if self._assigned else "no partitions assigned")

    def stop(self) -> None:
        """End the loop within seconds; the current batch is then either committed or left uncommitted."""
        self._stop.set()

    def run(self) -> None:
        """Run until stopped or drained; raises Refused, KafkaException, and any unexpected exception."""
        letters = DeadLetters(self._settings, self._name, self.group, self._stop)
        source = Source(self._settings, self.group, self._topics, ends=self._job is not None)
        try:
            try:
                self._check(source)
                while not (self._stop.is_set() or source.drained):
                    self._turn(source, letters)
            except _Stopped:
                _log.info("Stopped; the next start reads the unwritten messages again.")
            self._commit_written(source)
            if source.drained:
                done = ", ".join(f"{number} {what}" for what, number in sorted(self._tally.items()))
                _log.info("replay %s: all partitions of this process are done; %s", self._job, done or "nothing")
        finally:
            source.close()

    def _turn(self, source: Source, letters: DeadLetters) -> None:
        """Write the next batch. Commit it at once or, if the following batch is ready, while that one is written."""
        prepared = self._take_next(source)
        if prepared.batch:
            self._deliver(source, letters, prepared)
            if self._next is None:
                self._commit_written(source)
            return
        if time.monotonic() - self._checked > self._patience.between_checks:
            self._check(source)
        source.commit(prepared.gathered)
        self._show(source)

    def _check(self, source: Source) -> None:
        self._persist(source, lambda: self._call(source, self._sink.check))

    def _take_next(self, source: Source) -> _Prepared:
        """Return the batch that was prepared during the last write, or else read one."""
        prepared, self._next = self._next, None
        source.resume()
        return prepared or self._prepare(source.gather(self._stop))

    def _prepare(self, gathered: Gathered) -> _Prepared:
        return _Prepared(gathered, decode(gathered.messages, self._kinds, logs=self._sink.takes_logs))

    def _deliver(self, source: Source, letters: DeadLetters, prepared: _Prepared) -> None:
        """Write a batch without revoked partitions; then send its dead letters together with its offsets."""
        gathered, batch = prepared.gathered, prepared.batch
        self._metrics.received.inc(_parts(batch, self._kinds))
        held = batch

        def write() -> Report:
            nonlocal held
            held = held.without(gathered.lost)
            hit(Failpoint.SINK_BEFORE_WRITE)
            return self._call(source, lambda: self._sink.write(held))

        def dead_letter() -> None:
            # Partitions may be revoked meanwhile; their next owner finds the same dead letters.
            ours = [letter for letter in dead if letter.message.partition not in gathered.lost]
            offsets, member = gathered.mine(), source.member()
            if ours:
                self._call(source, lambda: letters.send(ours, offsets, member))
                source.committed(offsets)

        try:
            if self._stop.is_set():
                raise _Stopped
            report = self._persist(source, write)
            hit(Failpoint.SINK_WRITTEN)
            dead = [*held.dead_letters, *report.dead_letters]
            if dead:
                self._persist(source, dead_letter)
        except _Stopped:
            self._release(batch, Batch())
            raise
        self._release(batch, held)
        self._written = _Written(gathered, held, report)

    def _commit_written(self, source: Source) -> None:
        """Count and commit the batch that was written last, unless that is done."""
        if self._written is None:
            return
        written, self._written = self._written, None
        self._count(written.held, written.report)
        hit(Failpoint.SINK_BEFORE_COMMIT)
        source.commit(written.gathered)
        self._show(source)

    def _persist(self, source: Source, attempt: Callable[[], T]) -> T:
        """Repeat an attempt until the target is available; raises _Stopped if the process stops before."""

        def pause(seconds: float) -> None:
            until = time.monotonic() + seconds
            while (left := until - time.monotonic()) > 0:
                if self._stop.is_set():
                    raise _Stopped
                source.keep_alive(min(_TICK, left))
                self._show(source, excused=True)

        retrying = Retrying(
            retry=retry_if_exception_type(Unavailable),
            wait=wait_exponential(self._patience.first_retry, self._patience.longest_retry)
            + wait_random(0, self._patience.first_retry),
            sleep=pause,
            before_sleep=self._note_unavailable,
        )
        result = retrying(attempt)
        if self._unavailable:
            _log.info("%s is available.", self._name)
        self._unavailable = None
        self._checked = time.monotonic()
        self._metrics.available.set(1)
        return result

    def _note_unavailable(self, state: RetryCallState) -> None:
        reason = str(state.outcome.exception()) if state.outcome else ""
        if state.attempt_number == 1:
            _log.warning("%s is unavailable, retrying: %s", self._name, reason)
        self._unavailable = reason
        self._metrics.available.set(0)
        self._metrics.retries.inc()

    def _call(self, source: Source, function: Callable[[], T]) -> T:
        """Run a blocking call in a thread of its own; meanwhile keep the group membership and heed a stop.

        Meanwhile the previous batch is committed. The next one is prepared, unless the partitions are paused, as they
        are between retries.
        """
        future = start(function)
        started = shown = time.monotonic()
        stopped: float | None = None
        while not wait((future,), _READ_EVERY if self._written or self._reads_ahead(source) else _TICK).done:
            # Before any poll, which may revoke its partitions; and after the first wait, in which the call begins.
            self._commit_written(source)
            now = time.monotonic()
            if self._stop.is_set():
                stopped = stopped or now
                if now - stopped > self._patience.at_stop:
                    raise _Stopped
            if self._reads_ahead(source):
                gathered = source.read_ahead()
                self._next = self._prepare(gathered) if gathered else None
            elif now - started > self._patience.before_pause:
                source.keep_alive()
            if now - shown >= _TICK:
                shown = now
                self._show(source, excused=now - started < _SLOW_REQUESTS * self._settings.request_timeout)
        self._commit_written(source)
        return future.result()

    def _reads_ahead(self, source: Source) -> bool:
        return not (self._next or source.paused or self._stop.is_set())

    def _count(self, batch: Batch, report: Report) -> None:
        if self._job is None:
            self._observe_freshness(batch, report)
        for outcome in report.parts:
            self._metrics.part(outcome)
        for (kind, outcome), number in report.records.items():
            self._metrics.record(kind, outcome, number)
        for part in batch.parts:
            for kind, number in part.repeats.items():
                self._metrics.record(kind, Outcome.DUPLICATE, number)
        for letter in batch.dead_letters:
            if letter.kind is not None:
                self._metrics.record(letter.kind, Outcome.DEAD_LETTER)
            elif whole := self._kinds.get(letter.message.origin.topic):
                self._metrics.record(whole, Outcome.DEAD_LETTER)
            else:
                self._metrics.part(Outcome.DEAD_LETTER)

        if self._job is None:
            return
        self._tally.update(f"parts {outcome}" for outcome in report.parts)
        self._tally.update({f"{kind}s {outcome}": number for (kind, outcome), number in report.records.items()})
        self._tally.update({"dead letters": len(batch.dead_letters) + len(report.dead_letters)})

    def _observe_freshness(self, batch: Batch, report: Report) -> None:
        now = self._clock()
        for part, outcome in zip(batch.parts, report.parts, strict=True):
            if outcome is Outcome.WRITTEN:
                self._metrics.freshness_seconds.observe(max(0.0, now - part.trace["closed"] / 1000))
        for raised in batch.alerts:
            if raised.alert["event"] != "RESOLVED":
                self._metrics.freshness_seconds.observe(max(0.0, now - raised.alert["time"] / 1000))

    def _release(self, batch: Batch, held: Batch) -> None:
        released = _parts(batch, self._kinds) - _parts(held, self._kinds)
        if released:
            self._metrics.part(Outcome.RELEASED, released)

    def _show(self, source: Source, *, excused: bool = False) -> None:
        """Update gauges, readiness and watchdog; `excused` while the sink waits for its target."""
        self.watchdog.report(time.monotonic(), source.done(), excused=excused)
        self._assigned = bool(source.assigned)
        lag = source.lag()
        for topic, partition in self._shown - set(lag):
            self._metrics.lag.remove(self._name, topic, str(partition))
        for (topic, partition), behind in lag.items():
            self._metrics.lag.labels(self._name, topic, str(partition)).set(behind)
        self._shown = set(lag)


def _parts(batch: Batch, kinds: Mapping[str, Kind]) -> int:
    """Count the messages of a batch that are parts of traces, including those that did not decode."""
    undecoded = sum(letter.kind is None and letter.message.origin.topic not in kinds for letter in batch.dead_letters)
    return len(batch.parts) + undecoded
