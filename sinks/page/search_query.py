"""The search for traces: from the query of an address to Elasticsearch's, and from its answer to rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Self

from pipeline.cli.times import parse
from pipeline.cli.times import shown as shown_time
from sinks.page.problem_list import whole
from sinks.trace.placement import time_of
from tracelink.errors import UserError
from tracelink.kafka.topics import TopicNames

ROWS = 50
"""Traces of one page."""
MOST_LINES = 200
"""Most traces that a search in log lines finds."""
_BUCKETS = 60
MOST_PAGES = 100
"""Pages of a search."""
_LONGEST = 500
_DIGITS = 9
_LATEST = (2**63 - 1) // 1_000_000
"""The last time of Elasticsearch's `date_nanos`, in milliseconds."""
_WITHIN = "5s"
"""Time that Elasticsearch may take for a search; what it has found by then is shown."""
_LINE_FIELDS = ["message", "error.message", "error.type", "error.stack_trace"]


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """The fields of the search, as a person gave them, and the time range in milliseconds."""

    service: str
    operation: str
    tag: str
    text: str
    errored: bool
    longer: str
    shorter: str
    since: str
    until: str
    page: int
    begin: int
    end: int

    @classmethod
    def of(cls, query: Mapping[str, str], now: int) -> Self:
        """Return the fields of a query; `now` is in milliseconds. Raises UserError that says which field is wrong."""
        given = {
            name: query.get(name, "").strip()[:_LONGEST]
            for name in ("service", "operation", "tag", "text", "min", "max")
        }
        since, until = query.get("from", "").strip() or "1h", query.get("to", "").strip() or "now"
        begin, end = _time("from", since, now), _time("to", until, now)
        if begin >= end:
            raise UserError("The time range is empty: 'from' must be before 'to'.")
        for name in ("min", "max"):
            _milliseconds(name, given[name])
        if given["tag"] and not all(_tag(given["tag"])):
            raise UserError(f"{given['tag']!r} is not a tag: write NAME=VALUE, as http.method=POST.")
        return cls(
            given["service"],
            given["operation"],
            given["tag"],
            given["text"],
            query.get("errored") == "1",
            given["min"],
            given["max"],
            since,
            until,
            min(MOST_PAGES, whole(query.get("page"), 1)),
            begin,
            end,
        )

    @property
    def narrows_parts(self) -> bool:
        """True if only the documents of parts can say which traces are meant."""
        return bool(self.service or self.operation or self.tag or self.errored or self.longer or self.shorter)

    @property
    def new_fields(self) -> list[str]:
        """The fields that are asked for, and that documents of older versions do not have."""
        return ["operations"] * bool(self.operation) + ["tags"] * bool(self.tag)


def trace_query(wanted: SearchFilter, trace_ids: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the search in parts of traces, one hit a trace; with `trace_ids`, among these alone."""
    filters: list[dict[str, Any]] = [_range(wanted)]
    for field, value in (("service.name", wanted.service), ("operations", wanted.operation)):
        if value:
            filters.append({"term": {field: value}})
    if wanted.tag:
        name, value = _tag(wanted.tag)
        filters.append({"term": {f"tags.{name}": value}})
    if wanted.errored:
        filters.append({"term": {"trace.errored": True}})
    took = {
        bound: _milliseconds(bound, given) * 1000
        for bound, given in (("gte", wanted.longer), ("lte", wanted.shorter))
        if given
    }
    if took:
        filters.append({"range": {"trace.duration.us": took}})
    if trace_ids is not None:
        # A part may have begun before the range in which its line lies.
        filters[0] = {"terms": {"trace.id": list(trace_ids)}}
    query: dict[str, Any] = {
        "query": {"bool": {"filter": filters}},
        "sort": [{"@timestamp": {"order": "desc", "unmapped_type": "date_nanos"}}],
        "collapse": {"field": "trace.id"},
        "from": 0 if trace_ids is not None else (wanted.page - 1) * ROWS,
        "size": len(trace_ids) if trace_ids is not None else ROWS + 1,
        "_source": ["@timestamp", "service.name", "trace", "error"],
        "timeout": _WITHIN,
        "track_total_hits": False,
    }
    # Beyond the range a step of seconds may give more buckets than Elasticsearch makes.
    return query if trace_ids is not None else query | {"aggs": _over_time(wanted)}


def line_query(wanted: SearchFilter) -> dict[str, Any]:
    """Return the search in log lines, the newest hit of each trace; quotation marks around words ask for the phrase."""
    said = {"query": wanted.text, "fields": _LINE_FIELDS, "default_operator": "and"}
    return {
        "query": {"bool": {"must": [{"simple_query_string": said}], "filter": [_range(wanted), _HAS_TRACE]}},
        "sort": [{"@timestamp": {"order": "desc", "unmapped_type": "date_nanos"}}],
        "collapse": {"field": "trace.id"},
        "size": MOST_LINES,
        "_source": ["@timestamp", "service.name", "trace.id", "log.level", "message"],
        "timeout": _WITHIN,
        "track_total_hits": False,
        "aggs": _over_time(wanted),
    }


_HAS_TRACE = {"exists": {"field": "trace.id"}}


@dataclass(frozen=True, slots=True)
class Result:
    """A trace that was found."""

    trace_id: str
    start: float
    """Microseconds since the epoch."""
    duration: int | None
    """Microseconds; None if Elasticsearch has no part of it."""
    errored: bool
    root: str
    services: Sequence[str]
    spans: int
    lines: int
    said: str
    """The matching log line, or the message of the error."""
    at: str
    """The id of the matching log line; empty without one."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The hits of a piece of time, which begins at `start` (milliseconds)."""

    start: int
    count: int
    errored: int


def result_of(part: Mapping[str, Any] | None, line: Mapping[str, Any] | None = None) -> Result:
    """Return a row from the document of a part, from a matching log line, or from both."""
    source = part or line or {}
    trace = source.get("trace") or {}
    root, error = trace.get("root") or {}, (part or {}).get("error") or {}
    said = (line or {}).get("message") or ": ".join(filter(None, (error.get("type"), error.get("message"))))
    services = (source.get("service") or {}).get("name") or []
    return Result(
        str(trace.get("id")),
        time_of(dict(source)),
        None if part is None else (trace.get("duration") or {}).get("us", 0),
        bool(trace.get("errored")),
        " ".join(filter(None, (root.get("service"), root.get("name")))),
        [services] if isinstance(services, str) else services,
        trace.get("span_count", 0),
        trace.get("log_count", 0),
        said,
        (line or {}).get("_id", ""),
    )


def buckets_of(answer: Mapping[str, Any]) -> list[Bucket]:
    """Return the hits over time; empty if there are none."""
    found = ((answer.get("aggregations") or {}).get("over_time") or {}).get("buckets") or []
    return [Bucket(one["key"], one["doc_count"], one["errored"]["doc_count"]) for one in found]


def step_of(wanted: SearchFilter) -> int:
    """Return the milliseconds of a bucket: whole seconds, of which about 60 make the range."""
    return max(1, -(-(wanted.end - wanted.begin) // _BUCKETS // 1000)) * 1000


def _over_time(wanted: SearchFilter) -> dict[str, Any]:
    step = step_of(wanted)
    return {
        "over_time": {
            "date_histogram": {
                "field": "@timestamp",
                "fixed_interval": f"{step // 1000}s",
                "extended_bounds": {"min": wanted.begin, "max": wanted.end - 1},
            },
            "aggs": {"errored": {"filter": {"term": {"trace.errored": True}}}},
        }
    }


def _range(wanted: SearchFilter) -> dict[str, Any]:
    return {"range": {"@timestamp": {"gte": shown_time(wanted.begin), "lt": shown_time(wanted.end)}}}


def _time(name: str, text: str, now: int) -> int:
    try:
        found = parse(text, now, TopicNames(), _no_record)
    except ValueError:
        raise UserError(f"'{name}': {text!r} is no time: write 15m, 2h, 3d (ago), or 2026-11-24T12:00 (UTC).") from None
    if not 0 <= found <= _LATEST:
        raise UserError(f"'{name}': {text!r} is not between 1970 and 2262, the years that Elasticsearch has dates for.")
    return found


def _no_record(*_: object) -> NoReturn:
    raise ValueError("a record is no time of a search")


def _tag(text: str) -> tuple[str, str]:
    """Return name and value of a tag."""
    name, _, value = text.partition("=")
    return name.strip(), value.strip()


def _milliseconds(name: str, text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        raise UserError(f"'{name}': {text!r} is no duration: write whole milliseconds.")
    return int(text)
