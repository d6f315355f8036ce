"""`tracelink dead-letters list`: the newest letters as a table, or a JSON object a line."""

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
from streams.dead_letters.letter import Filters, Letter, Name
from streams.dead_letters.marks import Mark
from streams.dead_letters.texts import Redacts, key_of
from streams.dead_letters.topic import LettersTopic
from tracelink.errors import UserError

Listed = tuple[Letter, Mark | None]

_COLUMNS = ("letter", "time", "reason", "sink", "origin", "bytes", "redriven", "settled", "detail")
# What a narrow terminal has room for.
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
    settled: bool,
    as_json: bool,
) -> None:
    """Print the newest letters that are open, or all."""
    topic, redactor = LettersTopic(settings), redaction.redactor()
    collected, missing = collect(topic, filters, limit, settled=settled, payloads=False)
    if as_json:
        _print_json(collected.newest(), redactor)
    else:
        _print_table(collected, topic.live.prefix, now_ms(), redactor, settled=settled)
    require_named(missing)


class Collected:
    """The newest of the letters, and how many there are by reason."""

    def __init__(self, limit: int) -> None:
        self.reasons: Counter[str] = Counter()
        self._limit = limit
        self._newest: list[tuple[int, Name, Letter, Mark | None]] = []

    def add(self, letter: Letter, mark: Mark | None) -> None:
        """Take a letter in."""
        self.reasons[letter.headers.reason or "unknown"] += 1
        # No two have the same name: letters are never compared.
        entry = (letter.timestamp, letter.name, letter, mark)
        if len(self._newest) < self._limit:
            heapq.heappush(self._newest, entry)
        else:
            heapq.heappushpop(self._newest, entry)

    def newest(self) -> list[Listed]:
        """Return the newest, in the order in which they came."""
        return [(letter, mark) for _, _, letter, mark in sorted(self._newest, key=lambda one: one[:2])]


def collect(
    topic: LettersTopic, filters: Filters, limit: int, *, settled: bool, payloads: bool
) -> tuple[Collected, list[Name]]:
    """Return the letters that are meant, and which of those that were named are not there."""
    collected, missing = Collected(limit), set(filters.letters)
    wanted = topic.wanted(filters)
    # The marks last: what is settled in between must not look open.
    stretches = topic.stretches(wanted)
    marks = topic.marks()
    with closing(topic.read(wanted, stretches, "reading dead letters")) as letters:
        for letter in letters:
            missing.discard(letter.name)
            mark = marks.of(topic.source, letter)
            if settled or mark is None:
                collected.add(letter if payloads else letter.without_payload(), mark)
    return collected, sorted(missing)


def require_named(missing: list[Name]) -> None:
    """Raise UserError where letters that were named are not there."""
    if missing:
        named = ", ".join(map(str, missing))
        raise UserError(f"Not there: {named}. Retention has passed it, it never was, or a filter leaves it out.")


def _print_json(listed: Iterable[Listed], redactor: Redacts) -> None:
    """Print a JSON object a letter, a line each."""
    for letter, mark in listed:
        click.echo(json.dumps(as_json(letter, mark, redactor)))


def _print_table(collected: Collected, prefix: str, now: int, redactor: Redacts, *, settled: bool) -> None:
    """Print the table and how many there are; `prefix` is left away from topics."""
    listed = collected.newest()
    columns = [name for name in (_COLUMNS if console().width >= _WIDE else _NARROW) if settled or name != "settled"]
    cells = [_cells(letter, mark, prefix, now, redactor) for letter, mark in listed]
    rows = [[one[name] for name in columns] for one in cells]
    summary = Text(_summary(collected, len(listed), settled=settled))
    printed(Group(table(columns, rows, whole=_WHOLE), summary) if rows else summary)


def as_json(letter: Letter, mark: Mark | None, redactor: Redacts) -> dict[str, object]:
    """Return a letter as JSON has it, without its payload."""
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
        "settled": mark and {"action": mark["action"], "time": mark["time"], "count": mark["count"]},
    }


def origin(letter: Letter, prefix: str) -> str:
    """Return where a letter came from in a word: `spans[3]@4711`."""
    place = "" if letter.headers.partition is None else f"[{letter.headers.partition}]@{letter.headers.offset}"
    return plain(letter.headers.topic.removeprefix(prefix), _LONGEST) + place


def settled_text(mark: Mark | None, now: int) -> str:
    """Say what became of a letter."""
    return "" if mark is None else f"{mark['action'].lower()} {ago(mark['time'], now)}"


def _cells(letter: Letter, mark: Mark | None, prefix: str, now: int, redactor: Redacts) -> Mapping[str, str]:
    return {
        "letter": str(letter.name),
        "time": datetime.fromtimestamp(letter.timestamp / 1000, UTC).strftime("%m-%d %H:%M:%S"),
        "reason": plain(letter.headers.reason, _LONGEST),
        "sink": plain(letter.headers.sink or "", _LONGEST),
        "origin": origin(letter, prefix),
        "bytes": f"{letter.size:,}" + ("" if letter.headers.cut_from is None else " (cut)"),
        "redriven": str(letter.headers.redriven or ""),
        "settled": settled_text(mark, now),
        "detail": plain(redactor.redact(letter.headers.detail), _LONGEST),
    }


def _summary(collected: Collected, shown_: int, *, settled: bool) -> str:
    total = collected.reasons.total()
    what = "dead letter" if total == 1 else "dead letters"
    if not total:
        return f"No {what}." if settled else f"No open {what}."
    reasons = ", ".join(f"{count:,} {plain(reason, _LONGEST)}" for reason, count in sorted(collected.reasons.items()))
    older = f"; {total - shown_:,} older not shown (--limit)" if total > shown_ else ""
    return f"{total:,} {'' if settled else 'open '}{what}: {reasons}{older}. Times are in UTC."
