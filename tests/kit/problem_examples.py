"""Occurrences and rules for tests."""

from collections.abc import Mapping

from pipeline.model.problems import Occurrence, RootCause
from streams.alerts.rule import Rule

START = 1_790_000_000_000
"""Stream time of a first occurrence, in milliseconds."""
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000


def occurrence(fingerprint: str = "a" * 16, time: int = START, trace: int = 1, duration: int = 1) -> Occurrence:
    return {
        "fingerprint": fingerprint,
        "traceId": (2**127 + trace).to_bytes(16),
        "flags": 1,
        "time": time,
        "duration": duration,
        "service": "payment",
        "operation": "POST /pay",
        "exception": "CardDeclined",
        "message": "card declined",
        "httpStatus": "502",
        "grpcStatus": None,
        "peer": None,
        "logger": "payment.cards",
        "tags": {"tenant": "acme"},
        "services": ["payment", "shop"],
        "root": "shop GET /checkout",
        "lines": [],
    }


def matching(rules: Mapping[str, Rule]) -> "_Match":
    """Match by fingerprint; the rules may be changed meanwhile."""
    return _Match(rules)


class _Match:
    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self._rules = rules

    def __call__(self, origin: RootCause, fingerprint: str) -> Rule:  # noqa: ARG002 - by fingerprint alone
        return self._rules.get(fingerprint, Rule())
