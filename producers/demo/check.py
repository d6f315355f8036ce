"""The check of `tracelink demo --once`: compares the requests with the contents of the servers."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from pipeline.local.pipeline import LocalSettings
from producers.demo.load import Answered
from producers.demo.shop import ERRORED_LINES, SPANS
from producers.stores import ElasticsearchQueries, ZipkinQueries
from tracelink.errors import Unavailable

_TIMEOUT_SECONDS = 10.0

By = Counter[tuple[str, str]]
"""Numbers of spans by service and kind, or of log lines by service and level."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A trace in Elasticsearch: the number of spans in all its parts, and whether a part is errored."""

    spans: int
    errored: bool


@dataclass(frozen=True, slots=True)
class Lines:
    """The log lines of a trace; `unmarked` is the number of those not marked as part of an errored trace."""

    by: By = field(default_factory=Counter)
    unmarked: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """The pipeline's output for the requests, by trace id."""

    joined: Mapping[str, Joined]
    flagged: Collection[str]
    flagged_are_all: bool
    """True if the topic `error-traces` was read to its end after `joined` was queried."""
    spans: Mapping[str, By]
    """Spans of failed requests, from Zipkin."""
    lines: Mapping[str, Lines]
    """Log lines of failed requests, from Elasticsearch."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The counts of a run, and one sentence for each problem."""

    requests: int
    failed: int
    joined: int
    flagged: int
    flagged_wrongly: int
    in_zipkin: int
    in_elasticsearch: int
    problems: tuple[str, ...]


def judge(requests: Sequence[Answered], unanswered: Sequence[str], found: Found) -> Verdict:
    """Compare the pipeline's output with the requests."""
    failed = [one.trace_id for one in requests if one.failed]
    good = [one.trace_id for one in requests if not one.failed]
    whole = SPANS.total()
    problems = [f"a request was not answered: {why}" for why in unanswered]
    joined = [one for one in requests if found.joined.get(one.trace_id) == Joined(whole, one.failed)]
    problems += [
        f"{one.trace_id}: expected {Joined(whole, one.failed)}, found {found.joined.get(one.trace_id)}"
        for one in requests
        if one not in joined
    ]
    problems += [f"{trace_id}: failed, but was not flagged" for trace_id in failed if trace_id not in found.flagged]
    wrongly = [trace_id for trace_id in good if trace_id in found.flagged]
    problems += [f"{trace_id}: flagged, but had not failed" for trace_id in wrongly]
    if not found.flagged_are_all:
        problems.append("the topic error-traces was not read to its end")
    in_zipkin = [trace_id for trace_id in failed if found.spans.get(trace_id) == SPANS]
    problems += [
        f"{trace_id}: Zipkin lacks {_difference(SPANS, found.spans.get(trace_id, Counter()))}"
        for trace_id in failed
        if trace_id not in in_zipkin
    ]
    in_elasticsearch = [trace_id for trace_id in failed if found.lines.get(trace_id) == Lines(ERRORED_LINES)]
    problems += [
        f"{trace_id}: Elasticsearch lacks {_difference(ERRORED_LINES, lines.by)}; {lines.unmarked} lines are not marked"
        for trace_id in failed
        if trace_id not in in_elasticsearch
        for lines in [found.lines.get(trace_id, Lines())]
    ]
    return Verdict(
        requests=len(requests) + len(unanswered),
        failed=len(failed),
        joined=len(joined),
        flagged=sum(trace_id in found.flagged for trace_id in failed),
        flagged_wrongly=len(wrongly),
        in_zipkin=len(in_zipkin),
        in_elasticsearch=len(in_elasticsearch),
        problems=tuple(problems),
    )


def _difference(wanted: By, there: By) -> str:
    missing = ", ".join(f"{count} x {' '.join(what)}" for what, count in (wanted - there).items()) or "nothing"
    extra = ", ".join(f"{count} x {' '.join(what)}" for what, count in (there - wanted).items())
    return f"{missing}, and has {extra} too many" if extra else missing


class Queries:
    """Queries Zipkin and Elasticsearch; a context manager that closes the connections."""

    def __init__(self, settings: LocalSettings) -> None:
        self._zipkin = ZipkinQueries(settings, _TIMEOUT_SECONDS)
        self._elasticsearch = ElasticsearchQueries(settings, _TIMEOUT_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zipkin.close()
        self._elasticsearch.close()

    def joined(self, trace_ids: Sequence[str]) -> dict[str, Joined]:
        """Return the traces in Elasticsearch; none while it does not answer."""
        found: dict[str, Joined] = {}
        for source in self._search("traces", trace_ids):
            trace = source["trace"]
            before = found.get(trace["id"], Joined(0, errored=False))
            found[trace["id"]] = Joined(before.spans + trace["span_count"], before.errored or trace["errored"])
        return found

    def lines(self, trace_ids: Sequence[str]) -> dict[str, Lines]:
        """Return the log lines of traces in Elasticsearch; none while it does not answer."""
        found: dict[str, Lines] = {}
        for source in self._search("logs", trace_ids):
            before = found.get(source["trace"]["id"], Lines())
            by = before.by + Counter({(source["service"]["name"], source["log"]["level"]): 1})
            found[source["trace"]["id"]] = Lines(by, before.unmarked + (not source["trace"]["errored"]))
        return found

    def spans(self, trace_id: str) -> By:
        """Return the spans of a trace in Zipkin; none while it does not answer."""
        try:
            found = self._zipkin.spans(trace_id)
        except Unavailable:
            return Counter()
        return Counter((span["localEndpoint"]["serviceName"], span["kind"]) for span in found)

    def _search(self, kind: str, trace_ids: Sequence[str]) -> list[dict[str, Any]]:
        try:
            return self._elasticsearch.search(trace_ids, kind)
        except Unavailable:
            return []
