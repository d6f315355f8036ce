"""Sends probes one at a time, and follows each until it has reached all stages or its time is up.

All waits are bounded: Kafka calls have timeouts, and each store is queried in a thread of its own, so that a store that
hangs delays neither the others nor the next probe.
"""

import logging
import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import NamedTuple, Self

from prometheus_client import CollectorRegistry

from producers.canary.metrics import CanaryMetrics
from producers.canary.probes import Probe, ProbeRecorder
from producers.canary.settings import CANARY_STAGES, CanarySettings
from producers.canary.stores import ElasticsearchStore, Store, ZipkinStore
from producers.canary.topics import TOPIC_STAGES, Topics
from producers.canary.trace import Canary, canary
from tracelink.errors import Unavailable
from tracelink.metrics import PublisherMetrics
from tracelink.publisher import KafkaPublisher
from tracelink.settings import PublisherSettings

_log = logging.getLogger(__name__)

_TICK_SECONDS = 0.05
_ASK_AGAIN_SECONDS = 0.2
_ID_BYTES = 16


class Answer(NamedTuple):
    """The result of looking for a probe at a stage, and its time (monotonic, seconds)."""

    canary: Canary
    stage: str
    missing: str | None
    at: float


class _Asker:
    """Looks for probes in one store, in a thread of its own; for each until it is found or `let_go` is called."""

    def __init__(self, store: Store, answers: "SimpleQueue[Answer]") -> None:
        self._store = store
        self._answers = answers
        self._wanted: Canary | None = None
        self._orders: SimpleQueue[Canary] = SimpleQueue()
        Thread(target=self._run, name=f"canary-{store.stage}", daemon=True).start()

    def follow(self, wanted: Canary) -> None:
        self._wanted = wanted
        self._orders.put(wanted)

    def let_go(self) -> None:
        self._wanted = None

    def _run(self) -> None:
        while True:
            order = self._orders.get()
            while self._wanted is order:
                try:
                    missing = self._store.look(order)
                except Exception as error:  # noqa: BLE001 - the thread must survive, and report the error
                    missing = f"unexpected response: {type(error).__name__}: {error}"
                self._answers.put(Answer(order, self._store.stage, missing, time.monotonic()))
                if missing is None:
                    break
                time.sleep(_ASK_AGAIN_SECONDS)


class ProbeRunner:
    """Sends probes and follows them; a context manager that flushes and closes the publisher.

    `not_ready` and `stop` may be called from any thread. Raises UserError for invalid settings.
    """

    watchdog = None  # all waits are bounded
    group = ""

    def __init__(self, settings: CanarySettings, registry: CollectorRegistry) -> None:
        wanted = {name.strip() for name in settings.canary_stages.split(",")}
        self.stages = tuple(stage for stage in CANARY_STAGES if stage in wanted)
        self._settings = settings
        self._stop = Event()
        self._recorder = ProbeRecorder(
            CanaryMetrics(registry, self.stages),
            self.stages,
            every=settings.canary_every,
            within=settings.canary_within,
        )
        self._reads_topics = not wanted.isdisjoint(TOPIC_STAGES)
        self._answers: SimpleQueue[Answer] = SimpleQueue()
        makers: dict[str, Callable[[CanarySettings], Store]] = {
            "elasticsearch": ElasticsearchStore,
            "zipkin": ZipkinStore,
        }
        self._askers = [_Asker(makers[stage](settings), self._answers) for stage in self.stages if stage in makers]
        self._publisher = KafkaPublisher(PublisherSettings.load_own(dict(settings)), PublisherMetrics(registry))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._publisher.close()

    def not_ready(self) -> str | None:
        """Return why the canary is not ready: the stages that the last probe missed; None if it is ready."""
        return self._recorder.not_ready(time.monotonic())

    def stop(self) -> None:
        """Stop soon; the current probe is not followed to its end."""
        self._stop.set()

    def run(self) -> None:
        """Send probes until stopped, and log those that were missed."""
        well = False
        while not self._stop.wait(self._recorder.due(time.monotonic())):
            probe = self.run_probe(lambda _: None, lambda *_: None)
            if probe is None:
                return
            if probe.missing:
                _log.warning("%s", self.not_ready())
            elif not well:
                _log.info("probe %s reached all stages in %.1f s", probe.shown_id, max(probe.seconds.values()))
            well = not probe.missing

    def run_probe(self, began: Callable[[Probe], None], seen: Callable[[Probe, str], None]) -> Probe | None:
        """Send a probe and follow it; calls `began`, and `seen` for each stage. Returns None if stopped before."""
        sent = canary(secrets.token_bytes(_ID_BYTES), time.time_ns() // 1000)
        with ExitStack() as opened:
            topics, trouble = None, None
            if self._reads_topics:
                try:
                    topics = opened.enter_context(Topics(self._settings, sent))
                except Unavailable as error:
                    trouble = str(error)
            # The time starts only now: looking up the ends of the topics takes a while.
            probe = self._recorder.begin(sent.shown, now=time.monotonic(), wall=time.time())
            began(probe)
            if trouble is None:
                sent.publish(self._publisher)
                for asker in self._askers:
                    opened.callback(asker.let_go)
                    asker.follow(sent)
                self._follow(sent, probe, topics, seen)
            else:
                probe.fail(trouble)
        if self._stop.is_set():
            return None
        self._recorder.settle(probe, time.monotonic())
        return probe

    def _follow(self, sent: Canary, probe: Probe, topics: Topics | None, seen: Callable[[Probe, str], None]) -> None:
        acknowledged = False
        while not self._stop.is_set() and not probe.is_over(time.monotonic()):
            acknowledged = acknowledged or self._publisher.flush(_TICK_SECONDS)
            found = topics.poll(_TICK_SECONDS) if topics else {}
            answers = [Answer(sent, *one, time.monotonic()) for one in found.items()]
            try:
                answers.append(self._answers.get(timeout=0 if topics else _TICK_SECONDS))
                while True:
                    answers.append(self._answers.get_nowait())
            except Empty:
                pass
            for answer in answers:
                if answer.canary is sent and self._recorder.note(probe, answer.stage, answer.missing, answer.at):
                    seen(probe, answer.stage)
        if not acknowledged and probe.missing:
            probe.fail(f"Kafka has not acknowledged it within {probe.within:g} s")
