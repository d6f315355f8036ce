"""Bulk requests: documents in, an outcome for each."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from functools import partial
from http import HTTPStatus
from typing import Any, Literal, NamedTuple

import orjson
from tenacity import Retrying, retry_if_result, stop_after_attempt, wait_exponential

from pipeline.model.problems import Problem
from sinks.base.calls import start
from sinks.base.contract import Message, Outcome
from sinks.elasticsearch.client import IN_FLIGHT, ElasticsearchClient, passes
from tracelink.errors import InvalidRecord, Reason, Unavailable
from tracelink.model.records import LogRecord

_ATTEMPTS = 4
# Larger requests are no cheaper for the cluster, and leave it without work while the first of a batch is made.
_REQUEST_BYTES = 1 << 20
_SOURCE = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z

Action = Literal["create", "index"]


class Document(NamedTuple):
    """A document to write, and what it was made of."""

    index_name: str
    identity: str
    lines: bytes
    """The action and the source of a bulk request, each with its newline."""
    message: Message
    of: int | LogRecord | Problem
    """The part of the batch with this index, a log line, or a problem."""
    action: Action = "create"


Settled = tuple[Document, Outcome | InvalidRecord]


def lines(index: str, identity: str, source: dict[str, Any]) -> bytes:
    """Encode the action and the source: `create`, so that a repeat answers 409 and changes nothing."""
    action = b'{"create":{"_index":"%b","_id":%b}}\n' % (index.encode(), orjson.dumps(identity))
    return action + orjson.dumps(source, option=_SOURCE)


def newer_lines(index: str, identity: str, version: int, source: dict[str, Any]) -> bytes:
    """Encode the action and the source: `index` under a version of ours, so that only a newer state is written."""
    action = b'{"index":{"_index":"%b","_id":%b,"version":%d,"version_type":"external"}}\n'
    return action % (index.encode(), orjson.dumps(identity), version) + orjson.dumps(source, option=_SOURCE)


def chunks(documents: Iterable[Document], most: int) -> Iterator[list[Document]]:
    """Yield the documents of one request after the other: each of about a MiB, of at most `most` bytes if possible."""
    chunk: list[Document] = []
    size, most = 0, min(most, _REQUEST_BYTES)
    for document in documents:
        if chunk and size + len(document.lines) > most:
            yield chunk
            chunk, size = [], 0
        chunk.append(document)
        size += len(document.lines)
    if chunk:
        yield chunk


def body(chunk: Iterable[Document]) -> bytes:
    """Return the body of the request that writes these documents."""
    return b"".join([document.lines for document in chunk])


class Bulk:
    """Sends documents in requests of bounded size.

    Documents that are answered 429 or 5xx are sent again a few times, those alone; then Unavailable is raised.
    """

    def __init__(self, client: ElasticsearchClient, batch_bytes: int, observe: Callable[[float], None]) -> None:
        self._client = client
        self._batch_bytes = batch_bytes
        self._observe = observe

    def send(self, documents: Iterable[Document]) -> Iterator[Settled]:
        """Yield each document with its outcome, or with why it can never be written; raises Unavailable, Refused.

        While requests are in flight, the documents of the next one are made. None is in flight any more at the end.
        """
        flying: deque[Future[list[Settled]]] = deque()
        try:
            for chunk in chunks(documents, self._batch_bytes):
                if len(flying) == IN_FLIGHT:
                    yield from flying.popleft().result()
                flying.append(start(partial(self._persist, chunk)))
            while flying:
                yield from flying.popleft().result()
        finally:
            wait(flying)

    def _persist(self, chunk: list[Document]) -> list[Settled]:
        """Send a chunk, and again what the cluster had no room for."""
        settled: list[Settled] = []
        pending = chunk
        why = ""

        def attempt() -> bool:
            nonlocal pending, why
            pending, why = self._post(pending, settled)
            return bool(pending)

        def give_up(_: object) -> None:
            raise Unavailable(f"Elasticsearch at {self._client.url} did not take {len(pending)} documents: {why}")

        Retrying(
            retry=retry_if_result(bool),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_exponential(multiplier=0.1, max=2),
            retry_error_callback=give_up,
        )(attempt)
        return settled

    def _post(self, chunk: list[Document], settled: list[Settled]) -> tuple[list[Document], str]:
        """Send one request; adds what is settled, and returns what is to be sent again and why."""
        started = time.perf_counter()
        items = self._client.bulk(body(chunk), len(chunk))
        if items is None:
            return self._halve(chunk, settled)
        self._observe(time.perf_counter() - started)
        again: list[Document] = []
        why = ""
        for document, item in zip(chunk, items, strict=True):
            result = item[document.action]
            outcome = self._judge(result, document.action)
            if outcome is None:
                again.append(document)
                why = _reason(result)
            else:
                settled.append((document, outcome))
        return again, why

    def _halve(self, chunk: list[Document], settled: list[Settled]) -> tuple[list[Document], str]:
        if len(chunk) == 1:
            detail = f"413: a document of {len(chunk[0].lines)} bytes is more than one request may have"
            settled.append((chunk[0], InvalidRecord(Reason.REFUSED, detail)))
            return [], ""
        half = len(chunk) // 2
        first, why = self._post(chunk[:half], settled)
        second, why_second = self._post(chunk[half:], settled)
        return first + second, why or why_second

    def _judge(self, result: dict[str, Any], action: Action) -> Outcome | InvalidRecord | None:
        """Tell what became of one document; None where it is to be sent again."""
        status: int = result["status"]
        if status == HTTPStatus.CREATED or (status == HTTPStatus.OK and action == "index"):
            return Outcome.WRITTEN
        if status == HTTPStatus.CONFLICT:
            return Outcome.DUPLICATE
        kind = str(result.get("error", {}).get("type", ""))
        if passes(status, kind):
            return None
        self._client.refuse_or_wait(status, kind, _reason(result))
        return InvalidRecord(Reason.REFUSED, _reason(result))


def _reason(result: dict[str, Any]) -> str:
    error = result.get("error", {})
    cause = error.get("caused_by", {}).get("reason")
    return f"{result['status']} {error.get('type')}: {error.get('reason')}" + (f" ({cause})" if cause else "")
