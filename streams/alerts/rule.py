"""What holds for a problem. Pure."""

from dataclasses import dataclass, field


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


DEFAULTS = Rule()
"""What holds where no rule matches."""
