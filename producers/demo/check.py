"""The check of `tracelink demo --once`: what became of every request, asked of the servers themselves."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Self

import urllib3

from pipeline.runtime.http_client import elasticsearch_authorization
from pipeline.settings import ElasticsearchAccess
from producers.demo.load import Answered
from producers.demo.shop import ERRORED_LINES, SPANS

_MOST_HITS = 10_000
_TIMEOUT_SECONDS = 10.0

By = Counter[tuple[str, str]]
"""How many spans there are by service and kind, or log lines by service and level."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A trace as Elasticsearch has it: its spans in all its parts, and whether a part is errored."""

    spans: int
    errored: bool


@dataclass(frozen=True, slots=True)
class Lines:
    """The log lines of a trace, and how many of them are not marked as those of an errored trace."""

    by: By = field(default_factory=Counter)
    unmarked: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """What the pipeline made of the requests, by trace id."""

    joined: Mapping[str, Joined]
    flagged: Collection[str]
    flagged_are_all: bool
    """Whether the topic of errored traces was read to its end after `joined` was asked for."""
    spans: Mapping[str, By]
    """Zipkin's, of failed requests."""
    lines: Mapping[str, Lines]
    """Elasticsearch's, of failed requests."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The counts of a run, and what is wrong or still missing, a sentence each."""

    requests: int
    failed: int
    joined: int
    flagged: int
    flagged_wrongly: int
    in_zipkin: int
    in_elasticsearch: int
    problems: tuple[str, ...]


def judge(requests: Sequence[Answered], unanswered: Sequence[str], found: Found) -> Verdict:
    """Compare what was found with what was sent."""
    failed = [one.trace_id for one in requests if one.failed]
    good = [one.trace_id for one in requests if not one.failed]
    whole = SPANS.total()
    problems = [f"a request was not answered: {why}" for why in unanswered]
    joined = [one for one in requests if found.joined.get(one.trace_id) == Joined(whole, one.failed)]
    problems += [
        f"{one.trace_id}: expected {Joined(whole, one.failed)}, joined was {found.joined.get(one.trace_id)}"
        for one in requests
        if one not in joined
    ]
    problems += [f"{trace_id}: failed, and was not flagged" for trace_id in failed if trace_id not in found.flagged]
    wrongly = [trace_id for trace_id in good if trace_id in found.flagged]
    problems += [f"{trace_id}: flagged, and had not failed" for trace_id in wrongly]
    if not found.flagged_are_all:
        problems.append("the topic of errored traces was not read to its end")
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
    """Asks Zipkin and Elasticsearch what they have; a context manager that closes the connections."""

    def __init__(self, zipkin: str, settings: ElasticsearchAccess) -> None:
        self._zipkin = zipkin.rstrip("/")
        self._elasticsearch = settings.elasticsearch_url.split(",")[0].strip().rstrip("/")
        self._prefix = settings.index_prefix
        self._headers = elasticsearch_authorization(settings)
        ca = str(settings.elasticsearch_ca) if settings.elasticsearch_ca else None
        self._pool = urllib3.PoolManager(retries=False, timeout=_TIMEOUT_SECONDS, ca_certs=ca)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.clear()

    def joined(self, trace_ids: Sequence[str]) -> dict[str, Joined]:
        """Return the traces that were joined and written; none while Elasticsearch does not answer."""
        found: dict[str, Joined] = {}
        for source in self._search("traces", trace_ids):
            trace = source["trace"]
            before = found.get(trace["id"], Joined(0, errored=False))
            found[trace["id"]] = Joined(before.spans + trace["span_count"], before.errored or trace["errored"])
        return found

    def lines(self, trace_ids: Sequence[str]) -> dict[str, Lines]:
        """Return the log lines of traces."""
        found: dict[str, Lines] = {}
        for source in self._search("logs", trace_ids):
            before = found.get(source["trace"]["id"], Lines())
            by = before.by + Counter({(source["service"]["name"], source["log"]["level"]): 1})
            found[source["trace"]["id"]] = Lines(by, before.unmarked + (not source["trace"]["errored"]))
        return found

    def spans(self, trace_id: str) -> By:
        """Return the spans that Zipkin's page of a trace shows."""
        try:
            answer = self._pool.request("GET", f"{self._zipkin}/api/v2/trace/{trace_id}")
        except urllib3.exceptions.HTTPError:
            return Counter()
        if answer.status != HTTPStatus.OK:
            return Counter()
        return Counter((span["localEndpoint"]["serviceName"], span["kind"]) for span in answer.json())

    def _search(self, kind: str, trace_ids: Sequence[str]) -> list[dict[str, Any]]:
        body = {"query": {"terms": {"trace.id": list(trace_ids)}}, "size": _MOST_HITS, "_source": {"excludes": "spans"}}
        url = f"{self._elasticsearch}/{self._prefix}{kind}-*/_search"
        try:
            answer = self._pool.request("POST", url, json=body, headers=self._headers)
        except urllib3.exceptions.HTTPError:
            return []
        if answer.status != HTTPStatus.OK:
            return []
        return [hit["_source"] for hit in answer.json()["hits"]["hits"]]
