"""The page: from the answers of Elasticsearch to HTML, in one process without a server."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from benchmarks.case import Bench, Case
from benchmarks.paired import paired
from benchmarks.result import Result, Row, Target
from benchmarks.traffic import Shape, ids_of, stream
from pipeline.model.problems import Problem
from sinks.elasticsearch.documents import log_document, log_id, part_document, started, trace_context
from sinks.elasticsearch.settings import ElasticsearchSettings
from sinks.page.curves import Sparkline
from sinks.page.settings import PageSettings
from sinks.page.traces import Traces
from sinks.page.views import Page, Views
from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.model.records import Flag, LogRecord, Span, Trace

if TYPE_CHECKING:
    from sinks.elasticsearch.client import ElasticsearchClient
    from sinks.page.curves import LiveCurves
    from sinks.page.live import LiveProblems
    from sinks.page.search import Search

_MOST = 8.0
"""Times the CPU of parsing and dumping the same documents."""
_KB = 1000
_PROBLEMS = 2000
_TRACE_ID = ids_of(1)[0]


class _Stored:
    """Answers searches with the same documents, which it parses each time, as the client of Elasticsearch does."""

    def __init__(self, answers: Mapping[str, str]) -> None:
        self._answers = answers

    def search(self, index: str, _query: object, _at_once: int, **_: object) -> Iterator[dict[str, Any]]:
        yield from json.loads(self._answers[index])


class _Asked:
    """Traces that are asked for each time, and never kept."""

    def __init__(self, answers: Mapping[str, str]) -> None:
        self._client = cast("ElasticsearchClient", _Stored(answers))

    def find(self, trace_id: bytes) -> object:
        return Traces(self._client, "", math.inf).find(trace_id)


class _Known:
    """The problems of the list, encoded; decoded each time, as if all of them had just come."""

    failure = None

    def __init__(self, encoded: str) -> None:
        self._encoded = encoded

    def all(self) -> list[Problem]:
        found: list[Problem] = json.loads(self._encoded)
        return found


class _Curved:
    """A curve of every problem, with errors in each piece."""

    def sparkline(self, _kind: str, _name: str, _now_ms: float, pieces: int) -> Sparkline:
        return Sparkline([1 + number % 7 for number in range(pieces)], 1440 // pieces)


def _views(traces: Traces, problems: object = None) -> Views:
    known, curves = cast("LiveProblems", problems), cast("LiveCurves", _Curved())
    return Views(PageSettings.load(), known, curves, traces, cast("Search", None))


def _answers(shape: Shape) -> dict[str, str]:
    """Return what Elasticsearch answers about an errored trace of a shape, by index."""
    records = list(stream(shape.templates()[:1], 1, 0))
    spans: list[Span] = [SPAN.decode(one.value) for one in records if one.is_span]
    logs: list[LogRecord] = [LOG_RECORD.decode(one.value) for one in records if not one.is_span]
    logs[-1] |= {"flags": logs[-1]["flags"] | Flag.ERROR, "level": "ERROR"}
    trace = Trace(
        flags=Flag.ERROR, traceId=_TRACE_ID, name="s0-0", opened=0, closed=1, reason="IDLE", spans=spans, logs=logs
    )
    context = trace_context(trace)
    part = part_document(trace, context, started(trace), ElasticsearchSettings.load().searched_tags())
    lines = [{"_id": log_id(log), "_source": log_document(log, context)} for log in logs]
    return {
        "traces-*": json.dumps([{"_id": "part", "_source": part}], default=str),
        "logs-*": json.dumps(lines, default=str),
    }


def _problems() -> str:
    sample = {"traceId": _TRACE_ID.hex(), "time": 1_795_162_530_123, "duration": 123_456}
    said = "charge of order 4711 failed: https://pay.example/v2/authorize did not answer within 2 s"
    line = {"timestamp": 1_795_162_530_123_456, "service": "pay", "level": "ERROR", "message": said}
    known = [
        {
            "fingerprint": f"{number:016x}", "version": 7, "status": "FIRING", "announced": True, "known": True,
            "muted": False, "severity": "error", "rule": None, "labels": {"team": "payments"}, "runbook": None,
            "service": f"service-{number % 40}", "operation": "POST /charges", "exception": "shop.pay.GatewayError",
            "message": said, "httpStatus": "500", "grpcStatus": None, "peer": None, "logger": "shop.pay",
            "tags": {"http.method": "POST"}, "services": ["frontend", "checkout", f"service-{number % 40}"],
            "root": "frontend POST /orders", "lines": [line] * 10, "firstSeen": 1_795_162_530_123 - number,
            "lastSeen": 1_795_162_530_123, "arrived": 1, "firingSince": 1, "count": number, "window": 1, "inWindow": 1,
            "inWindowBefore": 1, "overThreshold": False, "newest": [sample] * 5, "slowest": sample,
        }
        for number in range(_PROBLEMS)
    ]  # fmt: skip
    return json.dumps(known)


def _measure(title: str, make: Callable[[], Page], documents: list[str], rounds: int) -> tuple[list[Row], list[Target]]:
    """Measure a page beside the same documents parsed and dumped."""

    def alone() -> None:
        for text in documents:
            json.dumps(json.loads(text))

    found = paired(make, alone, records=1, rounds=rounds)
    weight = len(make().body.encode())
    note = f"{weight / _KB:,.0f} kB of HTML, {found.ratio:.1f} times the {found.other:,.0f} µs of the JSON alone"
    targets = [Target(f"{title}: multiple of the JSON alone, at most {_MOST:g}", found.ratio, _MOST, at_most=True)]
    return [Row(title, cpu_us=found.ours, note=note)], targets


def _run(_: Bench) -> Result:
    rows: list[Row] = []
    targets: list[Target] = []
    for title, shape, rounds in (
        ("trace of 100 spans and 50 lines", Shape(100, 50, rich=True), 20),
        ("trace of 5,000 records", Shape(3_334, 1_666, rich=True), 7),
    ):
        answers = _answers(shape)
        views = _views(cast("Traces", _Asked(answers)))

        def trace(views: Views = views) -> Page:
            return views.trace(_TRACE_ID.hex(), {})

        measured = _measure(title, trace, list(answers.values()), rounds)
        rows += measured[0]
        targets += measured[1]
    encoded = _problems()
    problems = _views(cast("Traces", None), _Known(encoded))
    listed = _measure(
        "problems, 2,000 rows", lambda: problems.problem_list({"limit": str(_PROBLEMS)}), [encoded], rounds=7
    )
    return Result("page", CASE.about, [*rows, *listed[0]], [*targets, *listed[1]])


CASE = Case("page", "pages of problems and traces, from the answers of Elasticsearch to HTML", (), _run)
