"""The values in a rules file: each function checks and converts a value from TOML.

They raise ValueError that says which values are valid.
"""

import math
import re
from collections.abc import Iterable
from datetime import datetime
from difflib import get_close_matches
from urllib.parse import urlsplit

from streams.alerts.fingerprint import TAG_PREFIX, VALID_ADD, VALID_IGNORE

SEVERITIES = ("info", "warning", "error", "critical")
OWN_LABELS = frozenset({"alertname", "severity", "fingerprint", "service"})
"""Labels that tracelink sets, and a rule cannot set."""

_LABEL = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST_WINDOW = 31 * 86400


def patterns(value: object) -> tuple[str, ...]:
    """Return one pattern or a list of them."""
    found = value if isinstance(value, list) else [value]
    if not found or not all(isinstance(one, str) and one for one in found):
        raise ValueError('must be a pattern such as "payment*", or a list of patterns')
    return tuple(found)


def status_patterns(value: object) -> tuple[str, ...]:
    """Return patterns of an HTTP or gRPC status; numbers are valid as well."""
    found = value if isinstance(value, list) else [value]
    try:
        return patterns([str(one) if isinstance(one, int) and not isinstance(one, bool) else one for one in found])
    except ValueError:
        raise ValueError('must be a status such as 503, "5*" or "UNAVAILABLE", or a list of them') from None


def window(value: object) -> int:
    """Return the milliseconds of a duration: a number of seconds, or a text such as `30s`, `5m`, `24h`."""
    seconds = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value
    elif isinstance(value, str) and (found := _DURATION.fullmatch(value.strip())):
        seconds = float(found[1]) * _SECONDS[found[2]]
    if math.isnan(seconds):
        raise ValueError('must be a duration such as "30s", "5m" or "24h", or a number of seconds')
    if not 1 <= seconds <= _LONGEST_WINDOW:
        raise ValueError("must be at least 1s and at most 31d")
    return round(seconds * 1000)


def moment(value: object) -> int:
    """Return the milliseconds since the epoch of a date and time with an offset."""
    if not isinstance(value, datetime):
        # pydantic does not catch TypeError
        raise ValueError("must be a date and time without quotes, such as 2026-12-01T00:00:00Z")  # noqa: TRY004
    if value.tzinfo is None:
        raise ValueError(f"needs an offset: {value.isoformat()}Z, or one such as +01:00 in place of the Z")
    return round(value.timestamp() * 1000)


def url(value: object) -> str:
    """Return an http or https URL."""
    if isinstance(value, str) and value.isprintable() and " " not in value:
        try:
            parts = urlsplit(value)
        except ValueError as error:
            raise ValueError(f"is not a URL: {error}") from None
        if parts.scheme in {"http", "https"} and parts.hostname:
            return value
    raise ValueError('must be a URL that begins with "http://" or "https://"')


def severity(value: object) -> str:
    """Return a severity."""
    if isinstance(value, str) and value in SEVERITIES:
        return value
    raise ValueError(f"must be one of {', '.join(SEVERITIES)}{near(value, SEVERITIES)}")


def label(name: str) -> str:
    """Return the name of a label, if it is valid for Prometheus."""
    if name in OWN_LABELS:
        raise ValueError("is set by tracelink itself: choose another name")
    if not _LABEL.fullmatch(name):
        raise ValueError("is not a valid label name: letters, digits and _, without a digit or __ at the start")
    return name


def added(value: object) -> str:
    """Return a field that can be added to fingerprints."""
    if isinstance(value, str) and (value in VALID_ADD or (value.startswith(TAG_PREFIX) and value != TAG_PREFIX)):
        return value
    valid = [*sorted(VALID_ADD), f"{TAG_PREFIX}NAME"]
    raise ValueError(f"must be one of {', '.join(valid)}, not {value!r}{near(value, valid)}")


def ignored(value: object) -> str:
    """Return a field that can be left out of fingerprints."""
    if isinstance(value, str) and value in VALID_IGNORE:
        return value
    valid = sorted(VALID_IGNORE)
    raise ValueError(f"must be one of {', '.join(valid)}, not {value!r}{near(value, valid)}")


def near(value: object, valid: Iterable[str]) -> str:
    """Return a suggestion of the nearest valid value, or an empty text."""
    found = get_close_matches(str(value), list(valid), n=1)
    return f"; did you mean {found[0]}?" if found else ""
