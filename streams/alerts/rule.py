"""A rule's effects on a problem. Pure."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Threshold:
    """A number of occurrences within a window in milliseconds."""

    count: int
    window: int


@dataclass(frozen=True, slots=True)
class Rule:
    """The severity, threshold, labels, runbook and mute of the problems that a rule matches."""

    name: str | None = None
    severity: str = "error"
    threshold: Threshold | None = None
    labels: dict[str, str] = field(default_factory=dict)
    runbook: str | None = None
    muted_until: int | None = None
    """Milliseconds since the epoch; None if not muted."""


DEFAULTS = Rule()
"""Applies to problems that no rule matches."""
