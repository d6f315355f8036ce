"""Which traces a sink writes: errored ones, slow ones, a share of the rest."""

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
    """Decides by a part's own content and its trace's id: the same in every process and after every restart.

    The share holds for whole traces. Errors and slowness are seen part by part: of a trace that errs late, a part
    that was left out before stays out.
    """

    share: float = 1.0
    """Share of the traces that are neither errored nor slow, 0 to 1."""
    slower_than: float | None = None
    """Seconds: a part with a span at least as long is kept."""
    log_level: str | None = None
    """Log lines of this level or above are kept of the traces that are not."""

    def keeps(self, trace: Trace) -> bool:
        """Tell whether a part is written as a whole."""
        if self.share >= 1 or trace["flags"] & Flag.ERROR or hashed(trace["traceId"]) < self.share:
            return True
        if self.slower_than is None:
            return False
        microseconds = self.slower_than * 1_000_000
        return any((span.get("duration") or 0) >= microseconds for span in trace["spans"])

    def keeps_log(self, record: LogRecord) -> bool:
        """Tell whether a log line is written of a part that is not; a line without a level counts as INFO."""
        return self.log_level is not None and severity(record.get("level")) >= severity(self.log_level)


def hashed(trace_id: bytes) -> float:
    """Return a trace's place in [0, 1): even for ids that are not random in all their bits."""
    return int.from_bytes(blake2b(trace_id, digest_size=8).digest()) / _HASHES


def severity(level: str | None) -> int:
    """Rank a level: 0 TRACE to 4 ERROR and above; whatever is not known counts as INFO, or as ERROR if it errs."""
    name = (level or "INFO").upper()
    return _ERROR if _RULE.log(name) else _LEVELS.get(name, _LEVELS["INFO"])
