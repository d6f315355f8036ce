"""Renders a trace for the terminal: its span tree, with the log lines of each span."""

from collections.abc import Iterator
from math import inf
from operator import itemgetter

from rich.text import Text

from pipeline.analysis.span_tree import SpanNode, SpanTree
from pipeline.cli.text import plain
from sinks.elasticsearch.indices import instant
from sinks.trace.placement import Line, field_of, place, start_of, time_of
from sinks.trace.search import FoundTrace
from tracelink.model.records import ErrorRule, duration_of

_LONGEST = 1000
_DEEPEST = 24
"""Maximum levels of indentation; deeper spans show their depth as a number."""
_RULE = ErrorRule()
_US_PER_MS = 1000


def view(found: FoundTrace) -> Iterator[Text]:
    """Yield the lines: a summary, the spans with their log lines, and log lines without a span."""
    spans = found.records()
    tree = SpanTree(spans)
    placed, unplaced = place(tree, found.lines)
    yield _summary(found, tree, duration_of(spans))
    tops = sorted((node for node in tree.nodes if node.parent is None), key=start_of)
    begin = min((start for node in tree.nodes if (start := start_of(node)) < inf), default=0.0)
    yield from _nodes(tops, placed, begin)
    if unplaced:
        yield Text("log lines of services without spans here:", style="dim")
        yield from (_line(line, 1) for line in unplaced)
    if found.limit is not None:
        yield Text(f"Truncated: only {found.limit:,} spans and log lines are shown (--limit).", style="yellow")


def shown(text: object) -> str:
    """Return a text of a trace, cut and safe to print on a terminal."""
    return plain(text, _LONGEST)


def _nodes(tops: list[SpanNode], placed: dict[int, list[Line]], begin: float) -> Iterator[Text]:
    """Walk the tree in the order of time, without recursion: traces can be deeper than Python's recursion limit."""
    pending: list[tuple[SpanNode | Line, int]] = [(node, 0) for node in reversed(tops)]
    while pending:
        what, depth = pending.pop()
        if not isinstance(what, SpanNode):
            yield _line(what, depth)
            continue
        yield _node(what, depth, begin)
        inside: list[tuple[float, SpanNode | Line]] = [(time_of(line), line) for line in placed.get(id(what), ())]
        inside += [(start_of(node), node) for node in what.children]
        inside.sort(key=itemgetter(0))
        pending += [(one, depth + 1) for _, one in reversed(inside)]


def _summary(found: FoundTrace, tree: SpanTree, duration: int) -> Text:
    services = {node.service for node in tree.nodes} | {field_of(line, "service", "name") for line in found.lines}
    text = Text(f"trace {found.shown_id}", style="bold")
    text.append(" errored" if found.errored else "", style="bold red")
    counts = (
        f": {_count(len(tree.nodes), 'span')} and {_count(len(found.lines), 'log line')} "
        f"of {_count(len(services - {None}), 'service')}"
    )
    text.append(counts, style="not bold")
    if tree.nodes:
        text.append(f", {_milliseconds(duration)}", style="not bold")
    times = [start for node in tree.nodes if 0 < (start := start_of(node)) < inf]
    times += [time for line in found.lines if (time := time_of(line)) < inf]
    if times:
        text.append(f", from {_shown_time(min(times), whole=True)}", style="not bold")
    return text


def _node(node: SpanNode, depth: int, begin: float) -> Text:
    span = node.span
    text = _indented(depth)
    text.append(shown(node.service or "?"), style="bold red" if node.errored else "bold cyan")
    text.append(f" {shown(span.get('name') or '(no name)')}", style="red" if node.errored else "")
    details = [str(kind).lower()] if (kind := span.get("kind")) else []
    details += [_milliseconds(duration)] if (duration := span.get("duration")) else ["not ended"]
    if (start := start_of(node)) < inf:
        details.append(f"at {_milliseconds(start - begin, sign=True)}")
    if node.parent is None and span.get("parentId"):
        details.append("its caller is not here")
    text.append(f"  {shown(', '.join(details))}", style="dim")
    if node.errored:
        said = (span.get("tags") or {}).get("error")
        text.append(f"  ✗ {shown(said) if said else ''}".rstrip(), style="bold red")
    return text


def _line(line: Line, depth: int) -> Text:
    level = field_of(line, "log", "level")
    errored = _RULE.log(level)
    text = _indented(depth)
    text.append(f"· {_shown_time(time_of(line))} ", style="dim")
    if level:
        text.append(f"{shown(level)} ", style="bold red" if errored else "dim")
    text.append(shown(line.get("message", "")), style="red" if errored else "")
    error = line.get("error") or {}
    said = ": ".join(shown(error[name]) for name in ("type", "message") if error.get(name))
    if said:
        text.append(f"  {said}", style="red")
    return text


def _indented(depth: int) -> Text:
    return Text("  " * depth if depth <= _DEEPEST else f"{'  ' * _DEEPEST}({depth} deep) ", style="")


def _shown_time(microseconds: float, *, whole: bool = False) -> str:
    try:
        shown = instant(int(microseconds))
    except OverflowError:
        return "--:--:--.---"
    return f"{shown:%Y-%m-%d %H:%M:%S.}{shown.microsecond // _US_PER_MS:03}{' UTC' * whole}"[0 if whole else 11 :]


def _milliseconds(microseconds: float, *, sign: bool = False) -> str:
    return f"{microseconds / _US_PER_MS:{'+' if sign else ''},.1f} ms"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
