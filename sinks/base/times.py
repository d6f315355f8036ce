"""Times of problems as instants and as text."""

from datetime import UTC, datetime


def moment(milliseconds: float) -> datetime:
    """Convert milliseconds since the epoch to a UTC time between 1970 and 2100, the nearest if it is outside."""
    bounded = min(max(milliseconds, 0), 4_102_444_800_000)  # 2100
    return datetime.fromtimestamp(bounded / 1000, UTC)


def iso(at: datetime) -> str:
    """Format a time by RFC 3339, with milliseconds."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
