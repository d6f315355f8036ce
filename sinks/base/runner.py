"""The one loop of all sinks: poll a batch, decode it, write it, commit; while one is written the next is prepared.

Batches are written and committed strictly one after the other. A target that is away is waited for: the partitions
pause, the same batch is tried again with growing pauses, and the consumer keeps polling so that the group lives.
Whatever else goes wrong ends the process without a commit, and the next one starts with that batch.

A call of the sink may be slow: it counts against `stuck_after` once it has outlived several of the target's time-outs.
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
# A batch takes several requests, each of which ends with the request time-out: unless the target sends an answer
# without end, or a call hangs.
_SLOW_REQUESTS = 3


class _Stopped(Exception):
    """The process was told to stop; what is in hand stays uncommitted."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A batch that is ready to be written, and what it was decoded from."""

    gathered: Gathered
    batch: Batch


@dataclass(frozen=True, slots=True)
class _Written:
    """What of a batch was ours until it was written, and what became of it."""

    gathered: Gathered
    held: Batch
    report: Report


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the runner waits for what, in seconds."""

    first_retry: float = 0.25
    longest_retry: float = 15.0
    before_pause: float = 2.0
    """A call of the sink that takes longer has the partitions paused, once the next batch is prepared: a pause throws
    away what was fetched ahead."""
    at_stop: float = 5.0
    """A write that is under way when the process is told to stop may take so long; then it is left uncommitted."""
    between_checks: float = 10.0


class Runner:
    """Runs one sink until told to stop, or until a replay is through.

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
        self._unavailable: str | None = f"{name} was not reached yet"
        self._assigned = False
        self._checked = 0.0
        self._shown: set[PartitionId] = set()
        self._next: _Prepared | None = None
        self._written: _Written | None = None

    def not_ready(self) -> str | None:
        """Return why the sink is not ready, or None: partitions assigned, the target answering, and getting on."""
        return self.watchdog.not_ready() or self._unavailable or (None if self._assigned else "no partitions assigned")

    def stop(self) -> None:
        """End the loop: within seconds, with the batch in hand written or uncommitted."""
        self._stop.set()

    def run(self) -> None:
        """Run until stopped, or through; raises what ends a sink: Refused, KafkaException, and any fault of our own."""
        letters = DeadLetters(self._settings, self._name, self.group, self._stop)
        source = Source(self._settings, self.group, self._topics, ends=self._job is not None)
        try:
            try:
                self._check(source)
                while not (self._stop.is_set() or source.drained):
                    self._turn(source, letters)
            except _Stopped:
                _log.info("Stopped; what was not written is left to the next start.")
            self._settle(source)
            if source.drained:
                done = ", ".join(f"{number} {what}" for what, number in sorted(self._tally.items()))
                _log.info("replay %s: through with all partitions of this process; %s", self._job, done or "nothing")
        finally:
            source.close()

    def _turn(self, source: Source, letters: DeadLetters) -> None:
        """Write the next batch, and commit it: at once, or where its successor is ready, while that is written."""
        prepared = self._take_next(source)
        if prepared.batch:
            self._deliver(source, letters, prepared)
            if self._next is None:
                self._settle(source)
            return
        if time.monotonic() - self._checked > self._patience.between_checks:
            self._check(source)
        source.commit(prepared.gathered)
        self._show(source)

    def _check(self, source: Source) -> None:
        self._persist(source, lambda: self._call(source, self._sink.check))

    def _take_next(self, source: Source) -> _Prepared:
        """Return the batch that was prepared while the last one was written, else the next that comes."""
        prepared, self._next = self._next, None
        source.resume()
        return prepared or self._prepare(source.gather(self._stop))

    def _prepare(self, gathered: Gathered) -> _Prepared:
        return _Prepared(gathered, decode(gathered.messages, self._kinds, logs=self._sink.takes_logs))

    def _deliver(self, source: Source, letters: DeadLetters, prepared: _Prepared) -> None:
        """Write a batch, or what is still ours of it, and its dead letters; these together with the batch's offsets."""
        gathered, batch = prepared.gathered, prepared.batch
        self._metrics.received.inc(_parts(batch, self._kinds))
        held = batch

        def write() -> Report:
            nonlocal held
            held = held.without(gathered.lost)
            hit(Failpoint.SINK_BEFORE_WRITE)
            return self._call(source, lambda: self._sink.write(held))

        def bury() -> None:
            # Partitions may leave until it is done; their next owner finds the same.
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
                self._persist(source, bury)
        except _Stopped:
            self._release(batch, Batch())
            raise
        self._release(batch, held)
        self._written = _Written(gathered, held, report)

    def _settle(self, source: Source) -> None:
        """Count and commit the batch that was written last, if that is still to do."""
        if self._written is None:
            return
        written, self._written = self._written, None
        self._count(written.held, written.report)
        hit(Failpoint.SINK_BEFORE_COMMIT)
        source.commit(written.gathered)
        self._show(source)

    def _persist(self, source: Source, attempt: Callable[[], T]) -> T:
        """Repeat an attempt until the target is there; raises _Stopped where the process is not to see that."""

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
            _log.info("%s is reached.", self._name)
        self._unavailable = None
        self._checked = time.monotonic()
        self._metrics.available.set(1)
        return result

    def _note_unavailable(self, state: RetryCallState) -> None:
        reason = str(state.outcome.exception()) if state.outcome else ""
        if state.attempt_number == 1:
            _log.warning("%s is away and waited for: %s", self._name, reason)
        self._unavailable = reason
        self._metrics.available.set(0)
        self._metrics.retries.inc()

    def _call(self, source: Source, function: Callable[[], T]) -> T:
        """Run a call that may block for long in a thread of its own, so that the group lives and a stop is heard.

        Meanwhile the batch before is settled, and the next one is prepared unless the partitions are paused, as they
        are between repeats.
        """
        future = start(function)
        started = shown = time.monotonic()
        stopped: float | None = None
        while not wait((future,), _READ_EVERY if self._written or self._reads_ahead(source) else _TICK).done:
            # Before any poll, which may take its partitions away; and not before the call has had a moment to begin.
            self._settle(source)
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
        self._settle(source)
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
        """Bring the gauges and the readiness up to date; a worker that waits for its target is excused."""
        self.watchdog.report(time.monotonic(), source.done(), excused=excused)
        self._assigned = bool(source.assigned)
        lag = source.lag()
        for topic, partition in self._shown - set(lag):
            self._metrics.lag.remove(self._name, topic, str(partition))
        for (topic, partition), behind in lag.items():
            self._metrics.lag.labels(self._name, topic, str(partition)).set(behind)
        self._shown = set(lag)


def _parts(batch: Batch, kinds: Mapping[str, Kind]) -> int:
    """Count the messages of a batch that are, or should have been, parts of traces."""
    undecoded = sum(letter.kind is None and letter.message.origin.topic not in kinds for letter in batch.dead_letters)
    return len(batch.parts) + undecoded
