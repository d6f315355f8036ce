"""`tracelink dead-letters list` and `show`: nothing is written."""

import json
import time
from contextlib import closing
from pathlib import Path

import click

from pipeline.settings import RedactionSettings, ReplayedSettings
from streams.dead_letters.bar import with_bar
from streams.dead_letters.diagnosis import diagnose
from streams.dead_letters.letter import Name
from streams.dead_letters.list_view import Collected, print_json, print_table
from streams.dead_letters.show_view import show_json, show_lines
from streams.dead_letters.texts import AsItIs
from streams.dead_letters.topic import LettersTopic
from streams.dead_letters.wanted import Filters
from tracelink.errors import UserError


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
    collected, missing = _collect(topic, filters, limit, settled=settled, payloads=False)
    if as_json:
        print_json(collected.newest(), redactor)
    else:
        print_table(collected, topic.live.prefix, _now(), redactor, settled=settled)
    _tell_missing(missing)


def show_(
    settings: ReplayedSettings,
    redaction: RedactionSettings | None,
    filters: Filters,
    limit: int,
    *,
    output: Path | None,
    as_json: bool,
) -> None:
    """Print letters with all that is in them; `redaction` is None where they are shown as they are."""
    topic, redactor = LettersTopic(settings), AsItIs() if redaction is None else redaction.redactor()
    limit = max(limit, len(filters.letters))
    collected, missing = _collect(topic, filters, limit, settled=True, payloads=True)
    listed = collected.newest()
    if output is not None:
        if len(listed) != 1:
            raise UserError(f"--output takes the payload of one letter, and {len(listed)} are meant: name one.")
        output.write_bytes(listed[0][0].payload or b"")
    for number, (letter, mark) in enumerate(listed):
        diagnosis = diagnose(letter)
        if as_json:
            click.echo(json.dumps(show_json(letter, mark, diagnosis, redactor)))
            continue
        if number:
            click.echo()
        for line in show_lines(letter, mark, diagnosis, topic.live.prefix, _now(), redactor):
            click.echo(line)
    if older := collected.reasons.total() - len(listed):
        click.echo(f"{older:,} older letters are not shown (--limit)", err=True)
    if not listed and not missing:
        raise UserError("There is no such dead letter. `tracelink dead-letters list --all` lists them.")
    _tell_missing(missing)


def _collect(
    topic: LettersTopic, filters: Filters, limit: int, *, settled: bool, payloads: bool
) -> tuple[Collected, list[Name]]:
    """Return the letters that are meant, and which of those that were named are not there."""
    collected, missing = Collected(limit), set(filters.letters)
    wanted = topic.wanted(filters)
    # The marks last: what is settled in between must not look open.
    stretches = topic.stretches(wanted)
    marks = topic.marks()
    with closing(with_bar(topic, "reading dead letters", topic.read(wanted, stretches))) as letters:
        for letter in letters:
            missing.discard(letter.name)
            mark = marks.of(topic.source, letter)
            if settled or mark is None:
                collected.add(letter if payloads else letter.without_payload(), mark)
    return collected, sorted(missing)


def _tell_missing(missing: list[Name]) -> None:
    if missing:
        named = ", ".join(map(str, missing))
        raise UserError(f"Not there: {named}. Retention has passed it, it never was, or a filter leaves it out.")


def _now() -> int:
    return time.time_ns() // 1_000_000
