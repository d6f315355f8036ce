"""The index of a document: it depends on the record alone, so that a retry writes to the same index."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from sinks.elasticsearch.settings import ElasticsearchSettings

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_US = 86_400_000_000
_UNITS = {"day": (_DAY_US, "%Y.%m.%d"), "hour": (3_600_000_000, "%Y.%m.%d.%H")}


def instant(microseconds: int) -> datetime:
    """Convert microseconds since the epoch to a UTC time; raises OverflowError beyond the year 9999."""
    return _EPOCH + timedelta(microseconds=microseconds)


@dataclass(frozen=True, slots=True)
class Indices:
    """The names of the indices: prefix, kind, time range, suffix."""

    prefix: str
    unit: str
    """`day` or `hour`."""
    suffix: str = ""

    @classmethod
    def of(cls, settings: ElasticsearchSettings) -> "Indices":
        """Return the names for these settings."""
        return cls(settings.index_prefix, settings.index_unit, settings.index_suffix)

    def logs(self, timestamp: int, opened: int) -> str:
        """Return the index of a log line; see `_name`."""
        return self._name("logs", timestamp, opened)

    def traces(self, timestamp: int, opened: int) -> str:
        """Return the index of a part of a trace; see `_name`."""
        return self._name("traces", timestamp, opened)

    @property
    def errors(self) -> str:
        """The index of problems: a single one, because each problem has one document."""
        return f"{self.prefix}errors"

    def _name(self, kind: str, timestamp: int, opened: int) -> str:
        """Use the record's own time (µs) if it is within a day of the part's opening (ms), else the opening.

        So a service with a wrong clock, or a file of old data, does not create an index for each of its days.
        """
        opened *= 1000
        near = timestamp if abs(timestamp - opened) <= _DAY_US else opened
        length, form = _UNITS[self.unit]
        return f"{self.prefix}{kind}-{_period(near // length, length, form)}{self.suffix}"


@lru_cache(maxsize=256)
def _period(number: int, length: int, form: str) -> str:
    return instant(number * length).strftime(form)
