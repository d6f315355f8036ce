"""Bulk requests: writes documents, and returns an outcome for each."""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, wait
from functools import partial
from http import HTTPStatus
from typing import Any, Literal, NamedTuple

import orjson
from tenacity import Retrying, retry_if_result, stop_after_attempt, wait_exponential

from pipeline.model.problems import Problem
from sinks.base.background import start
from sinks.base.contract import Outcome, SourceMessage
from sinks.elasticsearch.client import IN_FLIGHT, ElasticsearchClient, Late, Overloaded, passes
from tracelink.errors import InvalidRecord, Reason, Unavailable
from tracelink.model.records import LogRecord

# Larger requests are no cheaper for the cluster, and it idles while the first one of a batch is encoded.
_REQUEST_BYTES = 1 << 20
# Retries of refused documents. Each retry uses requests of an eighth of the size; the last ones have one or a few
# documents.
_REPEATS = 3
_SMALLER = 8
# After requests without an answer in time, not less than this.
_LEAST_BYTES = 1 << 14
_SOURCE = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z

Action = Literal["create", "index"]


class Document(NamedTuple):
    """A document to write, and the record that it was made of."""

    index_name: str
    identity: str
    lines: bytes
    """The action and the source of a bulk request, each with its newline."""
    message: SourceMessage
    of: int | LogRecord | Problem
    """The index of a part in its batch, a log line, or a problem."""
    action: Action = "create"


Settled = tuple[Document, Outcome | InvalidRecord]


def lines(index: str, identity: str, source: dict[str, Any]) -> bytes:
    """Encode a `create` action and its source: a repeated one gets 409 and changes nothing."""
    action = b'{"create":{"_index":"%b","_id":%b}}\n' % (index.encode(), orjson.dumps(identity))
    return action + orjson.dumps(source, option=_SOURCE)


def newer_lines(index: str, identity: str, version: int, source: dict[str, Any]) -> bytes:
    """Encode an `index` action with an external version, and its source: only a newer state is written."""
    action = b'{"index":{"_index":"%b","_id":%b,"version":%d,"version_type":"external"}}\n'
    return action % (index.encode(), orjson.dumps(identity), version) + orjson.dumps(source, option=_SOURCE)


def chunks(documents: Iterable[Document], most: Callable[[], int]) -> Iterator[list[Document]]:
    """Yield the documents of each request, of at most `most()` bytes unless a single document is larger."""
    chunk: list[Document] = []
    size = 0
    for document in documents:
        if chunk and size + len(document.lines) > most():
            yield chunk
            chunk, size = [], 0
        chunk.append(document)
        size += len(document.lines)
    if chunk:
        yield chunk


def body(chunk: Iterable[Document]) -> bytes:
    """Return the body of the bulk request that writes these documents."""
    return b"".join([document.lines for document in chunk])


class _Answered(NamedTuple):
    """The result of a request: documents with a final outcome, documents refused for now, and the last refusal."""

    settled: list[Settled]
    refused: list[Document]
    why: str
    late: bool = False
    """There was no answer within the request timeout."""


class Bulk:
    """Sends documents in requests of bounded size.

    Only documents with status 429 or 5xx, or without an answer in time, are retried, three times; then it raises
    Unavailable.

    After a request without an answer in time, requests have an eighth of its size, and are sent one at a time; the
    limit doubles with each batch. Otherwise a slow cluster, which still works on the request that was given up, would
    get the same one again and again, and never catch up.
    """

    def __init__(self, client: ElasticsearchClient, batch_bytes: int, observe: Callable[[float], None]) -> None:
        self._client = client
        self._largest = min(batch_bytes, _REQUEST_BYTES)
        self._most = self._largest
        self._observe = observe

    def send(self, documents: Iterable[Document]) -> Iterator[Settled]:
        """Yield each document with its outcome, or with the error for a permanent failure; raises Unavailable, Refused.

        While requests are in flight, the documents of the next one are encoded. At the end no request is in flight.
        After a refusal, requests are sent one at a time: together they may be too much for the cluster.
        """
        in_flight: deque[Future[_Answered]] = deque()
        self._most = min(self._most * 2, self._largest)
        at_once = IN_FLIGHT if self._most == self._largest else 1
        try:
            for chunk in chunks(documents, lambda: self._most):
                if len(in_flight) == at_once and (yield from self._collect(in_flight)):
                    at_once = 1
                in_flight.append(start(partial(self._post, chunk)))
            while in_flight:
                yield from self._collect(in_flight)
        finally:
            wait(in_flight)

    def _collect(self, in_flight: deque[Future[_Answered]]) -> Generator[Settled, None, bool]:
        """Yield the outcomes of the oldest request. If it had refusals, wait for the other requests and retry.

        Returns True if documents were refused.
        """
        settled, refused, why, _ = in_flight.popleft().result()
        yield from settled
        if not refused:
            return False
        while in_flight:
            settled, more, why_more, _ = in_flight.popleft().result()
            yield from settled
            refused, why = refused + more, why_more or why
        yield from self._repeat(refused, why)
        return True

    def _repeat(self, refused: list[Document], why: str) -> list[Settled]:
        """Retry refused documents in ever smaller requests, one at a time; raises Late if the first gets no answer."""
        settled: list[Settled] = []
        most = _REQUEST_BYTES

        def attempt() -> bool:
            nonlocal refused, why, most
            most //= _SMALLER
            pending, refused = chunks(refused, partial(min, most, self._most)), []
            for number, chunk in enumerate(pending):
                answered = self._post(chunk)
                if answered.late and not number:
                    raise Late(answered.why)
                settled.extend(answered.settled)
                refused += answered.refused
                why = answered.why or why
                if not answered.settled:  # the cluster would refuse the others, too
                    refused += [document for others in pending for document in others]
            return bool(refused)

        def give_up(_: object) -> None:
            largest = max(len(document.lines) for document in refused)
            raise Unavailable(
                f"Elasticsearch at {self._client.url} refused {len(refused)} documents for now, the largest of "
                f"{largest} bytes: {why}"
            )

        Retrying(
            retry=retry_if_result(bool),
            stop=stop_after_attempt(_REPEATS),
            wait=wait_exponential(multiplier=0.2, max=2),
            retry_error_callback=give_up,
        )(attempt)
        return settled

    def _post(self, chunk: list[Document]) -> _Answered:
        """Send one request; split it in halves if it is too large."""
        started = time.perf_counter()
        content = body(chunk)
        try:
            items = self._client.bulk(content, len(chunk))
        except Overloaded as error:
            return _Answered([], chunk, str(error))
        except Late as error:
            self._most = min(max(len(content) // _SMALLER, _LEAST_BYTES), self._largest)
            return _Answered([], chunk, str(error), late=True)
        if items is None:
            return self._halve(chunk)
        self._observe(time.perf_counter() - started)
        settled: list[Settled] = []
        refused: list[Document] = []
        why = ""
        for document, item in zip(chunk, items, strict=True):
            result = item[document.action]
            outcome = self._judge(result, document.action)
            if outcome is None:
                refused.append(document)
                why = _reason(result)
            else:
                settled.append((document, outcome))
        return _Answered(settled, refused, why)

    def _halve(self, chunk: list[Document]) -> _Answered:
        if len(chunk) == 1:
            detail = f"413: a document of {len(chunk[0].lines)} bytes is more than one request may have"
            return _Answered([(chunk[0], InvalidRecord(Reason.REFUSED, detail))], [], "")
        half = len(chunk) // 2
        first, second = self._post(chunk[:half]), self._post(chunk[half:])
        return _Answered(
            first.settled + second.settled, first.refused + second.refused, first.why or second.why,
            first.late or second.late,
        )  # fmt: skip

    def _judge(self, result: dict[str, Any], action: Action) -> Outcome | InvalidRecord | None:
        """Return the outcome of one document; None if it must be retried."""
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
