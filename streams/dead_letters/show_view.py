"""`tracelink dead-letters show`: dead letters field by field, and a dump around each faulty byte."""

import json
from collections.abc import Container, Iterable, Iterator
from math import isfinite
from pathlib import Path

import click

from pipeline.cli.text import plain
from pipeline.cli.times import now_ms, shown
from pipeline.settings import RedactionSettings, ReplayedSettings
from streams.dead_letters.dead_letter import DeadLetter, Filters
from streams.dead_letters.diagnosis import Diagnosis, diagnose
from streams.dead_letters.list_view import as_json, collect, origin, require_named, resolution_text
from streams.dead_letters.redaction import AsItIs, Redacts, as_text, headers_of, hidden, key_of, path_of, value_of
from streams.dead_letters.resolutions import Resolution
from streams.dead_letters.topic import DeadLettersTopic
from streams.dead_letters.walk import Fault, Leaf
from tracelink.errors import UserError

_LONGEST = 200
_MOST_FIELDS = 100
_AROUND = 2
_DUMPS = 10
_WIDTH = 16
_HIDDEN = "··"


def show_(
    settings: ReplayedSettings,
    redaction: RedactionSettings | None,
    filters: Filters,
    limit: int,
    *,
    output: Path | None,
    as_json: bool,
) -> None:
    """Print dead letters in full; `redaction` is None if secrets are shown."""
    topic, redactor = DeadLettersTopic(settings), AsItIs() if redaction is None else redaction.redactor()
    limit = max(limit, len(filters.letters))
    collected, missing = collect(topic, filters, limit, resolved=True, payloads=True)
    listed = collected.newest()
    if output is not None:
        if len(listed) != 1:
            raise UserError(f"--output needs exactly one dead letter, but {len(listed)} match: give one name.")
        output.write_bytes(listed[0][0].payload or b"")
    for number, (letter, resolution) in enumerate(listed):
        diagnosis = diagnose(letter)
        if as_json:
            click.echo(json.dumps(_show_json(letter, resolution, diagnosis, redactor)))
            continue
        if number:
            click.echo()
        for line in show_lines(letter, resolution, diagnosis, topic.live.prefix, now_ms(), redactor):
            click.echo(line)
    if older := collected.reasons.total() - len(listed):
        click.echo(f"{older:,} older dead letters are not shown (--limit)", err=True)
    if not listed and not missing:
        raise UserError("No dead letter matches. `tracelink dead-letters list --all` lists them.")
    require_named(missing)


def _show_json(
    letter: DeadLetter, resolution: Resolution | None, diagnosis: Diagnosis, redactor: Redacts
) -> dict[str, object]:
    """Return a dead letter for JSON; its payload is included, in hex, only if nothing is redacted."""
    found = as_json(letter, resolution, redactor) | {
        "headers": headers_of(letter.headers.texts, redactor),
        "is": diagnosis.what,
        "fields": [
            {
                "path": path_of(leaf.path, redactor),
                "start": leaf.start,
                "end": leaf.end,
                "value": _in_json(leaf, redactor),
            }
            for leaf in diagnosis.leaves
        ],
        "faults": [{"path": path_of(one.path, redactor), "at": one.at, "why": one.why} for one in diagnosis.faults],
        "remarks": [redactor.redact(remark) for remark in diagnosis.remarks],
    }
    if isinstance(redactor, AsItIs):
        found["payloadHex"] = None if letter.payload is None else letter.payload.hex()
    return found


def show_lines(  # noqa: PLR0917 - all are shown
    letter: DeadLetter, resolution: Resolution | None, diagnosis: Diagnosis, prefix: str, now: int, redactor: Redacts
) -> Iterator[str]:
    """Yield the lines that show a dead letter, each safe for a terminal."""
    yield f"Dead letter {letter.name}: {plain(letter.headers.reason, _LONGEST)}"
    yield from _named(_about(letter, resolution, prefix, now, redactor))
    yield ""
    yield "Headers"
    yield from _named(headers_of(letter.headers.texts, redactor).items())
    if diagnosis.leaves:
        yield ""
        yield f"Read as a {diagnosis.what}: byte, field, value"
        yield from _fields(diagnosis, redactor)
        if bad := _bad_records(diagnosis):
            yield f"Bad records of this {diagnosis.what}: {', '.join(bad)}; the others can be read"
    elif letter.payload and (text := as_text(letter.payload, redactor, _LONGEST)) is not None:
        yield ""
        yield f"It is text: {plain(text, _LONGEST)}"
    for number, fault in enumerate(diagnosis.faults):
        yield ""
        yield from _fault(letter, diagnosis, fault, redactor, dumped=number < _DUMPS)
    if diagnosis.remarks:
        yield ""
    for remark in diagnosis.remarks:
        yield plain(redactor.redact(remark), 3 * _LONGEST)


def _about(
    letter: DeadLetter, resolution: Resolution | None, prefix: str, now: int, redactor: Redacts
) -> list[tuple[str, str]]:
    key = key_of(letter.key, redactor)
    of = f"{letter.headers.kind}, cut out of a message" if letter.headers.kind else "the whole message"
    came = "" if letter.headers.timestamp is None else f", {shown(letter.headers.timestamp)}"
    found = [
        ("time", shown(letter.timestamp)),
        ("detail", redactor.redact(letter.headers.detail)),
        ("came from", origin(letter, prefix) + came),
        ("sink", letter.headers.sink or ""),
        ("payload", f"{letter.size:,} bytes, {of}"),
        ("key", key.get("key") or (f"{key['keyHex']} (hex)" if "keyHex" in key else "none")),
        ("redriven", f"{letter.headers.redriven}x" if letter.headers.redriven else ""),
        ("settled", resolution_text(resolution, now)),
    ]
    return [(name, text) for name, text in found if text]


def _named(texts: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, text in texts:
        yield f"  {plain(name, _LONGEST):<24} {plain(text, 2 * _LONGEST)}".rstrip()


def _fields(diagnosis: Diagnosis, redactor: Redacts) -> Iterator[str]:
    """Yield the fields; if there are too many, only top-level ones and those of faulty records."""
    leaves, left_out = diagnosis.leaves, 0
    if len(leaves) > _MOST_FIELDS:
        bad = {fault.path[:2] for fault in diagnosis.faults}
        leaves = tuple(leaf for leaf in leaves if len(leaf.path) == 1 or leaf.path[:2] in bad)[: 4 * _MOST_FIELDS]
        left_out = len(diagnosis.leaves) - len(leaves)
    for leaf in leaves:
        text = plain(value_of(leaf, redactor), _LONGEST) if leaf.value is not None else "null"
        yield f"  {leaf.start:>8} {plain(path_of(leaf.path, redactor), _LONGEST)} = {text}".rstrip()
    if left_out:
        yield f"  {left_out:,} fields of valid records are not shown; --json shows them"


def _bad_records(diagnosis: Diagnosis) -> list[str]:
    """Return the paths of a trace's faulty records."""
    if diagnosis.what != "trace":
        return []
    return list(dict.fromkeys(path_of(one.path[:2], AsItIs()) for one in diagnosis.faults if len(one.path) > 1))


def _fault(letter: DeadLetter, diagnosis: Diagnosis, fault: Fault, redactor: Redacts, *, dumped: bool) -> Iterator[str]:
    where = f", in {plain(path_of(fault.path, redactor), _LONGEST)}" if fault.path else ""
    yield f"Wrong at byte {fault.at}{where}: {fault.why}"
    if dumped and letter.payload is not None:
        window = range(max(0, fault.at - (_AROUND + 1) * _WIDTH), fault.at + (_AROUND + 1) * _WIDTH)
        secret = hidden(letter.payload, diagnosis, window, redactor)
        yield from dump(letter.payload, fault.at, around=_AROUND, hidden=secret)
        if secret:
            yield "  ·· may be secret: --raw shows it"


def _in_json(leaf: Leaf, redactor: Redacts) -> object:
    value = value_of(leaf, redactor)
    # JSON has no NaN and no infinity.
    return str(value) if isinstance(value, float) and not isfinite(value) else value


def dump(data: bytes, at: int, *, around: int = 2, hidden: Container[int] = ()) -> list[str]:
    """Return a hex dump of the line of a byte and `around` lines before and after it, with carets under the byte.

    `at` may be the end of the data: the carets then mark the missing byte. Bytes in `hidden` are not shown.
    """
    row = at // _WIDTH
    lines: list[str] = []
    for number in range(max(0, row - around), row + around + 1):
        start = number * _WIDTH
        if start < len(data):
            lines.append(_line(data, start, hidden))
        elif number == row:
            lines.append(f"{start:08x}")
        if number == row:
            lines.append(" " * (10 + 3 * (at % _WIDTH)) + "^^")
    return lines


def _line(data: bytes, start: int, hidden: Container[int]) -> str:
    places = range(start, min(start + _WIDTH, len(data)))
    codes = " ".join(_HIDDEN if place in hidden else f"{data[place]:02x}" for place in places)
    chars = "".join("·" if place in hidden else _char(data[place]) for place in places)
    return f"{start:08x}  {codes:<{3 * _WIDTH - 1}}  |{chars}|"


def _char(byte: int) -> str:
    return chr(byte) if 0x20 <= byte < 0x7F else "."  # noqa: PLR2004 - printable ASCII
