"""Copying to a job's topics on a real broker: the very records, each once, and one end marker behind each partition."""

import random
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from pipeline.cli.times import shown
from pipeline.failpoints import Failpoint
from pipeline.kafka.offsets import group_offsets
from pipeline.local.stack import Endpoints
from streams.replay import copy
from streams.replay.copy import Copied, Copier, progress_of
from streams.replay.jobs import Stored
from streams.replay.plan import Plan
from streams.replay.replay import Asked, Replays
from streams.worker.sessions import Stopped
from tests.kit.processes import clean_environment, running
from tests.kit.records import key
from tests.kit.replay_launch import KILLED
from tests.kit.replay_traffic import (
    FAR,
    GAP,
    PARTITIONS,
    START,
    Inputs,
    Row,
    copies,
    expected,
    random_traffic,
    selection,
)
from tests.kit.waiting import wait_for
from tracelink.errors import UserError

ALL = Asked(shown(START - FAR), shown(START + FAR))
ROOT = Path(__file__).parents[4]


@pytest.fixture
def inputs(stack: Endpoints, topic_prefix: str) -> Inputs:
    return Inputs(stack.kafka, topic_prefix)


@pytest.fixture
def in_small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a copier commit after every few records."""
    monkeypatch.setattr(copy, "_COMMIT_EVERY", 0.01)
    monkeypatch.setattr(copy, "_FIRST_SLICE", 20)


def replays(inputs: Inputs) -> Replays:
    return Replays(inputs.settings, Event(), lambda *_: None)


def copied(inputs: Inputs, job: str, asked: Asked) -> tuple[Stored, Copied]:
    """Make a job, and copy all of it."""
    made = replays(inputs)
    stored, plan = made.create(job, asked)
    return stored, made.copy(stored, plan, None)


def many(inputs: Inputs, number: int, start: int = START) -> list[Message]:
    """Fill the inputs with so many records, of traces without an end, and return what there is."""
    for partition in range(PARTITIONS):
        rows: list[Row] = [
            (key(1 + at % 7 * PARTITIONS + partition), b"%d" % at, start + at * 10, []) for at in range(number)
        ]
        inputs.put(inputs.names.spans, partition, rows[::2])
        inputs.put(inputs.names.logs, partition, rows[1::2])
    return inputs.records()


def copier(
    inputs: Inputs,
    stored: Stored,
    plan: Plan,
    *,
    rate: float | None = None,
    stopping: Event | None = None,
    on_progress: Callable[[Copied], None] = lambda _: None,
) -> Copier:
    return Copier(inputs.settings, stored.job["name"], plan, rate=rate, stopping=stopping, on_progress=on_progress)


def interrupted(inputs: Inputs, stored: Stored, plan: Plan, rate: float | None = None) -> Copied:
    """Copy until the first transaction is committed, and return how far it has come."""
    stopping = Event()

    def on_progress(now: Copied) -> None:
        if now.read:
            stopping.set()

    with pytest.raises(Stopped):
        copier(inputs, stored, plan, rate=rate, stopping=stopping, on_progress=on_progress).run()
    return progress(inputs, stored)


def progress(inputs: Inputs, stored: Stored) -> Copied:
    group = inputs.names.of_job(stored.job["name"]).job_group("copy")
    offset_ranges = stored.offset_ranges()
    return progress_of(offset_ranges, group_offsets(inputs.settings, group, offset_ranges))


def test_bytes_keys_headers_and_times_are_those_of_the_live_records(inputs: Inputs) -> None:
    spans, logs, unlinked = inputs.topics
    with inputs.transaction(commit=False):
        inputs.put(spans, 0, [(key(9), b"undone", START, [])])
    inputs.put(spans, 0, [(key(1), bytes(range(256)), START, [("a", b"1"), ("a", None), ("b", b"")])])
    inputs.put(spans, 0, [(None, b"poison", START + 1, []), (b"", None, START + 2, []), (key(1), b"", START + 3, [])])
    with inputs.transaction(commit=True):
        inputs.put(logs, 1, [(key(2), b"line", START + 4, [("tracelink.redriven", b"x")])])
    inputs.put(unlinked, 1, [(None, b"no trace", START + 5, []), (b"k", b"no trace", START + 6, [])])
    with inputs.transaction(commit=False):
        inputs.put(spans, 1, [(key(9), b"undone", START + 7, [])])
        inputs.put(unlinked, 1, [(None, b"undone", START + 7, [])])
    records = inputs.records()
    assert len(records) == 7
    stored, done = copied(inputs, "j", ALL)
    assert inputs.job("j") == copies(inputs, "j", records)
    assert (done.records, done.size) == (7, sum(len(one.value() or b"") for one in records))
    assert done == progress(inputs, stored)
    assert done.read == done.total


def test_what_is_copied_is_what_the_plan_has_chosen_and_every_topic_has_its_ends(inputs: Inputs) -> None:
    random_traffic(inputs, random.Random(3), traces=20, span=20_000)
    records = inputs.records()
    whole = selection(5000, 10_000)
    assert copied(inputs, "a", Asked(shown(whole.begin), shown(whole.end)))[1].records > 0
    assert inputs.job("a") == copies(inputs, "a", expected(inputs, records, whole)[0])
    # The ends of what was not asked for are there too: its readers wait for them.
    part = selection(5000, 10_000, numbers=[1], keys=[key(3), key(5)])
    narrow = Asked(shown(part.begin), shown(part.end), part.keys, numbers=part.numbers, all_partitions=True)
    copied(inputs, "b", narrow)
    assert inputs.job("b") == copies(inputs, "b", expected(inputs, records, part)[0])
    nothing = copied(inputs, "c", Asked(shown(START - FAR), shown(START - FAR + 1)))[1]
    assert nothing.records == 0
    assert inputs.job("c") == copies(inputs, "c", [])


def test_ten_kills_leave_the_same_records_as_none(inputs: Inputs) -> None:
    many(inputs, 1500)
    random_traffic(inputs, random.Random(4), traces=20, span=20_000)
    copied(inputs, "whole", ALL)
    chance = random.Random(8)
    points = (Failpoint.REPLAY_SENT, Failpoint.REPLAY_COMMITTED, Failpoint.BEFORE_COMMIT)
    kills = [f"{chance.choice(points)}:{chance.randint(1, 5)}" for _ in range(10)]
    options = ["killed", "--from", shown(START - FAR), "--to", shown(START + FAR), *inputs.options]
    ended = subprocess.run(
        [sys.executable, "-m", "tests.kit.replay_launch", *kills, "--", *options],
        capture_output=True, text=True, check=False, env=clean_environment(), cwd=ROOT, timeout=120,
    )  # fmt: skip
    codes = [int(line) for line in ended.stdout.splitlines() if line.isdecimal()]
    assert codes == [KILLED] * len(kills) + [0], ended.stderr
    killed, whole = inputs.job("killed"), inputs.job("whole")
    assert [killed[one] for one in sorted(killed)] == [whole[one] for one in sorted(whole)]
    assert sum(map(len, killed.values())) > 3000


@pytest.mark.usefixtures("in_small_steps")
def test_what_comes_while_a_copy_is_interrupted_is_not_copied_when_it_goes_on(inputs: Inputs) -> None:
    records = many(inputs, 500)
    made = replays(inputs)
    stored, plan = made.create("j", Asked(shown(START + 1000), shown(START + FAR)))
    before = interrupted(inputs, stored, plan)
    assert 0 < before.read < before.total
    for partition in range(PARTITIONS):
        later: list[Row] = [(key(1 + partition), b"later", START + 5000, [])] * 10
        inputs.put(inputs.names.spans, partition, later)
        inputs.put(inputs.names.unlinked_logs, partition, later)
    again = replays(inputs)
    again.copy(*again.resume("j"), None)
    assert inputs.job("j") == copies(inputs, "j", records)
    # A job that is through may be copied again: there is nothing left to do.
    again.copy(*again.resume("j"), None)
    assert inputs.job("j") == copies(inputs, "j", records)
    assert again.jobs.get("j").job["state"] == "COPIED"


@pytest.mark.usefixtures("in_small_steps")
def test_a_copy_does_not_go_on_where_retention_has_passed_what_it_was_planned_with(inputs: Inputs) -> None:
    many(inputs, 500)
    made = replays(inputs)
    stored, plan = made.create("j", Asked(shown(START + 2000), shown(START + FAR)))
    interrupted(inputs, stored, plan)
    inputs.forget(inputs.names.spans, 0, 5)
    with pytest.raises(UserError, match="Retention has deleted records that the job j was planned with"):
        replays(inputs).resume("j")


def test_a_copy_stops_also_where_nothing_comes(inputs: Inputs) -> None:
    with inputs.transaction(commit=False):
        inputs.put_span(1, 0)
    wait_for("the end of the transaction", lambda: inputs.lookup.ends([(inputs.names.spans, 0)]).popitem()[1] > 1)
    stored, plan = replays(inputs).create("j", ALL)
    stopping = Event()
    with pytest.raises(Stopped):
        copier(inputs, stored, plan, stopping=stopping, on_progress=lambda _: stopping.set()).run()


def test_what_a_group_has_committed_is_told_once_its_transaction_has_ended(
    inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.kafka.offsets._TIMEOUT", 0.5)
    where, group = (inputs.names.spans, 0), f"{inputs.names.prefix}group"
    member = Consumer({"bootstrap.servers": inputs.servers, "group.id": group})
    producer = Producer({"bootstrap.servers": inputs.servers, "transactional.id": group})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.send_offsets_to_transaction([TopicPartition(*where, 7)], member.consumer_group_metadata(), 20)
    with pytest.raises(UserError, match="Kafka does not answer"):
        group_offsets(inputs.settings, group, [where])
    assert group_offsets(inputs.settings, group, [where], stable=False)[where].offset < 0
    producer.commit_transaction(20)
    assert group_offsets(inputs.settings, group, [where])[where].offset == 7
    member.close()


def test_a_job_that_was_interrupted_before_it_had_topics_goes_on(
    inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise Stopped

    records = many(inputs, 20)
    with monkeypatch.context() as patched:
        patched.setattr("streams.replay.replay.create_job", interrupted)
        with pytest.raises(Stopped):
            replays(inputs).create("j", ALL)
    stored, plan = replays(inputs).resume("j")
    assert plan is not None
    copier(inputs, stored, plan).run()
    assert inputs.job("j") == copies(inputs, "j", records)


@pytest.mark.usefixtures("in_small_steps")
def test_a_second_copier_of_a_job_fences_the_first(inputs: Inputs) -> None:
    records = many(inputs, 500)
    stored, plan = replays(inputs).create("j", ALL)
    others: list[Copied] = []

    def on_progress(now: Copied) -> None:
        if now.read and not others:
            others.append(copier(inputs, stored, plan).run())

    with pytest.raises(UserError, match="Another process copies this job; this one has ended"):
        copier(inputs, stored, plan, on_progress=on_progress).run()
    assert others[0].read == others[0].total
    assert inputs.job("j") == copies(inputs, "j", records)


def test_no_more_is_read_a_second_than_the_rate_says(inputs: Inputs) -> None:
    records = many(inputs, 2000)
    stored, plan = replays(inputs).create("j", ALL)
    # The first transaction is committed after a second.
    assert 0 < interrupted(inputs, stored, plan, rate=200).read < 1000
    again = replays(inputs)
    again.copy(*again.resume("j"), None)
    assert inputs.job("j") == copies(inputs, "j", records)


def test_ctrl_c_ends_it_with_130_and_the_command_that_it_says_goes_on(inputs: Inputs, tmp_path: Path) -> None:
    records = many(inputs, 1000, START - 2 * FAR)  # they have been
    environment = {
        "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": inputs.servers,
        "TRACELINK_TOPIC_PREFIX": inputs.names.prefix,
        "TRACELINK_IDLE_GAP": str(GAP / 1000),
    }
    asked = ("--from", shown(START - 3 * FAR), "--to", shown(START + FAR), "--job", "j", "--rate", "200")
    with running("replay", *asked, log=tmp_path / "first.log", **environment) as process:

        def has_begun() -> bool:
            stored = replays(inputs).jobs.read().get("j")
            return stored is not None and progress(inputs, stored).read > 0

        wait_for("the first transaction", has_begun)
        assert process.stop(signal.SIGINT) == 130
        said = process.output().splitlines()
    assert said == ["To resume it: tracelink replay --resume j", "Interrupted."]
    stored = replays(inputs).jobs.get("j")
    assert 0 < progress(inputs, stored).read < len(records)
    assert stored.job["state"] == "COPYING"
    command = shlex.split(said[0].partition(": ")[2])
    with running(*command[1:], log=tmp_path / "second.log", **environment) as process:
        assert process.wait() == 0, process.output()
    assert inputs.job("j") == copies(inputs, "j", records)


def test_no_group_but_the_copiers_own_is_touched(inputs: Inputs) -> None:
    many(inputs, 20)
    live = f"{inputs.names.prefix}join"
    consumer = Consumer({"bootstrap.servers": inputs.servers, "group.id": live})
    offsets = [TopicPartition(topic, number, 3) for topic in inputs.topics[:2] for number in range(PARTITIONS)]
    consumer.commit(offsets=offsets, asynchronous=False)
    consumer.close()
    copied(inputs, "j", ALL)
    listed = inputs.admin.list_consumer_groups().result().valid or []
    groups = {one.group_id for one in listed if one.group_id.startswith(inputs.names.prefix)}
    assert groups == {live, inputs.names.of_job("j").job_group("copy")}
    kept = group_offsets(inputs.settings, live, [(one.topic, one.partition) for one in offsets])
    assert {one.offset for one in kept.values()} == {3}
