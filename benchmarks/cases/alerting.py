"""The time from an error line to its alert, while thousands of other traces come in."""

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import orjson
from confluent_kafka import Producer

from benchmarks import pacing
from benchmarks.case import Bench, Case
from benchmarks.load import Load
from benchmarks.result import Result, Row, Target, percentiles
from benchmarks.subject import Sample, between, running, tracelink
from benchmarks.traffic import Shape
from benchmarks.workers import JOINED, workers
from tracelink.kafka.client import PARTITIONER
from tracelink.kafka.topics import TopicNames
from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.model.records import Flag, Span

_SHAPE = Shape(spans=6, logs=4)
_TRACES_PER_SECOND = 5_000
_RATE = _TRACES_PER_SECOND * (_SHAPE.spans + _SHAPE.logs)
_SECONDS = 50
_WARM_SECONDS = 10.0
_PROBES = 40
_PROBE_EVERY = 0.5
_IDLE_GAP = 5.0
_BEYOND = 2.0
_LOCATED = "tracelink_alerts_located_occurrences_total"
_LOAD = Load("alerting", _SHAPE.templates, traces=0, gap=0)
# Fingerprints ignore numbers, so operations differ by words.
_VERBS = ("buy", "sell", "pack", "ship", "move", "sort", "hold")
_OPERATIONS = [" ".join(verbs) for verbs in itertools.product(_VERBS, repeat=3)]


def _run(bench: Bench) -> Result:
    kafka = bench.servers.kafka
    _LOAD.empty(kafka)
    environment = {"TRACELINK_KAFKA_BOOTSTRAP_SERVERS": kafka, "TRACELINK_TOPIC_PREFIX": _LOAD.prefix}
    load = pacing.command(kafka, _LOAD.prefix, _RATE, _SECONDS, _SHAPE)
    with (
        _receiver() as (url, received),
        workers(kafka, _LOAD) as group,
        group.worker("bench", "--idle-gap", str(_IDLE_GAP)) as join,
        running(tracelink("alerts", "--alerts-group", group.group + "-alerts"), environment) as alerts,
        running(
            tracelink("sink", "webhook", "--sink-group", group.group + "-webhook", "--allow-networks", "127.0.0.0/8"),
            # The case makes more alerts than the default limit; that limit is not measured.
            environment | {"TRACELINK_WEBHOOK_URL": url, "TRACELINK_MAX_REQUESTS": "6000"},
        ) as webhook,
    ):
        urls = {subject: subject.url() for subject in (join, alerts, webhook)}
        with running(load):
            time.sleep(_IDLE_GAP + _WARM_SECONDS)
            before = {
                join: Sample(time.monotonic(), join.metric(urls[join], JOINED), join.cpu()),
                alerts: Sample(time.monotonic(), alerts.metric(urls[alerts], _LOCATED), alerts.cpu()),
            }
            sent = _probe(kafka)
            after = {
                join: Sample(time.monotonic(), join.metric(urls[join], JOINED), join.cpu()),
                alerts: Sample(time.monotonic(), alerts.metric(urls[alerts], _LOCATED), alerts.cpu()),
            }
            deadline = time.monotonic() + _IDLE_GAP + 4 * _BEYOND
            while not sent.keys() <= received.keys() and time.monotonic() < deadline:
                time.sleep(0.1)
        found = {subject: between(before[subject], after[subject]) for subject in before}
        seconds = percentiles([received[name] - at for name, at in sent.items() if name in received])
        rows = [
            Row(
                name,
                found[subject].records_per_second,
                found[subject].cpu_us,
                subject.peak_mib(),
                seconds=seconds if subject is alerts else {},
                note=f"{found[subject].cores:.2f} cores{note}",
            )
            for name, subject, note in (
                ("tracelink join", join, ""),
                ("tracelink alerts (errored traces)", alerts, f"; {len(sent)} new problems"),
            )
        ]
    missing = len(sent.keys() - received.keys())
    targets = [
        Target("p99 seconds from the error line to the alert", seconds["p99"], _IDLE_GAP + _BEYOND, at_most=True),
        Target("missing alerts", missing, 0, at_most=True),
        Target("records/s joined meanwhile", found[join].records_per_second, _RATE * 0.95),
    ]
    return Result("alerting", CASE.about, rows, targets)


def _probe(kafka: str) -> dict[str, float]:
    """Publish traces that each fail in their own way, one after another; returns their times by operation."""
    names = TopicNames(_LOAD.prefix)
    producer = Producer({"bootstrap.servers": kafka, "partitioner": PARTITIONER, "linger.ms": 5})
    sent: dict[str, float] = {}
    for number, name in enumerate(_OPERATIONS[:_PROBES]):
        trace_id = (2**120 + time.time_ns()).to_bytes(16)
        key, span_id = trace_id.hex().encode(), f"{number + 1:016x}"
        now = time.time_ns() // 1000
        producer.produce(names.spans, SPAN.encode(_span(trace_id, span_id, name, now)), key)
        producer.produce(
            names.logs,
            LOG_RECORD.encode(
                {
                    "flags": Flag.ERROR,
                    "traceId": trace_id,
                    "id": f"probe-{trace_id.hex()}",
                    "spanId": span_id,
                    "timestamp": now,
                    "service": "probe",
                    "level": "ERROR",
                    "message": f"cannot {name}",
                }
            ),
            key,
        )
        producer.flush(10)
        sent[name] = time.time()
        time.sleep(_PROBE_EVERY)
    return sent


def _span(trace_id: bytes, span_id: str, name: str, now: int) -> Span:
    return {
        "flags": Flag.ERROR | Flag.ROOT,
        "traceId": trace_id,
        "id": span_id,
        "kind": "SERVER",
        "name": name,
        "timestamp": now,
        "duration": 1000,
        "localEndpoint": {"serviceName": "probe"},
        "tags": {"error": "failed"},
    }


@contextmanager
def _receiver() -> Iterator[tuple[str, dict[str, float]]]:
    """Receive alerts; gives the address, and the time of the first alert by operation."""
    received: dict[str, float] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # the connection stays

        def do_POST(self) -> None:
            alert = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.setdefault(alert["problem"]["operation"], time.time())
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log no requests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", received
    finally:
        server.shutdown()
        server.server_close()


CASE = Case(
    "alerting", "from an error to its alert, at 5 thousand traces a second of which 2 % are errored", ("kafka",), _run
)
