"""Tail sampling: a sink writes errored traces, slow ones, and a share of the rest."""

from dataclasses import dataclass
from hashlib import blake2b

from tracelink.model.records import ErrorRule, Flag, LogRecord, Trace

_HASHES = 1 << 64

_LEVELS = {
    "TRACE": 0,
    "VERBOSE": 0,
    "FINEST": 0,
    "FINER": 0,
    "DEBUG": 1,
    "FINE": 1,
    "CONFIG": 1,
    "INFO": 2,
    "INFORMATION": 2,
    "NOTICE": 2,
    "WARN": 3,
    "WARNING": 3,
}
_ERROR = 4
_RULE = ErrorRule()


@dataclass(frozen=True, slots=True)
class TailSampling:
    """Decides by the content and the trace id of a part, so that every process decides alike, also after a restart.

    The share applies to whole traces. Errors and slow spans are found part by part: a part that was left out stays out
    even if a later part of its trace is errored.
    """

    share: float = 1.0
    """Share of the traces to keep that are neither errored nor slow, 0 to 1."""
    slower_than: float | None = None
    """Seconds: a part with a span at least as long is kept."""
    log_level: str | None = None
    """Keep log lines of this level or above also from parts that are not kept."""

    def keeps(self, trace: Trace) -> bool:
        """Return True if a part is written as a whole."""
        if self.share >= 1 or trace["flags"] & Flag.ERROR or hashed(trace["traceId"]) < self.share:
            return True
        if self.slower_than is None:
            return False
        microseconds = self.slower_than * 1_000_000
        return any((span.get("duration") or 0) >= microseconds for span in trace["spans"])

    def keeps_log(self, record: LogRecord) -> bool:
        """Return True if a line of a part that is not kept is written; a line without a level counts as INFO."""
        return self.log_level is not None and severity(record.get("level")) >= severity(self.log_level)


def hashed(trace_id: bytes) -> float:
    """Hash a trace id to [0, 1), uniformly even if not all bits of the ids are random."""
    return int.from_bytes(blake2b(trace_id, digest_size=8).digest()) / _HASHES


def severity(level: str | None) -> int:
    """Rank a level, from 0 (TRACE) to 4 (ERROR and above); an unknown one is ERROR by the error rule, else INFO."""
    name = (level or "INFO").upper()
    return _ERROR if _RULE.log(name) else _LEVELS.get(name, _LEVELS["INFO"])
