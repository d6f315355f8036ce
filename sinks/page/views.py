"""What each page shows: from the query of its address to HTML. The functions block; the app calls them in threads."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.cli.trace_id import given_trace_id
from pipeline.model.problems import Problem, Sample
from sinks.base.links import Links
from sinks.page import shown
from sinks.page.curves import LiveCurves, Sparkline
from sinks.page.live import LiveProblems
from sinks.page.problem_list import ProblemFilter
from sinks.page.record_fields import exception_of, fields_of, level_of, said_of
from sinks.page.search import Search
from sinks.page.search_query import SearchFilter, step_of
from sinks.page.settings import PageSettings
from sinks.page.trace_page import LEVELS, TraceFilter, TracePage
from sinks.page.traces import Traces
from sinks.trace.view import view
from tracelink.errors import Unavailable, UserError
from tracelink.model.records import error_tag, shown_trace_id

_LIST_PIECES = 48
_PROBLEM_PIECES = 288
JSON, TEXT = "application/json", "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Page:
    """The answer to a request."""

    body: str
    status: HTTPStatus = HTTPStatus.OK
    content_type: str = "text/html; charset=utf-8"


class Views:
    """Makes the pages."""

    def __init__(
        self, settings: PageSettings, problems: LiveProblems, curves: LiveCurves, traces: Traces, search: Search
    ) -> None:
        self._problems = problems
        self._curves = curves
        self._traces = traces
        self._search = search
        self._links = Links.of(settings)
        self._has_kibana = "kibana_url" in settings.model_fields_set
        self._alertmanager = settings.alertmanager_ui_url
        self._templates = _templates()

    def problem_list(self, query: Mapping[str, str]) -> Page:
        """Return the list of problems."""
        wanted = ProblemFilter.of(query)
        problems = self._problems.all()
        rows, number = wanted.rows(problems)
        return self._page(
            "problems.html",
            rows=rows,
            number=number,
            firing=sum(one["status"] == "FIRING" for one in problems),
            known=len(problems),
            wanted=wanted,
            services=sorted({one["service"] for one in problems if one["service"]}),
            severities=sorted({one["severity"] for one in problems if one["severity"]}),
            page=wanted.page_of(number),
            pages=wanted.pages_of(number),
            query=_without(query, "page"),
            failure=self._problems.failure,
            curves={one["fingerprint"]: self._curve(one, _LIST_PIECES) for one in rows},
            now=shown.now_ms(),
        )

    def problem(self, fingerprint: str, query: Mapping[str, str]) -> Page:
        """Return a problem's page, with its newest trace, or with that of the query: a page that is read keeps its."""
        problem = self._problems.find(fingerprint)
        if problem is None:
            failure = self._problems.failure
            said = f"There is no problem {fingerprint[:64]}. " + (failure or "It may have been removed by retention.")
            return self.error(HTTPStatus.SERVICE_UNAVAILABLE if failure else HTTPStatus.NOT_FOUND, said)
        trace, failure = None, None
        newest = problem["newest"][0] if problem["newest"] else None
        sample = _asked(problem, query.get("trace", "")) or newest
        if sample is not None:
            try:
                trace = self._trace(sample["traceId"], {})
            except (UserError, Unavailable) as error:
                # All but its trace is known: a store that does not answer hides nothing else.
                failure = f"{error}"
        return self._page(
            "problem.html",
            problem=problem,
            trace=trace,
            sample=sample,
            is_newest=sample is newest,
            base=f"/traces/{shown.in_address(sample['traceId'])}?" if sample else "",
            samples=_samples(problem),
            links=[*(self._links_of(sample) if sample else ()), *self._alert_of(problem)],
            failure=failure or self._problems.failure,
            curve=self._curve(problem, _PROBLEM_PIECES),
            now=shown.now_ms(),
        )

    def search(self, query: Mapping[str, str]) -> Page:
        """Return the traces that the query of an address asks for. Raises Unavailable and Refused."""
        try:
            wanted = SearchFilter.of(query, round(shown.now_ms()))
        except UserError as error:
            page = self._page("traces.html", wanted=query, failure=error.message, found=None)
            return Page(page.body, HTTPStatus.BAD_REQUEST)
        found = self._search.find(wanted)
        return self._page(
            "traces.html",
            wanted=query,
            failure=None,
            found=found,
            range=wanted,
            longest=max((one.duration or 0 for one in found.results), default=0),
            most=max((one.count for one in found.buckets), default=0),
            step=step_of(wanted) // 1000,
            query=_without(query, "page"),
        )

    def trace(self, spelled: str, query: Mapping[str, str]) -> Page:
        """Return a trace's page, or a download of it. Raises UserError if `spelled` is no trace id."""
        for ending, kind in (".zipkin.json", JSON), (".json", JSON), (".txt", TEXT):
            if spelled.endswith(ending):
                return self._download(spelled.removesuffix(ending), ending, kind)
        page = self._trace(spelled, query)
        if page is None:
            return self._not_found(spelled)
        return self._page(
            "trace.html",
            page=page,
            wanted=page.wanted,
            levels=LEVELS,
            base=_without(query, "at", "page"),
            query=_without(query, "page"),
            links=self._links_of(_sample_of(page)),
        )

    def error(self, status: HTTPStatus, said: str) -> Page:
        """Return a page that says what is wrong."""
        page = self._page("error.html", status=status, said=said)
        return Page(page.body, status)

    def login(self, target: str, *, failed: bool = False) -> Page:
        """Return the page that asks for the token."""
        page = self._page("login.html", target=target, failed=failed)
        return Page(page.body, HTTPStatus.UNAUTHORIZED)

    def _not_found(self, spelled: str) -> Page:
        page = self._page("not_found.html", trace_id=shown_trace_id(given_trace_id(spelled)))
        return Page(page.body, HTTPStatus.NOT_FOUND)

    def _trace(self, spelled: str, query: Mapping[str, str]) -> TracePage | None:
        found = self._traces.find(given_trace_id(spelled))
        return None if found is None else TracePage.of(*found, TraceFilter.of(query))

    def _download(self, spelled: str, ending: str, kind: str) -> Page:
        found = self._traces.find(given_trace_id(spelled))
        if found is None:
            return self._not_found(spelled)
        trace = found[0]
        if ending == ".txt":
            return Page("".join(f"{line.plain}\n" for line in view(trace)), content_type=kind)
        return Page(json.dumps(trace.spans if ending == ".zipkin.json" else trace.as_json()), content_type=kind)

    def _curve(self, problem: Problem, pieces: int) -> Sparkline | None:
        return self._curves.sparkline("fingerprint", problem["fingerprint"], shown.now_ms(), pieces)

    def _links_of(self, sample: Sample) -> list[tuple[str, str]]:
        """Return the links of a trace, with their texts; to Kibana only if its address is set."""
        found = [("Trace in Zipkin", self._links.trace(sample))]
        return found + ([("Log lines in Kibana", self._links.logs(sample))] if self._has_kibana else [])

    def _alert_of(self, problem: Problem) -> list[tuple[str, str]]:
        """Return the link to a problem's alert, if the address of Alertmanager is set."""
        if self._alertmanager is None:
            return []
        matcher = quote(f"{{fingerprint={json.dumps(problem['fingerprint'])}}}", safe="")
        return [("Alert in Alertmanager", f"{self._alertmanager.rstrip('/')}/#/alerts?filter={matcher}")]

    def _page(self, template: str, **values: Any) -> Page:  # noqa: ANN401 - whatever the template shows
        return Page(self._templates.get_template(template).render(**values))


def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("sinks.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "plain": shown.text,
        "name": shown.name,
        "took": shown.took,
        "instant": shown.instant,
        "since": shown.since,
        "colour": shown.colour,
        "fields": fields_of,
        "level": level_of,
        "exception": exception_of,
        "said": said_of,
        "in_address": shown.in_address,
    }
    templates.globals |= {"ago": shown.ago, "error_tag": error_tag}
    return templates


def _without(query: Mapping[str, str], *names: str) -> str:
    """Return the query of an address without some of its names, to which a further name can be added."""
    left = urlencode([(name, value) for name, value in query.items() if name not in names and value])
    return f"?{left}&" if left else "?"


def _asked(problem: Problem, trace_id: str) -> Sample | None:
    """Return the trace of a problem that an address asks for; it need not be a sample any more."""
    if not trace_id:
        return None
    return next(
        (one for one in problem["newest"] if one["traceId"] == trace_id),
        Sample(traceId=trace_id, time=problem["lastSeen"], duration=0),
    )


def _samples(problem: Problem) -> list[Sample]:
    """Return the sample traces, the newest first, each once."""
    found = [*problem["newest"], *([problem["slowest"]] if problem["slowest"] else [])]
    return list({sample["traceId"]: sample for sample in reversed(found)}.values())[::-1]


def _sample_of(page: TracePage) -> Sample:
    return Sample(
        traceId=page.found.shown_id, time=round(page.waterfall.begin / 1000), duration=round(page.waterfall.took)
    )
