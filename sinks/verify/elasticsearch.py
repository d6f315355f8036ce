"""What Elasticsearch lacks of a batch: its sink makes the documents, and their ids are asked for."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import orjson
from elasticsearch import ApiError
from prometheus_client import CollectorRegistry

from pipeline.settings import without_credentials
from sinks.base.calls import start
from sinks.base.contract import Batch, Outcome, Part, Refused, Report, UnlinkedLog
from sinks.base.metrics import SinkMetrics
from sinks.elasticsearch.bulk import Document
from sinks.elasticsearch.client import IN_FLIGHT, connect, failures
from sinks.elasticsearch.settings import ElasticsearchSettings
from sinks.elasticsearch.sink import ElasticsearchSink
from sinks.verify.letters import Buried
from sinks.verify.tally import Judged
from tracelink.errors import Unavailable

NAME = "elasticsearch"
_AT_ONCE = 2_000
# Of an answer only whether a document is there, and why that is not known.
_ANSWER = "docs.found,docs.error.type"
_NO_INDEX = "index_not_found_exception"


class _Wanted(NamedTuple):
    """A document that is to be there, and whose it is; `line` is a log line's id, None of a part."""

    name: str
    identity: str
    judged: Judged
    line: str | None


class ElasticsearchStore:
    """Asks Elasticsearch for what its sink would write under the same settings; raises Unavailable and Refused."""

    name = NAME

    def __init__(self, settings: ElasticsearchSettings, buried: Buried) -> None:
        self._sink = ElasticsearchSink(settings, SinkMetrics(CollectorRegistry(), "verify"))
        self._client = connect(settings)
        self._url = without_credentials(settings.elasticsearch_url)
        self._buried = buried

    def check(self) -> None:
        """Ask whether it is there."""
        with failures(self._url):
            self._client.info()

    def close(self) -> None:
        """Close the connections."""
        self._sink.close()
        self._client.close()

    def judge(self, records: Sequence[tuple[Part | UnlinkedLog, Judged]]) -> None:
        """Count what is missing of parts and lines, what is dead, and what is not kept."""
        flying: deque[Future[list[_Wanted]]] = deque()
        try:
            wanted = self._wanted(records)
            while some := list(islice(wanted, _AT_ONCE)):
                if len(flying) == IN_FLIGHT:
                    self._count(flying.popleft().result())
                flying.append(start(partial(self._missing, some)))
            while flying:
                self._count(flying.popleft().result())
        finally:
            wait(flying)

    def _wanted(self, records: Sequence[tuple[Part | UnlinkedLog, Judged]]) -> Iterator[_Wanted]:
        for record, judged in records:
            batch = Batch((record,)) if isinstance(record, Part) else Batch(unlinked=(record,))
            report = Report([Outcome.WRITTEN] * len(batch.parts))
            for document in self._sink.documents(batch, report, []):
                name, identity = _address(document)
                yield _Wanted(name, identity, judged, None if isinstance(document.of, int) else identity)
            counts = judged.counts
            counts.dead_letters += len(report.dead_letters)
            counts.not_kept += report.records["span", Outcome.NOT_KEPT] + report.records["log", Outcome.NOT_KEPT]

    def _missing(self, wanted: Sequence[_Wanted]) -> list[_Wanted]:
        docs = [{"_index": one.name, "_id": one.identity} for one in wanted]
        try:
            with failures(self._url):
                answer = self._client.mget(docs=docs, source=False, filter_path=_ANSWER)
        except ApiError as error:
            raise Refused(f"Elasticsearch at {self._url} does not tell which documents it has: {error}.") from None
        found: list[dict[str, Any]] = answer.body.get("docs") or []
        if len(found) != len(wanted):
            raise Refused(f"{self._url} does not answer as Elasticsearch does: check TRACELINK_ELASTICSEARCH_URL.")
        return [one for one, state in zip(wanted, found, strict=True) if not self._is_there(one, state)]

    def _is_there(self, wanted: _Wanted, state: dict[str, Any]) -> bool:
        kind = state.get("error", {}).get("type")
        if kind is not None and kind != _NO_INDEX:
            raise Unavailable(f"Elasticsearch at {self._url} does not tell what {wanted.name} has: {kind}")
        return kind is None and bool(state["found"])

    def _count(self, missing: Sequence[_Wanted]) -> None:
        for one in missing:
            counts = one.judged.counts
            if self._buried.has(NAME, one.judged.place, one.line):
                counts.dead_letters += 1
            elif one.line is None:
                counts.missing_parts += 1
            else:
                counts.missing_lines += 1


def _address(document: Document) -> tuple[str, str]:
    """Return the index and the id of a document, from the action of its bulk request."""
    action = orjson.loads(document.lines[: document.lines.index(b"\n")])[document.action]
    return action["_index"], action["_id"]
