"""The curves of the last day: a thread reads their topic, which `tracelink trends` writes."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from confluent_kafka import Message

from pipeline.kafka.admin import connect
from pipeline.kafka.offsets import OffsetLookup
from pipeline.kafka.reader import Reader
from pipeline.model.trends import CURVE, MINUTES, Curve, Kind, buckets, summed
from sinks.page.follower import POLL_SECONDS, Follower
from tracelink.errors import InvalidRecord
from tracelink.kafka.topics import TopicNames
from tracelink.settings import KafkaSettings

_log = logging.getLogger(__name__)

HEIGHT = 20
_SECONDS_BETWEEN_TRIES = 10.0


@dataclass(frozen=True, slots=True)
class Sparkline:
    """The counts of equal pieces of the last day, the oldest first."""

    counts: Sequence[int]
    minutes: int
    """The length of a piece."""

    @property
    def most(self) -> int:
        """The greatest count."""
        return max(self.counts, default=0)

    @property
    def path(self) -> str:
        """The outline of the counts as an SVG path, a piece wide for each and `HEIGHT` high for the greatest."""
        most = self.most
        steps = []
        for count, run in groupby(self.counts):
            height = max(1, round(count * HEIGHT / most)) if count else 0
            steps.append(f"V{HEIGHT - height}h{sum(1 for _ in run)}")
        return f"M0 {HEIGHT}{''.join(steps)}V{HEIGHT}z"


class LiveCurves(Follower):
    """The curves as they are now; a context manager that ends its thread. Any thread may call it.

    Without the topic, which an older installation lacks, or without `tracelink trends` there are no curves.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        super().__init__("curves", _SECONDS_BETWEEN_TRIES)
        self._settings = settings
        self._topic = TopicNames(settings.topic_prefix).trends
        self._lock = threading.Lock()
        self._curves: dict[tuple[str, str], dict[int, Curve]] = {}
        self._names: dict[bytes, tuple[str, str, int]] = {}

    def sparkline(self, kind: Kind, name: str, now_ms: float, pieces: int) -> Sparkline | None:
        """Return a curve of the last day in so many pieces, which divide a day; None if there is none."""
        with self._lock:
            parts = list(self._curves.get((kind, name), {}).values())
        if not parts:
            return None
        step = MINUTES // pieces
        # Pieces begin at whole multiples of their length, so that a curve does not change its shape each minute.
        end = (int(now_ms // 60_000) // step + 1) * step
        return Sparkline(buckets(summed(parts), end - MINUTES, end, pieces), step)

    def failed(self, error: Exception) -> None:
        """Log it: without curves the page says as much by their absence."""
        _log.debug("no curves: %s", error)

    def follow(self) -> None:
        """Read the topic from its beginning."""
        lookup = OffsetLookup(connect(self._settings))
        if self._topic not in lookup.topics():
            self.stopping.wait(_SECONDS_BETWEEN_TRIES)
            return
        starts = {partition: one.start for partition, one in lookup.whole(self._topic).items()}
        with Reader(self._settings, "tracelink-page-curves", {}, live=starts) as reader:
            while not self.stopping.is_set():
                for _, messages in reader.poll(POLL_SECONDS):
                    with self._lock:
                        for message in messages:
                            self._take(message)

    def _take(self, message: Message) -> None:
        """Take in a record of the topic; an empty one ends its curve."""
        key, value = message.key() or b"", message.value()
        if not value:
            if place := self._names.pop(key, None):
                self._curves.get(place[:2], {}).pop(place[2], None)
            return
        try:
            curve = CURVE.decode(value)
        except InvalidRecord as invalid:
            _log.warning("%s[%s]@%s is no curve: %s", self._topic, message.partition(), message.offset(), invalid)
            return
        self._names[key] = curve["kind"], curve["name"], curve["partition"]
        self._curves.setdefault((curve["kind"], curve["name"]), {})[curve["partition"]] = curve
