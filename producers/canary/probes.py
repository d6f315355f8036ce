"""What was sent and what was seen when, and the metrics that follow. Pure: times are arguments, in seconds.

`now` is of a clock that does not step, `wall` is the time since the epoch.
"""

from collections.abc import Iterable

from producers.canary.metrics import CanaryMetrics

_NOTHING_YET = "no answer yet"


class Probe:
    """The way of one canary: at which stages it was seen, and what is missing at the others."""

    def __init__(self, shown_id: str, stages: Iterable[str], within: float, *, now: float, wall: float) -> None:
        self.shown_id = shown_id
        self.within = within
        self.sent = now
        self.wall = wall
        self.seconds: dict[str, float] = {}
        """From sending it to seeing it, by stage."""
        self._missing = dict.fromkeys(stages, _NOTHING_YET)

    @property
    def missing(self) -> dict[str, str]:
        """What is not there, in words, of each stage at which it was not seen."""
        return dict(self._missing)

    def note(self, stage: str, missing: str | None, now: float) -> bool:
        """Note what is missing at a stage, None where all is there; tell whether it was seen there by that.

        What comes when its time is up does not count, nor what is said of a stage at which it was seen before.
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
        """Note for all stages at which it was not seen why it will not be."""
        self._missing = dict.fromkeys(self._missing, why)

    def is_over(self, now: float) -> bool:
        """Tell whether it was seen everywhere, or its time is up."""
        return not self._missing or now > self.sent + self.within


class ProbeRecorder:
    """Keeps the metrics of one canary after the other, and knows whether all is well.

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
        """Count a canary that is sent now."""
        self._metrics.sent.inc()
        self._begun = now
        return Probe(shown_id, self._stages, self._within, now=now, wall=wall)

    def note(self, probe: Probe, stage: str, missing: str | None, now: float) -> bool:
        """Note what a stage says of it; see Course."""
        if not probe.note(stage, missing, now):
            return False
        seconds = probe.seconds[stage]
        self._metrics.freshness_seconds.labels(stage).set(seconds)
        self._metrics.last_success.labels(stage).set(probe.wall + seconds)
        return True

    def settle(self, probe: Probe, now: float) -> None:
        """Count where it was missed, once it is over."""
        for stage in probe.missing:
            self._metrics.missed.labels(stage).inc()
            # What is fresh no more must not look as fresh as the one before.
            self._metrics.freshness_seconds.labels(stage).set(max(self._within, now - probe.sent))
        self._last = probe

    def due(self, now: float) -> float:
        """Return the seconds until the next one is to be sent."""
        return 0.0 if self._begun is None else max(0.0, self._begun + self._every - now)

    def not_ready(self, now: float) -> str | None:
        """Return where the last canary was missed and what was missing there, or None where it came through."""
        if self._last is None:
            return "the first canary is on its way"
        if missing := self._last.missing:
            return f"canary {self._last.shown_id} was missed: {in_words(missing)}"
        # Twice its time, because what it waits for has limits of its own.
        if now - self._last.sent > self._every + 2 * self._within:
            return f"no canary has come through for {now - self._last.sent:.0f} s"
        return None


def in_words(missing: dict[str, str]) -> str:
    """Say what is missing where; what is missing at several stages is said once."""
    stages: dict[str, list[str]] = {}
    for stage, what in missing.items():
        stages.setdefault(what, []).append(stage)
    return "; ".join(f"{', '.join(names)}: {what}" for what, names in stages.items())
