"""Finds the documents that Elasticsearch lacks: makes those of a batch as the sink does, and looks up their ids."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from sinks.base.background import start
from sinks.base.contract import Batch, Outcome, Part, Report, UnlinkedLog
from sinks.elasticsearch.client import IN_FLIGHT, ElasticsearchClient
from sinks.elasticsearch.encoder import Encoder
from sinks.elasticsearch.settings import ElasticsearchSettings
from sinks.verify.dead_lettered import DeadLettered
from sinks.verify.tally import Judged
from tracelink.errors import Unavailable

NAME = "elasticsearch"
_AT_ONCE = 2_000
_NO_INDEX = "index_not_found_exception"


class _Wanted(NamedTuple):
    """A document that should exist, and its message; `line` is the id of a log line, None for a part."""

    index_name: str
    identity: str
    judged: Judged
    line: str | None


class ElasticsearchStore:
    """Looks up the documents that the sink would write with the same settings; raises Unavailable and Refused."""

    name = NAME

    def __init__(self, settings: ElasticsearchSettings, dead_lettered: DeadLettered) -> None:
        self._encoder = Encoder(settings)
        self._client = ElasticsearchClient(settings, settings.request_timeout)
        self._dead_lettered = dead_lettered

    def check(self) -> None:
        """Check that Elasticsearch answers."""
        self._client.check()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def judge(self, records: Sequence[tuple[Part | UnlinkedLog, Judged]]) -> None:
        """Count missing parts and lines, dead letters, and records that were sampled out."""
        in_flight: deque[Future[list[_Wanted]]] = deque()
        try:
            wanted = self._wanted(records)
            while some := list(islice(wanted, _AT_ONCE)):
                if len(in_flight) == IN_FLIGHT:
                    self._count(in_flight.popleft().result())
                in_flight.append(start(partial(self._missing, some)))
            while in_flight:
                self._count(in_flight.popleft().result())
        finally:
            wait(in_flight)

    def _wanted(self, records: Sequence[tuple[Part | UnlinkedLog, Judged]]) -> Iterator[_Wanted]:
        for record, judged in records:
            batch = Batch((record,)) if isinstance(record, Part) else Batch(unlinked=(record,))
            report = Report([Outcome.WRITTEN] * len(batch.parts))
            for one in self._encoder.documents(batch, report):
                yield _Wanted(one.index_name, one.identity, judged, None if isinstance(one.of, int) else one.identity)
            counts = judged.counts
            counts.dead_letters += len(report.dead_letters)
            counts.not_kept += report.records["span", Outcome.NOT_KEPT] + report.records["log", Outcome.NOT_KEPT]

    def _missing(self, wanted: Sequence[_Wanted]) -> list[_Wanted]:
        found = self._client.get((one.index_name, one.identity) for one in wanted)
        return [one for one, state in zip(wanted, found, strict=True) if not self._is_there(one, state)]

    def _is_there(self, wanted: _Wanted, state: dict[str, Any]) -> bool:
        kind = state.get("error", {}).get("type")
        if kind is not None and kind != _NO_INDEX:
            raise Unavailable(f"Elasticsearch at {self._client.url} cannot look up {wanted.index_name}: {kind}")
        return kind is None and bool(state["found"])

    def _count(self, missing: Sequence[_Wanted]) -> None:
        for one in missing:
            counts = one.judged.counts
            if self._dead_lettered.has(NAME, one.judged.position, one.line):
                counts.dead_letters += 1
            elif one.line is None:
                counts.missing_parts += 1
            else:
                counts.missing_lines += 1
