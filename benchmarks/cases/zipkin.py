"""The Zipkin sink with a server that only answers, beside fastavro decoding the same traces and nothing else."""

import uuid

from benchmarks.case import Bench, Case
from benchmarks.joined import Joined
from benchmarks.result import Result, Row, Target
from benchmarks.servers import pin
from benchmarks.subject import measured, pace, peer, running, tracelink
from benchmarks.traffic import Shape
from pipeline.local.ports import free_port
from tracelink.kafka.topics import TopicNames

PLAIN = Joined("zipkin", Shape().templates, traces=100_000)
RICH = Joined("zipkin-rich", Shape(rich=True).templates, traces=50_000)

_WRITTEN = "tracelink_sink_records_total"
_SERVERS, _SUBJECT = (0,), (1,)
_WANTED = 60_000


def _measure_sink(bench: Bench, load: Joined, name: str) -> Row:
    spans, _, _ = load.ensure(bench.servers.kafka, bench.say)
    port = free_port()
    environment = {
        "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": bench.servers.kafka,
        "TRACELINK_TOPIC_PREFIX": load.prefix,
        "TRACELINK_SINK_GROUP": f"bench-{uuid.uuid4().hex[:8]}",
        "TRACELINK_ZIPKIN_URL": f"http://127.0.0.1:{port}",
    }
    with (
        running(peer("accepting", str(port)), cores=_SERVERS),
        running(tracelink("sink", "zipkin"), environment, cores=_SUBJECT) as subject,
    ):
        url = subject.url()
        samples = subject.follow(lambda: subject.metric(url, _WRITTEN), spans * 0.95)
        found = pace(samples, since=spans * 0.05, until=spans)
        return measured(f"tracelink sink zipkin, {name}", found, subject)


def _measure_decoding(bench: Bench, load: Joined, name: str) -> Row:
    spans, _, parts = load.ensure(bench.servers.kafka, bench.say)
    traces = parts // 2
    command = peer("decoding", bench.servers.kafka, str(traces), TopicNames(load.prefix).traces)
    with running(command, cores=_SUBJECT) as subject:
        samples = subject.follow(subject.printed, spans // parts * traces)
        found = pace(samples, since=0, until=spans)
        return measured(f"fastavro alone, {name}", found, subject, "")


def _run(bench: Bench) -> Result:
    pin(bench.directory / "stack", "kafka", _SERVERS)
    rows = [
        row
        for load, name in ((PLAIN, "5 tags"), (RICH, "13 tags and both endpoints"))
        for row in (_measure_sink(bench, load, name), _measure_decoding(bench, load, name))
    ]
    a_core = 1e6 / (rows[0].cpu_us or 0.0)
    return Result("zipkin", CASE.about, rows, [Target(f"spans/s a core, at least {_WANTED:,}", a_core, _WANTED)])


CASE = Case("zipkin", "the Zipkin sink to a server that only answers 202; records are spans", ("kafka",), _run)
