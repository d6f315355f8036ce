"""Whole traces in memory: from the records of a test, or from recorded files."""

from collections.abc import Iterable
from pathlib import Path

from hypothesis import strategies as st

from pipeline.cli.input_file import InputFile, Item
from pipeline.formats.log_record import parse_log
from pipeline.formats.zipkin_json import parse_span
from tests.kit.datasets import SHARED
from tests.kit.strategies import EXCEPTIONS, TEXTS, logs, spans
from tracelink.model.records import ErrorRule, LogRecord, Span, Trace

CLOSED = 1_767_225_605_000
"""2026-01-01T00:00:05Z in milliseconds."""
_IDS = st.sampled_from([f"{number:016x}" for number in range(1, 7)])
_SERVICES = st.sampled_from(["web", "shop", "payment"])
_TIMES = st.integers(1, 20)
_RULE = ErrorRule()


def trace(spans: Iterable[Span] = (), logs: Iterable[LogRecord] = (), *, closed: int = CLOSED) -> Trace:
    """Return a part with these records; those of one trace, at least one."""
    made: Trace = {
        "flags": 0,
        "traceId": b"",
        "name": "s0-1",
        "opened": CLOSED - 5000,
        "closed": closed,
        "reason": "IDLE",
        "spans": list(spans),
        "logs": list(logs),
    }
    for record in (*made["spans"], *made["logs"]):
        made["flags"] |= record["flags"]
        made["traceId"] = record["traceId"]
    return made


def recorded_traces(name: str) -> list[Trace]:
    """Return the traces of a recorded data set of spans and logs."""
    spans = [parse_span(item.value, _RULE) for item in _items(SHARED / f"{name}.spans.jsonl.gz")]
    logs = [parse_log(item.value, item.identity, _RULE) for item in _items(SHARED / f"{name}.logs.jsonl.gz")]
    found: dict[bytes, tuple[list[Span], list[LogRecord]]] = {}
    for span in spans:
        found.setdefault(span["traceId"], ([], []))[0].append(span)
    for log in logs:
        found.setdefault(log["traceId"], ([], []))[1].append(log)
    return [trace(*records) for records in found.values()]


def zipkin_spans(name: str) -> list[Span]:
    """Return the spans of a recorded trace in Zipkin's JSON."""
    return [parse_span(item.value, _RULE) for item in _items(SHARED / "zipkin" / f"{name}.json")]


def _items(path: Path) -> list[Item]:
    source = InputFile(path)
    found = list(source.items())
    source.close()
    assert all(isinstance(item, Item) for item in found)
    return [item for item in found if isinstance(item, Item)]


_ONE_TRACE = st.just(bytes(15) + b"\1")


def any_trace() -> st.SearchStrategy[Trace]:
    """Make any trace that can be decoded, and stream times that none has."""
    return st.builds(
        lambda spans, logs, closed: trace(spans, logs, closed=closed),
        st.lists(spans(_ONE_TRACE), max_size=8),
        st.lists(logs(_ONE_TRACE), max_size=8),
        st.integers(-(2**70), 2**70),
    )


@st.composite
def tangled_trace(draw: st.DrawFn) -> Trace:
    """Make a trace of few ids: shared ones, repeats, rings, several roots, parents and spans that are not there."""
    found = draw(st.lists(spans(_ONE_TRACE), max_size=8))
    for span in found:
        span["id"], span["parentId"] = draw(_IDS), draw(st.none() | _IDS)
        span["timestamp"] = draw(st.none() | _TIMES)
        span["localEndpoint"] = {"serviceName": draw(_SERVICES)}
    lines = draw(st.lists(logs(_ONE_TRACE), max_size=8))
    for number, line in enumerate(lines):
        line["id"] = f"line-{number}"  # a line's id is its identity
        line["spanId"], line["timestamp"] = draw(st.none() | _IDS), draw(_TIMES)
        line["service"] = draw(st.none() | _SERVICES)
        line["exception"] = draw(st.none() | EXCEPTIONS)  # type: ignore[typeddict-item]  # has its keys
        line["message"] = draw(TEXTS)
    return trace(found, lines)


@st.composite
def rearranged(draw: st.DrawFn, whole: Trace) -> Trace:
    """Make a trace with the same records in another order, some of them twice."""
    spans, logs = whole["spans"], whole["logs"]
    return trace(
        draw(st.permutations(spans + draw(st.lists(st.sampled_from(spans), max_size=3) if spans else st.just([])))),
        draw(st.permutations(logs + draw(st.lists(st.sampled_from(logs), max_size=3) if logs else st.just([])))),
    )
