"""Alert rules: what an operator says of some problems."""

from dataclasses import dataclass, field

from streams.alerts.fingerprint import Fields
from tracelink.problems import Origin


@dataclass(frozen=True, slots=True)
class Threshold:
    """So many occurrences within so many milliseconds."""

    count: int
    window: int


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for the problems that a rule matches."""

    name: str | None = None
    severity: str = "error"
    threshold: Threshold | None = None
    labels: dict[str, str] = field(default_factory=dict)
    runbook: str | None = None
    muted_until: int | None = None
    """Milliseconds since the epoch; None where it is not muted."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a file, in its order; the first that matches holds."""

    fingerprint: Fields = field(default_factory=Fields)

    def match(self, origin: Origin, fingerprint: str) -> Rule:  # noqa: ARG002
        """Return what holds for a problem; the defaults where no rule matches."""
        return Rule()
