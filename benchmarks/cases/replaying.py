"""A replay of an hour with ten million records, and of a single trace of it."""

import resource
import time
from collections.abc import Sequence

from confluent_kafka.admin import AdminClient

from benchmarks.case import Bench, Case
from benchmarks.load import PARTITIONS, Load, drop, renew
from benchmarks.result import Result, Row, Target
from benchmarks.subject import peer, running, tracelink
from benchmarks.traffic import Shape, ids_of
from pipeline.kafka.offsets import OffsetLookup
from streams.replay.trace_selection import partition_of
from tracelink.kafka.topics import TopicNames

_RECORDS = 10_000_000
_PER_TRACE = 15
LOAD = Load("replay", Shape().templates, traces=_RECORDS // _PER_TRACE, gap=100, rate=_RECORDS // 3600)
_COPIES_A_SECOND = 200_000
_OF_READING = 1.5
_A_TRACE = 4711


def _run(bench: Bench) -> Result:
    kafka, names = bench.servers.kafka, TopicNames(LOAD.prefix)
    records = sum(LOAD.ensure(kafka, bench.say))
    admin = AdminClient({"bootstrap.servers": kafka})
    _forget(admin, names)
    copies = [f"copied.{topic}" for topic in (names.spans, names.logs)]
    renew(admin, copies)
    loop = _timed("copying loop", peer("copying", kafka, "copied.", names.spans, names.logs), records)
    drop(admin, copies)
    environment = {"TRACELINK_KAFKA_BOOTSTRAP_SERVERS": kafka, "TRACELINK_TOPIC_PREFIX": LOAD.prefix}
    whole = _timed(
        "tracelink replay --from", tracelink("replay", "--from", "3w", "--job", "bench"), records, environment
    )
    _forget(admin, names)
    one = ids_of(_A_TRACE + 1)[_A_TRACE].hex()
    number = partition_of(one.encode(), PARTITIONS)
    places = [(topic, number) for topic in (names.spans, names.logs)]
    alone = sum(OffsetLookup(admin).ends(places).values())
    reading = _timed(
        "reading its partition", peer("reading", kafka, *(f"{topic}:{number}" for topic, _ in places)), alone
    )
    single = _timed(
        "tracelink replay --trace-id", tracelink("replay", "--trace-id", one, "--job", "one"), alone, environment
    )
    _forget(admin, names)
    share = single.seconds["whole run"] / reading.seconds["whole run"]
    return Result(
        CASE.name,
        CASE.about,
        [loop, whole, reading, single],
        [
            Target("records copied a second, at least 200,000", whole.records_per_second or 0.0, _COPIES_A_SECOND),
            Target("time for a single trace, relative to reading its partition", share, _OF_READING, at_most=True),
        ],
    )


def _timed(name: str, command: Sequence[str], records: int, environment: dict[str, str] | None = None) -> Row:
    """Run a process from its start to its end."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with running(command, environment) as subject:
        peak = subject.wait()
    seconds, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Row(
        name,
        records / seconds,
        cpu / records * 1e6,
        peak_mib=peak,
        seconds={"whole run": seconds},
        note=f"{cpu / seconds:.2f} cores; of {records:,} records",
    )


def _forget(admin: AdminClient, names: TopicNames) -> None:
    """Delete the topics of all replays, and their list."""
    prefix = f"{names.prefix}replay"
    drop(admin, [topic for topic in admin.list_topics(timeout=30).topics if topic.startswith(f"{prefix}.")])
    renew(admin, [names.jobs], {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"})


CASE = Case("replaying", "a replay of an hour with ten million records, and of a single trace of it", ("kafka",), _run)
