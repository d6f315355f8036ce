"""The publisher inside a service: from the exporter's call to Kafka's acknowledgement, and the cost for requests."""

from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from confluent_kafka.admin import AdminClient

from benchmarks.case import Bench, Case
from benchmarks.load import PARTITIONS, drop
from benchmarks.result import Result, Row, Target
from benchmarks.subject import measured, pace, peer, running, wait_for
from pipeline.kafka.admin import apply
from pipeline.settings import TopicSettings
from tracelink.kafka.topics import TopicNames

_PREFIX = "bench.publisher."
_RECORDS = 300_000
_PAIRS = 5

_EXPORTER = "tracelink exporter"
# For each row: subject, WAY of `peers/publishing.py`, its records as a multiple of `_RECORDS`, note.
_WAYS = (
    (_EXPORTER, "export", 1, "13 tags, both endpoints"),
    (f"{_EXPORTER}, small spans", "export-small", 1, "no attributes"),
    (f"{_EXPORTER}, log lines", "export-lines", 1, ""),
    ("fastavro alone", "encode", 1, "the same spans, mapped; nothing is sent"),
    ("produce alone", "produce", 5, "the same spans as ready messages"),
    ("SDK's to_json and produce", "json", 1, "an exporter of a few lines"),
)


@contextmanager
def _topics(kafka: str) -> Iterator[None]:
    settings = TopicSettings.load(kafka_bootstrap_servers=kafka, topic_prefix=_PREFIX, partitions=PARTITIONS)
    admin, names = AdminClient({"bootstrap.servers": kafka}), TopicNames(_PREFIX)
    apply(admin, settings)
    try:
        yield
    finally:
        drop(admin, [names.spans, names.logs])


def _measure(bench: Bench, subject: str, way: str, records: int, note: str) -> Row:
    with (
        _topics(bench.servers.kafka),
        running(peer("publishing", way, bench.servers.kafka, _PREFIX, str(records))) as process,
    ):
        found = pace(process.follow(process.printed, records), since=records * 0.05, until=records)
        return measured(subject, found, process, note)


def _thread_us(bench: Bench, processors: str) -> float:
    """Return the CPU microseconds a span of the thread that starts and ends it."""
    with running(peer("tracing", processors, bench.servers.kafka, _PREFIX)) as process:
        return wait_for("its figure", process.printed, process) / 1000


def _run(bench: Bench) -> Result:
    rows = [_measure(bench, subject, way, _RECORDS * times, note) for subject, way, times, note in _WAYS]
    with _topics(bench.servers.kafka):
        pairs = [(_thread_us(bench, "nothing"), _thread_us(bench, "tracelink")) for _ in range(_PAIRS)]
    beyond = median(ours - bare for bare, ours in pairs)
    rows += [
        Row("request's thread, OpenTelemetry alone", cpu_us=median(bare for bare, _ in pairs), note="no-op exporter"),
        Row("request's thread, tracelink.setup", cpu_us=median(ours for _, ours in pairs)),
    ]
    exporter = rows[0]
    return Result(
        "publisher",
        CASE.about,
        rows,
        [
            Target(f"{_EXPORTER}: spans a second, at least 30,000", exporter.records_per_second or 0, 30_000),
            Target(f"{_EXPORTER}: CPU µs a span, at most 30", exporter.cpu_us or 0, 30, at_most=True),
            Target("request's thread: µs a span beyond OpenTelemetry's own, at most 5", beyond, 5, at_most=True),
        ],
    )


CASE = Case("publisher", "spans from OpenTelemetry's exporter until Kafka has acknowledged them", ("kafka",), _run)
