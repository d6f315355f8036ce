"""The state of a probe and the metrics of the canary. Pure: times are arguments, in seconds.

`now` is from a monotonic clock, `wall` is the time since the epoch.
"""

from collections.abc import Iterable

from producers.canary.metrics import CanaryMetrics

_NOTHING_YET = "no answer yet"


class Probe:
    """The progress of one probe: the stages that it has reached, and what is missing at the others."""

    def __init__(self, shown_id: str, stages: Iterable[str], within: float, *, now: float, wall: float) -> None:
        self.shown_id = shown_id
        self.within = within
        self.sent = now
        self.wall = wall
        self.seconds: dict[str, float] = {}
        """Seconds from sending the probe until it reached a stage, by stage."""
        self._missing = dict.fromkeys(stages, _NOTHING_YET)

    @property
    def missing(self) -> dict[str, str]:
        """A text for each stage not reached: what is missing there."""
        return dict(self._missing)

    def note(self, stage: str, missing: str | None, now: float) -> bool:
        """Record what is missing at a stage, None if nothing is; returns True if the probe has just reached the stage.

        Ignored after its time is up, and for a stage that it has reached before.
        """
        if stage not in self._missing or now > self.sent + self.within:
            return False
        if missing is not None:
            self._missing[stage] = missing
            return False
        del self._missing[stage]
        self.seconds[stage] = max(0.0, now - self.sent)
        return True

    def fail(self, why: str) -> None:
        """Record the reason why the probe cannot reach the remaining stages."""
        self._missing = dict.fromkeys(self._missing, why)

    def is_over(self, now: float) -> bool:
        """Return True if the probe has reached all stages, or its time is up."""
        return not self._missing or now > self.sent + self.within


class ProbeRecorder:
    """Records the metrics of probes, and decides whether the canary is ready.

    `not_ready` may be called from any thread.
    """

    def __init__(self, metrics: CanaryMetrics, stages: Iterable[str], *, every: float, within: float) -> None:
        self._metrics = metrics
        self._stages = tuple(stages)
        self._every = every
        self._within = within
        self._last: Probe | None = None
        self._begun: float | None = None

    def begin(self, shown_id: str, *, now: float, wall: float) -> Probe:
        """Count a probe that is sent now."""
        self._metrics.sent.inc()
        self._begun = now
        return Probe(shown_id, self._stages, self._within, now=now, wall=wall)

    def note(self, probe: Probe, stage: str, missing: str | None, now: float) -> bool:
        """Record what is missing at a stage; see `Probe.note`."""
        if not probe.note(stage, missing, now):
            return False
        seconds = probe.seconds[stage]
        self._metrics.freshness_seconds.labels(stage).set(seconds)
        self._metrics.last_success.labels(stage).set(probe.wall + seconds)
        return True

    def settle(self, probe: Probe, now: float) -> None:
        """Count the stages that a probe missed, after its end."""
        for stage in probe.missing:
            self._metrics.missed.labels(stage).inc()
            # The gauge must not keep the good value of the previous probe.
            self._metrics.freshness_seconds.labels(stage).set(max(self._within, now - probe.sent))
        self._last = probe

    def due(self, now: float) -> float:
        """Return the seconds until the next probe is due."""
        return 0.0 if self._begun is None else max(0.0, self._begun + self._every - now)

    def not_ready(self, now: float) -> str | None:
        """Return the stages that the last probe missed, and what is missing there; None if it reached all."""
        if self._last is None:
            return "the first probe is in progress"
        if missing := self._last.missing:
            return f"probe {self._last.shown_id} was missed: {in_words(missing)}"
        # Twice `within`, because calls of Kafka and the stores have timeouts of their own.
        if now - self._last.sent > self._every + 2 * self._within:
            return f"no probe has reached all stages for {now - self._last.sent:.0f} s"
        return None


def in_words(missing: dict[str, str]) -> str:
    """Format what is missing by stage; stages with the same text are grouped."""
    stages: dict[str, list[str]] = {}
    for stage, what in missing.items():
        stages.setdefault(what, []).append(stage)
    return "; ".join(f"{', '.join(names)}: {what}" for what, names in stages.items())
