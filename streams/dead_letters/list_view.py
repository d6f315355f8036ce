"""`tracelink dead-letters list`: the newest dead letters as a table, or as one JSON object per line."""

import heapq
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import UTC, datetime

import click
from rich.console import Group
from rich.text import Text

from pipeline.cli.text import plain
from pipeline.cli.times import now_ms, shown
from pipeline.settings import RedactionSettings, ReplayedSettings
from streams.alerts.shown import ago, console, printed, table
from streams.dead_letters.dead_letter import DeadLetter, Filters, Name
from streams.dead_letters.redaction import Redacts, key_of
from streams.dead_letters.resolutions import Resolution
from streams.dead_letters.topic import DeadLettersTopic
from tracelink.errors import UserError

Listed = tuple[DeadLetter, Resolution | None]

_COLUMNS = ("letter", "time", "reason", "sink", "origin", "bytes", "redriven", "settled", "detail")
# The columns for a narrow terminal.
_NARROW = ("letter", "time", "reason", "origin", "settled", "detail")
_WHOLE = ("letter", "time", "reason")
_WIDE = 150
_LONGEST = 200


def list_(
    settings: ReplayedSettings,
    redaction: RedactionSettings,
    filters: Filters,
    limit: int,
    *,
    resolved: bool,
    as_json: bool,
) -> None:
    """Print the newest open dead letters, or with `resolved` the newest of all."""
    topic, redactor = DeadLettersTopic(settings), redaction.redactor()
    collected, missing = collect(topic, filters, limit, resolved=resolved, payloads=False)
    if as_json:
        _print_json(collected.newest(), redactor)
    else:
        _print_table(collected, topic.live.prefix, now_ms(), redactor, resolved=resolved)
    require_named(missing)


class Collected:
    """The newest dead letters, and the number of all by reason."""

    def __init__(self, limit: int) -> None:
        self.reasons: Counter[str] = Counter()
        self._limit = limit
        self._newest: list[tuple[int, Name, DeadLetter, Resolution | None]] = []

    def add(self, letter: DeadLetter, resolution: Resolution | None) -> None:
        """Add a dead letter."""
        self.reasons[letter.headers.reason or "unknown"] += 1
        # Names are unique, so the letters themselves are never compared.
        entry = (letter.timestamp, letter.name, letter, resolution)
        if len(self._newest) < self._limit:
            heapq.heappush(self._newest, entry)
        else:
            heapq.heappushpop(self._newest, entry)

    def newest(self) -> list[Listed]:
        """Return the newest dead letters, oldest first."""
        return [(letter, resolution) for _, _, letter, resolution in sorted(self._newest, key=lambda one: one[:2])]


def collect(
    topic: DeadLettersTopic, filters: Filters, limit: int, *, resolved: bool, payloads: bool
) -> tuple[Collected, list[Name]]:
    """Return the matching dead letters, and the names that were not found."""
    collected, missing = Collected(limit), set(filters.letters)
    query = topic.query(filters)
    # Resolutions last: a dead letter that is resolved in between must not look open.
    offset_ranges = topic.offset_ranges(query)
    resolutions = topic.resolutions()
    with closing(topic.read(query, offset_ranges, "reading dead letters")) as letters:
        for letter in letters:
            missing.discard(letter.name)
            resolution = resolutions.of(topic.owner, letter)
            if resolved or resolution is None:
                collected.add(letter if payloads else letter.without_payload(), resolution)
    return collected, sorted(missing)


def require_named(missing: list[Name]) -> None:
    """Raise UserError if names were not found."""
    if missing:
        named = ", ".join(map(str, missing))
        raise UserError(f"Not found: {named}. Retention has deleted it, it never existed, or a filter excludes it.")


def _print_json(listed: Iterable[Listed], redactor: Redacts) -> None:
    """Print one JSON object per line for each dead letter."""
    for letter, resolution in listed:
        click.echo(json.dumps(as_json(letter, resolution, redactor)))


def _print_table(collected: Collected, prefix: str, now: int, redactor: Redacts, *, resolved: bool) -> None:
    """Print the table and the counts; `prefix` is removed from topics."""
    listed = collected.newest()
    columns = [name for name in (_COLUMNS if console().width >= _WIDE else _NARROW) if resolved or name != "settled"]
    cells = [_cells(letter, resolution, prefix, now, redactor) for letter, resolution in listed]
    rows = [[one[name] for name in columns] for one in cells]
    summary = Text(_summary(collected, len(listed), resolved=resolved))
    printed(Group(table(columns, rows, whole=_WHOLE), summary) if rows else summary)


def as_json(letter: DeadLetter, resolution: Resolution | None, redactor: Redacts) -> dict[str, object]:
    """Return a dead letter for JSON, without its payload."""
    return {
        "letter": str(letter.name),
        "time": shown(letter.timestamp),
        "timestamp": letter.timestamp,
        "reason": letter.headers.reason,
        "detail": redactor.redact(letter.headers.detail),
        "sink": letter.headers.sink,
        "topic": letter.headers.topic,
        "partition": letter.headers.partition,
        "offset": letter.headers.offset,
        "originTimestamp": letter.headers.timestamp,
        "kind": letter.headers.kind,
        **key_of(letter.key, redactor),
        "bytes": letter.size,
        "cutFromBytes": letter.headers.cut_from,
        "redriven": letter.headers.redriven,
        "settled": resolution
        and {"action": resolution["action"], "time": resolution["time"], "count": resolution["count"]},
    }


def origin(letter: DeadLetter, prefix: str) -> str:
    """Return the origin of a dead letter as text: `spans[3]@4711`."""
    place = "" if letter.headers.partition is None else f"[{letter.headers.partition}]@{letter.headers.offset}"
    return plain(letter.headers.topic.removeprefix(prefix), _LONGEST) + place


def resolution_text(resolution: Resolution | None, now: int) -> str:
    """Return the resolution of a dead letter as text; empty if it is open."""
    return "" if resolution is None else f"{resolution['action'].lower()} {ago(resolution['time'], now)}"


def _cells(
    letter: DeadLetter, resolution: Resolution | None, prefix: str, now: int, redactor: Redacts
) -> Mapping[str, str]:
    return {
        "letter": str(letter.name),
        "time": datetime.fromtimestamp(letter.timestamp / 1000, UTC).strftime("%m-%d %H:%M:%S"),
        "reason": plain(letter.headers.reason, _LONGEST),
        "sink": plain(letter.headers.sink or "", _LONGEST),
        "origin": origin(letter, prefix),
        "bytes": f"{letter.size:,}" + ("" if letter.headers.cut_from is None else " (cut)"),
        "redriven": str(letter.headers.redriven or ""),
        "settled": resolution_text(resolution, now),
        "detail": plain(redactor.redact(letter.headers.detail), _LONGEST),
    }


def _summary(collected: Collected, shown_: int, *, resolved: bool) -> str:
    total = collected.reasons.total()
    what = "dead letter" if total == 1 else "dead letters"
    if not total:
        return f"No {what}." if resolved else f"No open {what}."
    reasons = ", ".join(f"{count:,} {plain(reason, _LONGEST)}" for reason, count in sorted(collected.reasons.items()))
    older = f"; {total - shown_:,} older not shown (--limit)" if total > shown_ else ""
    return f"{total:,} {'' if resolved else 'open '}{what}: {reasons}{older}. Times are in UTC."
