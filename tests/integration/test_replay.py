"""A replay over live data changes nothing, and after a loss it fills just the holes."""

import json
import random
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.kafka.offsets import OffsetLookup
from pipeline.local.stack import Endpoints
from streams.replay.jobs import Jobs
from tests.kit.datasets import needs_shared, recorded
from tests.kit.kafka import publish, read_all
from tests.kit.live import Dated, Live, live_pipeline
from tests.kit.processes import Process
from tests.kit.records import key, log_message, span_message
from tests.kit.waiting import wait_for

_HOUR = 3_600_000
_TRICKLE = 1_000_000


@pytest.fixture
def live(stack: Endpoints, topic_prefix: str, index_prefix: str, tmp_path: Path) -> Live:
    return live_pipeline(stack, topic_prefix, index_prefix, tmp_path)


def a_trace(
    live: Live, number: int, start: int, *, errored: bool = False, pauses: tuple[int, ...] = (0,)
) -> list[Dated]:
    """Return a trace that begins at a time, with a span and a line after each of the pauses (ms)."""
    found: list[Dated] = []
    time = start
    for step, pause in enumerate(pauses):
        time += pause
        span = span_message(number, root=not step, errored=errored and not step, timestamp=time * 1000)
        line = log_message(number, timestamp=time * 1000 + 500)
        found += [
            Dated(live.names.spans, key(number), span, time),
            Dated(live.names.logs, key(number), line, time + 40),
        ]
    return found


def a_day(live: Live, begin: int) -> list[Dated]:
    """Return 24 hours of traffic, with traces that reach over every full hour, and some that pause for long."""
    chance = random.Random(7)
    found: list[Dated] = []
    number = 0
    for hour in range(24):
        starts = [chance.randrange(_HOUR) for _ in range(12)] + [_HOUR - 2000, _HOUR - 4500]
        for start in starts:
            number += 1
            pauses = (0, *(chance.choice((100, 1500, 4900, 8000)) for _ in range(chance.randint(0, 4))))
            found += a_trace(live, number, begin + hour * _HOUR + start, errored=number % 9 == 0, pauses=pauses)
    return sorted(found, key=lambda message: message.time)


def wait_until_written(live: Live, lines: int, spans: int, suffix: str = "") -> None:
    def is_written() -> bool:
        found = live.documents(suffix)
        parts = [content for (index, _), (_, content) in found.items() if index.startswith("traces")]
        return len(found) - len(parts) == lines and sum(part["trace"]["span_count"] for part in parts) == spans

    wait_for(f"{lines} lines and {spans} spans", is_written, seconds=90)


def told_of(live: Live) -> dict[tuple[str, int], int]:
    """Return where the topics of alerts end."""
    lookup = OffsetLookup(live.admin)
    names = live.names
    return lookup.ends(
        [one for topic in (names.errors, names.problems, names.alerts) for one in lookup.partitions(topic)]
    )


def lag(process: Process) -> float:
    """Return the messages that a live process has before it."""
    url = process.wait_until_ready()
    with urlopen(f"{url}/metrics", timeout=10) as answer:  # noqa: S310 - our own
        families = text_string_to_metric_families(answer.read().decode())
    names = ("tracelink_sink_committed_lag_messages", "tracelink_join_read_lag_messages")
    return sum(sample.value for family in families for sample in family.samples if sample.name in names)


@contextmanager
def replaying(live: Live, *arguments: str) -> Iterator[Process]:
    with live.command("replay", *arguments, log="replay.log") as process:
        yield process


def finish(process: Process, *, seconds: float = 90) -> None:
    assert process.wait(seconds=seconds) == 0, process.output()


def contents(live: Live, suffix: str = "") -> dict[tuple[str, str], object]:
    return {where: content for where, (_, content) in live.documents(suffix).items()}


def test_after_an_outage_verify_finds_the_holes_and_its_command_fills_them_and_nothing_else(live: Live) -> None:
    begin = round((datetime.now(UTC) - timedelta(hours=24, minutes=20)).timestamp() * 1000)
    day = a_day(live, begin)
    live.publish_dated(day)
    spans = sum(message.topic == live.names.spans for message in day)
    whole = ("--from", _iso(begin - _HOUR), "--to", _iso(begin + 24 * _HOUR + 60_000))
    with live.running() as processes:
        wait_until_written(live, len(day) - spans, spans)
        before = live.documents()
        assert verified(live, *whole) == (0, [])
        outage = _iso(begin + 10 * _HOUR), _iso(begin + 14 * _HOUR)
        lost = {where for where, (_, content) in before.items() if outage[0] <= content["@timestamp"] < outage[1]}
        assert 200 < len(lost) < len(before) / 2
        live.delete(lost)
        kept = {where: document for where, document in before.items() if where not in lost}
        assert live.documents() == kept
        code, commands = verified(live, *whole)
        assert code == 1
        assert commands
        silent = told_of(live)
        sent, worst = 0, 0.0
        for command in commands:
            words = shlex.split(command)
            assert words[:2] == ["tracelink", "replay"]
            with replaying(live, *words[2:]) as process:
                while True:
                    sent += 1
                    publish(live.stack.kafka, live.names.spans, [(key(_TRICKLE + sent), span_message(_TRICKLE + sent))])
                    worst = max(worst, *map(lag, processes.values()))
                    try:
                        process.wait(seconds=0.2)
                        break
                    except subprocess.TimeoutExpired:
                        continue
                finish(process)
        assert verified(live, *whole) == (0, [])
        after = live.documents()
        assert {where: after[where] for where in kept} == kept
        assert {where: after[where][1] for where in lost} == {where: before[where][1] for where in lost}
        assert told_of(live) == silent
        assert worst < 100
        wait_for("the live spans of meanwhile", lambda: len(live.documents()) == len(before) + sent)


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def verified(live: Live, *arguments: str) -> tuple[int, list[str]]:
    """Return the exit code of `tracelink verify`, and the commands that it says."""
    with live.command("verify", *arguments, "--only", "elasticsearch", "--json", log="verify.log") as process:
        code = process.wait(seconds=60)
        said = json.loads(process.output().splitlines()[-1])
        return code, said["commands"]


@needs_shared
def test_a_replay_at_full_speed_gives_the_very_same_documents(live: Live) -> None:
    datasets = [recorded("boutique"), recorded("trainticket")]
    files = [word for one in datasets for word in ("--spans", str(one.spans), "--logs", str(one.logs))]
    live.make_topics()
    with live.running():
        with live.command("send", *files, log="send.log") as send:
            finish(send)
        lines = sum(sum(one.lines.values()) for one in datasets)
        wait_until_written(live, lines, sum(len(ids) for one in datasets for ids in one.span_ids.values()))
    arguments = ("--from", "1h", "--run", "--sink", "elasticsearch", "--index-suffix=-again", "--job", "again")
    with replaying(live, *arguments) as process:
        finish(process)
    assert contents(live, "-again") == contents(live)
    joined = {message.value() for message in read_all(live.stack.kafka, live.names.traces)}
    again = {message.value() for message in read_all(live.stack.kafka, live.names.of_job("again").traces)}
    assert again - {None} == joined


def test_a_replay_that_is_killed_ten_times_gives_the_same_as_one_that_is_not(live: Live) -> None:
    chance = random.Random(11)
    begin = round((datetime.now(UTC) - timedelta(hours=2)).timestamp() * 1000)
    hour = [
        message
        for number in range(1, 200)
        for message in a_trace(live, number, begin + number * 5000, pauses=(0, 900, 4000))
    ]
    live.publish_dated(sorted(hour, key=lambda message: message.time))
    with live.running():
        wait_until_written(live, len(hour) // 2, len(hour) // 2)
    arguments = ("--run", "--sink", "elasticsearch", "--index-suffix=-again", "--rate", "150")
    selection: tuple[str, ...] = ("--from", "3h", "--job", "killed")
    for _ in range(10):
        with replaying(live, *selection, *arguments) as process:
            try:
                process.wait(seconds=chance.uniform(0.3, 2))
            except subprocess.TimeoutExpired:
                process.kill()
        if "killed" in Jobs(live.settings).read():
            selection = ("--resume", "killed")
    with replaying(live, *selection, *arguments[:-2]) as process:
        finish(process)
    assert contents(live, "-again") == contents(live)


def test_a_trace_that_is_still_open_is_left_to_the_live_join(live: Live) -> None:
    now = round(datetime.now(UTC).timestamp() * 1000)
    live.publish_dated([*a_trace(live, 1, now - 120_000), *a_trace(live, 2, now - 20_000)])
    arguments = ("--from", "1h", "--run", "--sink", "elasticsearch", "--idle-gap", "60")
    with replaying(live, *arguments) as process:
        finish(process)
    # Joined from the copy, the other would be a part of the right name with too few records.
    assert {content["trace"]["id"] for _, content in live.documents().values()} == {f"{1:016x}"}


def test_a_replay_has_the_windows_that_the_join_had_then(live: Live) -> None:
    begin = round((datetime.now(UTC) - timedelta(hours=3)).timestamp() * 1000)
    pausing = [(1, begin, 2000), (2, begin + 60_000, 4000)]
    live.publish_dated(one for trace, at, pause in pausing for one in a_trace(live, trace, at, pauses=(0, pause)))
    with live.running():
        wait_until_written(live, 4, 4)
    short = replace(live, environment=live.environment | {"TRACELINK_IDLE_GAP": "0.5"})
    with short.running():
        for spans in (5, 6):  # the second comes when the first is written, as a part of its own
            publish(live.stack.kafka, live.names.spans, [(key(3), span_message(3, timestamp=begin * 1000))])
            wait_until_written(live, 4, spans)
    parts = [where for where, _ in live.documents().items() if where[0].startswith("traces")]
    assert len(parts) == 4
    unset = {"TRACELINK_IDLE_GAP", "TRACELINK_ROOT_GRACE"}
    later = replace(live, environment={name: one for name, one in live.environment.items() if name not in unset})
    arguments = ("--from", "1d", "--run", "--sink", "elasticsearch", "--index-suffix=-again")
    with replaying(later, *arguments) as process:
        finish(process)
    assert "The windows of the join changed in this range, so there are 2 jobs." in process.output()
    assert contents(live, "-again") == contents(live)
