"""What there is after a run: read from Kafka, Elasticsearch and Zipkin's storage, whole."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import urllib3
from confluent_kafka import Message

from tests.faults.wire import Json
from tests.kit.kafka import read_all

_PAGE = 5000


@dataclass(frozen=True, slots=True)
class Stored:
    """A message in a topic; its time is in milliseconds."""

    topic: str
    partition: int
    offset: int
    time: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A document in Elasticsearch."""

    id: str
    source: Json


@dataclass
class Outcome:
    """All that a run has left behind."""

    spans: list[Stored]
    logs: list[Stored]
    unlinked_logs: list[Stored]
    traces: list[Stored]
    error_traces: list[Stored]
    errors: list[Stored]
    problems: list[Stored]
    alerts: list[Stored]
    dead_letters: list[Stored]
    lines: list[Document]
    parts: list[Document]
    zipkin: list[Document]

    @property
    def inputs(self) -> list[Stored]:
        return [*self.spans, *self.logs, *self.unlinked_logs]


def collect(servers: str, prefix: str, elasticsearch: str, indices: str, traces: set[str]) -> Outcome:
    """Read everything under a topic prefix and an index prefix, and what Zipkin has of these traces."""

    def topic(name: str) -> list[Stored]:
        return [as_stored(message) for message in read_all(servers, prefix + name)]

    with urllib3.PoolManager(retries=urllib3.Retry(3, backoff_factor=0.5)) as http:
        return Outcome(
            spans=topic("spans"),
            logs=topic("logs"),
            unlinked_logs=topic("unlinked-logs"),
            traces=topic("traces"),
            error_traces=topic("error-traces"),
            errors=topic("errors"),
            problems=topic("problems"),
            alerts=topic("alerts"),
            dead_letters=topic("dead-letters"),
            lines=list(documents(http, elasticsearch, f"{indices}logs-*")),
            parts=list(documents(http, elasticsearch, f"{indices}traces-*")),
            zipkin=list(zipkin_spans(http, elasticsearch, sorted(traces))),
        )


def as_stored(message: Message) -> Stored:
    return Stored(
        str(message.topic()),
        message.partition() or 0,
        message.offset() or 0,
        message.timestamp()[1],
        message.key(),
        message.value(),
        tuple(message.headers() or ()),  # type: ignore[arg-type]  # the stub allows for headers as a mapping
    )


def zipkin_spans(http: urllib3.PoolManager, elasticsearch: str, traces: list[str]) -> Iterator[Document]:
    """Read Zipkin's storage: its API would merge spans that it has twice."""
    for first in range(0, len(traces), 1000):
        query = {"terms": {"traceId": traces[first : first + 1000]}}
        yield from documents(http, elasticsearch, "zipkin-span-*", query)


def documents(
    http: urllib3.PoolManager, elasticsearch: str, index: str, query: Json | None = None
) -> Iterator[Document]:
    """Scroll through all documents of an index."""
    http.request("POST", f"{elasticsearch}/{index}/_refresh")
    body = {"size": _PAGE, "sort": ["_doc"], "query": query or {"match_all": {}}}
    answer = _asked(http, f"{elasticsearch}/{index}/_search?scroll=1m", body)
    while hits := answer["hits"]["hits"]:
        yield from (Document(hit["_id"], hit["_source"]) for hit in hits)
        answer = _asked(http, f"{elasticsearch}/_search/scroll", {"scroll": "1m", "scroll_id": answer["_scroll_id"]})
    http.request("DELETE", f"{elasticsearch}/_search/scroll", json={"scroll_id": answer["_scroll_id"]})


def _asked(http: urllib3.PoolManager, url: str, body: Json) -> Any:  # noqa: ANN401 - JSON
    answer = http.request("POST", url, json=body)
    assert answer.status == 200, answer.data[:500]
    return answer.json()
