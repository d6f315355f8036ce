"""The output of `tracelink dead-letters show`: a letter field by field, and the byte that is wrong."""

from collections.abc import Iterable, Iterator
from math import isfinite

from pipeline.cli.text import plain
from pipeline.cli.times import shown
from streams.dead_letters.diagnosis import Diagnosis
from streams.dead_letters.dump import WIDTH, dump
from streams.dead_letters.letter import Letter
from streams.dead_letters.list_view import as_json, origin, settled_text
from streams.dead_letters.marks import Mark
from streams.dead_letters.texts import AsItIs, Redacts, as_text, headers_of, hidden, key_of, path_of, value_of
from streams.dead_letters.walk import Fault, Leaf

_LONGEST = 200
_MOST_FIELDS = 100
_AROUND = 2
_DUMPS = 10


def show_json(letter: Letter, mark: Mark | None, diagnosis: Diagnosis, redactor: Redacts) -> dict[str, object]:
    """Return a letter as JSON has it: with its payload in hex only where nothing is redacted."""
    found = as_json(letter, mark, redactor) | {
        "headers": headers_of(letter.headers, redactor),
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


def show_lines(  # noqa: PLR0917 - what a letter is shown with
    letter: Letter, mark: Mark | None, diagnosis: Diagnosis, prefix: str, now: int, redactor: Redacts
) -> Iterator[str]:
    """Yield the lines that show a letter, each fit for a terminal."""
    yield f"Dead letter {letter.name}: {plain(letter.reason, _LONGEST)}"
    yield from _named(_about(letter, mark, prefix, now, redactor))
    yield ""
    yield "Headers"
    yield from _named(headers_of(letter.headers, redactor).items())
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


def _about(letter: Letter, mark: Mark | None, prefix: str, now: int, redactor: Redacts) -> list[tuple[str, str]]:
    key = key_of(letter.key, redactor)
    of = f"{letter.kind}, cut out of a message" if letter.kind else "the whole message"
    came = "" if letter.came is None else f", {shown(letter.came)}"
    found = [
        ("time", shown(letter.timestamp)),
        ("detail", redactor.redact(letter.detail)),
        ("came from", origin(letter, prefix) + came),
        ("sink", letter.sink or ""),
        ("payload", f"{letter.size:,} bytes, {of}"),
        ("key", key.get("key") or (f"{key['keyHex']} (hex)" if "keyHex" in key else "none")),
        ("redriven", f"{letter.redriven}x" if letter.redriven else ""),
        ("settled", settled_text(mark, now)),
    ]
    return [(name, text) for name, text in found if text]


def _named(texts: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, text in texts:
        yield f"  {plain(name, _LONGEST):<24} {plain(text, 2 * _LONGEST)}".rstrip()


def _fields(diagnosis: Diagnosis, redactor: Redacts) -> Iterator[str]:
    """Yield the fields; of very many only those of the whole and of records with a fault."""
    leaves, left_out = diagnosis.leaves, 0
    if len(leaves) > _MOST_FIELDS:
        bad = {fault.path[:2] for fault in diagnosis.faults}
        leaves = tuple(leaf for leaf in leaves if len(leaf.path) == 1 or leaf.path[:2] in bad)[: 4 * _MOST_FIELDS]
        left_out = len(diagnosis.leaves) - len(leaves)
    for leaf in leaves:
        text = plain(value_of(leaf, redactor), _LONGEST) if leaf.value is not None else "null"
        yield f"  {leaf.start:>8} {plain(path_of(leaf.path, redactor), _LONGEST)} = {text}".rstrip()
    if left_out:
        yield f"  {left_out:,} fields of sound records are not shown; --json has them"


def _bad_records(diagnosis: Diagnosis) -> list[str]:
    """Name the records of a trace that have a fault."""
    if diagnosis.what != "trace":
        return []
    return list(dict.fromkeys(path_of(one.path[:2], AsItIs()) for one in diagnosis.faults if len(one.path) > 1))


def _fault(letter: Letter, diagnosis: Diagnosis, fault: Fault, redactor: Redacts, *, dumped: bool) -> Iterator[str]:
    where = f", in {plain(path_of(fault.path, redactor), _LONGEST)}" if fault.path else ""
    yield f"Wrong at byte {fault.at}{where}: {fault.why}"
    if dumped and letter.payload is not None:
        window = range(max(0, fault.at - (_AROUND + 1) * WIDTH), fault.at + (_AROUND + 1) * WIDTH)
        secret = hidden(letter.payload, diagnosis, window, redactor)
        yield from dump(letter.payload, fault.at, around=_AROUND, hidden=secret)
        if secret:
            yield "  ·· may be secret: --raw shows it"


def _in_json(leaf: Leaf, redactor: Redacts) -> object:
    value = value_of(leaf, redactor)
    # JSON has no number for those that are none.
    return str(value) if isinstance(value, float) and not isfinite(value) else value
