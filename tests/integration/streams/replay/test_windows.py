"""The windows that the live join records, and what a replay makes of them."""

import json
from collections.abc import Iterable
from dataclasses import replace
from threading import Event

import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer, TopicPartition

from pipeline.cli.root import main
from pipeline.cli.times import shown
from pipeline.kafka.join_windows import windows_of
from pipeline.local.stack import Endpoints
from pipeline.model.join_windows import BEFORE, JoinWindows, Recorded
from streams.join.settings import JoinSettings
from streams.replay.jobs import Jobs, with_windows_of_job
from streams.replay.replay import Asked, Replays
from streams.replay.windows import record_windows
from tests.kit.replay_traffic import FAR, GAP, START, Inputs
from tracelink.errors import UserError

ALL = ("--from", shown(START - FAR), "--to", shown(START + FAR))
SHORT = replace(BEFORE, idle_gap=GAP)
LONG = replace(BEFORE, idle_gap=4 * GAP, root_grace=2000)
CHANGED = START + 60_000


@pytest.fixture
def inputs(stack: Endpoints, topic_prefix: str) -> Inputs:
    return Inputs(stack.kafka, topic_prefix)


def settings_of(inputs: Inputs, **more: str) -> JoinSettings:
    """Return the settings of the live join."""
    return JoinSettings.load(
        kafka_bootstrap_servers=inputs.servers,
        topic_prefix=inputs.names.prefix,
        join_group=f"{inputs.names.prefix}join",
        **more,
    )


def commit(inputs: Inputs, offsets: Iterable[tuple[str, int, int]]) -> None:
    """Commit as the live join does."""
    consumer = Consumer({"bootstrap.servers": inputs.servers, "group.id": f"{inputs.names.prefix}join"})
    consumer.commit(offsets=[TopicPartition(*one) for one in offsets], asynchronous=False)
    consumer.close()


def recorded(inputs: Inputs) -> list[tuple[int, JoinWindows]]:
    return [(one.since, one.windows) for one in Jobs(inputs.settings).windows()]


def have_recorded(inputs: Inputs, *found: tuple[int, JoinWindows]) -> None:
    for number, (since, windows) in enumerate(found):
        Jobs(inputs.settings).record(Recorded(since, number + 1, windows))


def run(inputs: Inputs, *arguments: str) -> list[dict[str, object]]:
    """Run `tracelink replay`, and return the objects that it prints."""
    result = CliRunner().invoke(main, ["replay", *arguments, *inputs.options, "--json"])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def refused(inputs: Inputs, *arguments: str) -> str:
    result = CliRunner().invoke(main, ["replay", *arguments, *inputs.options])
    assert result.exit_code == 1, result.output
    return result.stderr


def two_periods(inputs: Inputs) -> None:
    """Have a trace whose records are three gaps apart in each of two periods, the first with short windows."""
    have_recorded(inputs, (0, SHORT), (CHANGED, LONG))
    for trace, begin in ((1, 0), (2, 120_000)):
        inputs.put_span(trace, begin)
        inputs.put_log(trace, begin + 3 * GAP)


def test_a_start_records_the_windows_only_if_they_have_changed(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Jobs, "now", lambda _: START + FAR)
    first, second = settings_of(inputs, idle_gap="3"), settings_of(inputs, idle_gap="4")
    record_windows(first)
    assert recorded(inputs) == [(0, windows_of(first))]
    record_windows(first)
    assert recorded(inputs) == [(0, windows_of(first))]
    assert Jobs(inputs.settings).read() == {}
    inputs.put_span(1, 0)
    commit(inputs, [(inputs.names.spans, 0, 1)])
    record_windows(second)
    # All is read: they hold for what comes.
    assert recorded(inputs) == [(0, windows_of(first)), (START + FAR, windows_of(second))]


def test_changed_windows_hold_from_the_first_record_that_is_joined_again(inputs: Inputs) -> None:
    first, second = settings_of(inputs, idle_gap="3"), settings_of(inputs, idle_gap="3", max_trace_records="9")
    record_windows(first)
    for time in (0, 5000, 9000):
        inputs.put_span(1, time)
    inputs.put_log(1, 7000)
    inputs.put_log(2, 2000, partition=1)
    commit(inputs, [(inputs.names.spans, 0, 1), (inputs.names.logs, 0, 0), (inputs.names.logs, 1, 1)])
    record_windows(second)
    assert recorded(inputs) == [(0, windows_of(first)), (START + 5000, windows_of(second))]


def test_a_range_in_which_the_windows_changed_becomes_two_jobs_each_with_its_own(inputs: Inputs) -> None:
    two_periods(inputs)
    estimated = run(inputs, *ALL, "--dry-run")
    assert [(one["from"], one["to"], one["records"]) for one in estimated] == [
        (ALL[1], shown(CHANGED), 2),
        (shown(CHANGED), ALL[3], 2),
    ]
    copied = run(inputs, *ALL, "--job", "j")
    assert [(one["job"], one["records"]) for one in copied] == [("j-1", 2), ("j-2", 2)]
    jobs = Jobs(inputs.settings).read()
    assert [(name, one.windows) for name, one in jobs.items()] == [("j-1", SHORT), ("j-2", LONG)]
    # The edge: short windows do not follow a trace as far.
    edge = ("--to", shown(START + 1))
    assert [one["records"] for one in run(inputs, ALL[0], ALL[1], *edge, "--dry-run")] == [1]
    edge = ("--to", shown(START + 120_001))
    assert [one["records"] for one in run(inputs, "--from", shown(CHANGED), *edge, "--dry-run")] == [2]


def test_a_selection_makes_no_job_of_a_period_without_its_traces(inputs: Inputs) -> None:
    have_recorded(inputs, (START - 60_000, SHORT), (CHANGED, LONG))
    inputs.put_span(1, 0)
    inputs.put_span(2, 120_000)
    # Nothing is left of the time before the first record, so it needs no job of its own.
    copied = run(inputs, "--trace-id", "1", "--all-partitions", "--to", ALL[3], "--job", "j")
    assert [(one["job"], one["records"]) for one in copied] == [("j-1", 1), ("j-2", 0)]


def test_other_windows_are_refused_unless_their_documents_are_apart(inputs: Inputs) -> None:
    two_periods(inputs)
    assert refused(inputs, *ALL, "--idle-gap", "1").startswith(
        "Error: TRACELINK_IDLE_GAP is 1, but the join ran with 4 in this range, and other windows make other parts."
    )
    first = ("--from", ALL[1], "--to", shown(CHANGED))
    assert [one["records"] for one in run(inputs, *first, "--idle-gap", "1", "--job", "same")] == [2]
    apart = run(inputs, *ALL, "--idle-gap", "2", "--index-suffix=-apart", "--job", "apart")
    assert [one["job"] for one in apart] == ["apart-1", "apart-2"]
    stored = Jobs(inputs.settings).read()["apart-2"]
    assert stored.windows == replace(LONG, idle_gap=2000)


def test_before_the_first_record_the_defaults_of_then_hold_and_any_that_are_given(inputs: Inputs) -> None:
    inputs.put_span(1, 0)
    run(inputs, *ALL, "--job", "then")
    run(inputs, *ALL, "--job", "given", "--idle-gap", "9")
    jobs = Jobs(inputs.settings).read()
    assert jobs["then"].windows == BEFORE
    assert jobs["given"].windows == replace(BEFORE, idle_gap=9000)


def test_the_join_of_a_job_takes_its_windows_and_refuses_others(inputs: Inputs) -> None:
    two_periods(inputs)
    run(inputs, *ALL, "--job", "j")
    for name, windows in (("j-1", SHORT), ("j-2", LONG)):
        joining = with_windows_of_job(settings_of(inputs, replay=name))
        assert windows_of(joining) == windows
        assert joining.replay == name
    with pytest.raises(UserError, match=r"^The job j-1 was copied for TRACELINK_IDLE_GAP=1, but the setting is 4: "):
        with_windows_of_job(settings_of(inputs, replay="j-1", idle_gap="4"))


def test_a_request_that_was_not_split_is_refused_where_the_windows_changed(inputs: Inputs) -> None:
    two_periods(inputs)
    made = Replays(settings_of(inputs), Event(), lambda *_: None)
    with pytest.raises(UserError, match=r"^The windows of the join changed at "):
        made.select(Asked(ALL[1], ALL[3]))
