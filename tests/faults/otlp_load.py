"""Traffic through the gateway: a run's records under OpenTelemetry's own exporters, which repeat a request."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event, Thread
from typing import cast

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from tests.faults.checks import Check
from tests.faults.manifest import Fate, Manifest, Sent
from tests.faults.outcome import Stored
from tests.faults.traffic import Message, Record, Topic
from tests.faults.wire import Json, decode
from tests.kit.exporters import Exporters, over_grpc, over_http

_SLOT = 0.1
"""Seconds of records in one request."""
_CLIENTS = 8
_PATIENCE = 180.0
"""Seconds in which a request must be taken, however often it is sent."""
_SCOPE = InstrumentationScope("faults")
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_ERROR = 1


class OtlpLoad:
    """Sends requests at their times; each client repeats a request until it is taken."""

    def __init__(self, url: str, grpc: str, messages: Sequence[Message]) -> None:
        self._sent = {message.record.serial: message.record for message in messages if message.record}
        self._requests = sorted(_requests(messages), key=lambda one: one[0])
        self._taken: list[Record] = []
        self._enough = Event()
        self._started = 0.0
        self._clients: SimpleQueue[Exporters] = SimpleQueue()
        for number in range(_CLIENTS):
            self._clients.put(over_http(url) if number % 2 else over_grpc(grpc))
        self._answers: list[Future[None]] = []
        self.repeats = 0
        """Records that came again; known once there is a manifest."""
        self._thread = Thread(target=self._run, name="load")

    def start(self) -> None:
        self._started = time.monotonic()
        self._thread.start()

    def finish(self) -> None:
        """Send nothing more, and wait until all that was sent is taken; raises AssertionError if something was not."""
        self._enough.set()
        self._thread.join()
        for one in self._answers:
            one.result()
        for _ in range(_CLIENTS):
            for exporter in self._clients.get():
                exporter.shutdown()

    def _run(self) -> None:
        with ThreadPoolExecutor(_CLIENTS) as pool:
            for at, records in self._requests:
                if self._enough.wait(max(0.0, self._started + at - time.monotonic())):
                    break
                self._answers.append(pool.submit(self._send, records))

    def _send(self, records: list[Record]) -> None:
        spans, logs = self._clients.get()
        try:
            # An exporter repeats a request by itself for some seconds, and then drops it.
            if records[0].topic == "spans":
                made = [_span(one) for one in records]
                _until_taken(lambda: spans.export(made) is SpanExportResult.SUCCESS)
            else:
                lines = [_log(one) for one in records]
                _until_taken(lambda: logs.export(lines) is LogRecordExportResult.SUCCESS)
        finally:
            self._clients.put((spans, logs))
        self._taken += records

    def manifest(self, inputs: Iterable[Stored], prefix: str) -> tuple[Manifest, list[Check]]:
        """Return the inputs as if each of them had been sent so, and the checks that they are what was sent.

        The gateway makes the records, so only the topics have their bytes.
        """
        manifest = Manifest()
        forms: dict[int, Counter[tuple[str, bytes | None, bytes]]] = defaultdict(Counter)
        against: list[str] = []
        for stored in inputs:
            value = stored.value or b""
            topic = cast("Topic", stored.topic.removeprefix(prefix))
            body = decode("span" if topic == "spans" else "log_record", value)
            serial = int(body["tags" if topic == "spans" else "fields"]["serial"])
            was = self._sent[serial]
            forms[serial][stored.topic, stored.key, value] += 1
            against += [f"record {serial}: {difference}" for difference in _differences(was, topic, body)]
            record = Record(serial, topic, was.trace, was.errored, body)
            manifest.sent.append(Sent(Message(0, topic, stored.key, value, record), Fate.ACKNOWLEDGED))
        lost = [f"record {one.serial} was taken and is lost" for one in self._taken if one.serial not in forms]
        odd = [f"record {serial} has {len(found)} forms" for serial, found in forms.items() if len(found) > 1]
        repeats = self.repeats = sum(found.total() - 1 for found in forms.values())
        return manifest, [
            Check("what was taken is in the inputs", tuple(lost), f"{len(self._taken)} records"),
            Check("the inputs are what was sent", tuple(against), f"{len(manifest.sent)} records"),
            Check("a repeat has equal bytes", tuple(odd), f"{repeats} repeats"),
        ]


def _until_taken(export: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not export():
        assert time.monotonic() < deadline, f"a request was not taken within {_PATIENCE} s"


def _requests(messages: Iterable[Message]) -> Iterator[tuple[float, list[Record]]]:
    """Yield requests with the time at which they are due: the spans, or the log lines, of a slot."""
    slots: dict[tuple[int, bool], list[Record]] = defaultdict(list)
    for message in messages:
        if message.record:
            slots[int(message.at / _SLOT), message.topic == "spans"].append(message.record)
    for (slot, _), records in slots.items():
        yield (slot + 1) * _SLOT, records


def _context(trace: str, span: int) -> SpanContext:
    return SpanContext(int(trace, 16), span, is_remote=False, trace_flags=_SAMPLED)


def _span(record: Record) -> ReadableSpan:
    body = record.body
    parent, start = body["parentId"], 1000 * body["timestamp"]
    return ReadableSpan(
        body["name"],
        _context(record.trace, record.serial),
        parent=_context(record.trace, int(parent, 16)) if parent else None,
        resource=_resource(body["localEndpoint"]["serviceName"]),
        attributes={name: text for name, text in body["tags"].items() if name != "error"},
        kind=SpanKind[body["kind"] or "INTERNAL"],
        status=Status(StatusCode.ERROR, "failed") if record.errored else Status(),
        start_time=start,
        end_time=start + 1000 * body["duration"],
        instrumentation_scope=_SCOPE,
    )


def _log(record: Record) -> ReadableLogRecord:
    body = record.body
    made = LogRecord(
        timestamp=1000 * body["timestamp"],
        trace_id=int(record.trace, 16),
        trace_flags=_SAMPLED,
        severity_text=body["level"],
        severity_number=SeverityNumber[body["level"]],
        observed_timestamp=1000 * body["timestamp"],
        body=body["message"],
        attributes={"serial": str(record.serial)},
    )
    return ReadableLogRecord(made, _resource(body["service"]), _SCOPE)


def _resource(service: str) -> Resource:
    return Resource({"service.name": service})


def _differences(was: Record, topic: Topic, body: Json) -> Iterator[str]:
    """Yield how a record of the topics is not what was sent; it may have more tags and fields."""
    sent: Json = {"topic": was.topic, "traceId": was.trace, "errored": was.errored}
    found: Json = {"topic": topic, "traceId": body["traceId"].hex(), "errored": bool(body["flags"] & _ERROR)}
    names: tuple[str, ...]
    if was.topic == "spans":
        names = ("id", "parentId", "kind", "name", "timestamp", "duration")
        sent["service"], found["service"] = (one["localEndpoint"]["serviceName"] for one in (was.body, body))
        sent["tags"], found["tags"] = was.body["tags"], {name: body["tags"].get(name) for name in was.body["tags"]}
    else:
        names = ("service", "level", "message", "timestamp", "logger")
    sent |= {name: was.body[name] for name in names}
    found |= {name: body[name] for name in names}
    return (f"{name} is {found[name]!r} and was {sent[name]!r}" for name in sent if found[name] != sent[name])
