"""What a replay chooses of real topics, beside a naive model that walks through each trace."""

import random

import pytest
from confluent_kafka import Message

from pipeline.local.stack import Endpoints
from streams.replay.plan import Plan, Planner, Selection
from tests.kit.records import key
from tests.kit.replay_traffic import (
    FAR,
    GAP,
    NO_END,
    PARTITIONS,
    START,
    Inputs,
    Place,
    expected,
    place,
    random_traffic,
    selection,
)


@pytest.fixture
def inputs(stack: Endpoints, topic_prefix: str) -> Inputs:
    return Inputs(stack.kafka, topic_prefix)


def selected(plan: Plan, records: list[Message], chance: random.Random) -> set[Place]:
    """Return what a plan chooses of all records, which it is given in runs of any lengths."""
    found: list[Place] = []
    for partition, (start, end) in plan.offset_ranges().items():
        mine = [one for one in records if place(one)[:2] == partition and start <= place(one)[2] < end]
        mine.sort(key=place)
        while mine:
            size = chance.randint(1, 20)
            found += map(place, plan.choose(partition, mine[:size]))
            del mine[:size]
    assert len(found) == len(set(found))
    return set(found)


def is_as_expected(inputs: Inputs, asked: Selection, records: list[Message], plan: Plan | None = None) -> set[Place]:
    plan = plan or inputs.plan(asked)
    wanted, cut = expected(inputs, records, asked)
    assert selected(plan, records, random.Random(1)) == set(map(place, wanted)), asked
    assert plan.cut == cut
    return set(map(place, wanted))


def offsets(found: set[Place], topic: str) -> list[int]:
    return sorted(offset for one, _, offset in found if one == topic)


@pytest.mark.parametrize("seed", range(4))
def test_of_any_traffic_whole_traces_are_chosen_and_nothing_else(inputs: Inputs, seed: int) -> None:
    chance = random.Random(seed)
    random_traffic(inputs, chance)
    records = inputs.records()
    some = [key(trace) for trace in chance.sample(range(1, 41), 6)]
    begin = chance.randrange(0, 40_000, 500)
    found = [
        is_as_expected(inputs, asked, records)
        for asked in (
            selection(begin, begin + 10_000),
            selection(begin, begin + 1),
            selection(-FAR, begin),
            selection(begin, FAR),
            selection(begin, begin + 20_000, keys=some),
            selection(-START, FAR, keys=some, numbers=[1]),
            selection(begin, begin + 15_000, numbers=[0]),
        )
    ]
    assert all(found[:1] + found[2:])


def test_ranges_before_everything_behind_everything_and_of_no_length_have_nothing(inputs: Inputs) -> None:
    inputs.put_span(1, 0)
    inputs.put_log(1, GAP)
    records = inputs.records()
    for begin, end in ((-FAR, 0), (GAP + 1, FAR), (0, 0), (GAP, 0)):
        plan = inputs.plan(selection(begin, end))
        assert is_as_expected(inputs, selection(begin, end), records, plan) == set()
        assert len(plan.scan_bounds) == 3 * PARTITIONS
    assert len(is_as_expected(inputs, selection(-FAR, 1), records)) == 2
    assert len(is_as_expected(inputs, selection(GAP, FAR), records)) == 2


def test_the_range_has_its_begin_and_not_its_end(inputs: Inputs) -> None:
    for trace, time in enumerate((0, 5000, 9999, 10_000, 10_001), 1):
        inputs.put_span(trace, time)
    found = is_as_expected(inputs, selection(5000, 10_000), inputs.records())
    assert offsets(found, inputs.names.spans) == [1, 2]


def test_a_gap_of_just_the_allowed_length_belongs_to_the_trace_and_a_longer_one_ends_it(inputs: Inputs) -> None:
    for time in (0, GAP, 2 * GAP, 3 * GAP):
        inputs.put_span(1, time)
    for time in (0, GAP + 1, 2 * GAP, 3 * GAP + 1):
        inputs.put_span(2, time, partition=1)
    found = is_as_expected(inputs, selection(2 * GAP, 2 * GAP + 1), inputs.records())
    assert {(number, offset) for _, number, offset in found} == {(0, 0), (0, 1), (0, 2), (0, 3), (1, 1), (1, 2)}


def test_spans_and_logs_are_one_trace_however_long_it_is(inputs: Inputs) -> None:
    for step in range(60):
        (inputs.put_log if step % 2 else inputs.put_span)(1, step * GAP)
        inputs.put_span(100 + step, step * GAP)
    found = is_as_expected(inputs, selection(30 * GAP, 30 * GAP + 1), inputs.records())
    assert offsets(found, inputs.names.logs) == list(range(30))
    assert len(found) == 61


def test_what_arrives_after_the_planning_is_not_chosen_then_or_when_it_is_planned_again(inputs: Inputs) -> None:
    for step in range(5):
        inputs.put_span(1, step * GAP)
        inputs.put_log(2, step * GAP)
    before = inputs.records()
    selections = (selection(2 * GAP, 3 * GAP), selection(0, FAR), selection(9 * GAP, FAR))
    for last, asked in enumerate(selections, 4):
        planner = Planner(inputs.settings, inputs.lookup)
        ranges = planner.ranges(asked, NO_END)
        with inputs.transaction(commit=False):
            inputs.put_log(1, last * GAP)
        for time in (last * GAP, (last + 1) * GAP):
            for trace in (1, 2, 3):
                inputs.put_span(trace, time)
                inputs.put_log(trace, time)
        plan = planner.plan(asked, ranges, NO_END)
        after = inputs.records()
        assert len(after) > len(before)
        wanted = {place(one) for one in expected(inputs, before, asked)[0]}
        assert selected(plan, after, random.Random(1)) == wanted
        assert all(reach.tail <= ranges[one].limit for one, reach in plan.scan_bounds.items())
        before = after


def test_traces_whose_beginning_may_be_deleted_are_left_out_and_counted(inputs: Inputs) -> None:
    for trace, time in ((1, 0), (1, GAP), (2, GAP), (1, 2 * GAP), (2, 2 * GAP), (3, 2 * GAP + 1), (3, 9 * GAP)):
        inputs.put_span(trace, time)
        inputs.put_log(trace, time)
        inputs.put_span(trace, time, partition=1)
    inputs.put(inputs.names.unlinked_logs, 0, [(None, b"line", START, [])])
    inputs.forget(inputs.names.spans, 0, 1)
    records = inputs.records()
    found = is_as_expected(inputs, selection(-FAR, FAR), records)
    # Of what lies within a gap of the oldest span that is left nobody knows how it began.
    assert {(number, offset) for topic, number, offset in found if topic == inputs.names.spans} == {
        (0, 5), (0, 6), *((1, offset) for offset in range(7))
    }  # fmt: skip
    assert offsets(found, inputs.names.unlinked_logs) == [0]
    assert inputs.plan(selection(-FAR, FAR)).cut == 2
    # Such a trace is cut from wherever it is looked at, unless it pauses on the way.
    assert is_as_expected(inputs, selection(2 * GAP, 2 * GAP + 1, numbers=[0]), records) == set()
    assert len(is_as_expected(inputs, selection(9 * GAP, FAR, numbers=[0]), records)) == 2
    assert len(is_as_expected(inputs, selection(2 * GAP + 1, FAR, numbers=[0]), records)) == 4


def test_of_any_traffic_that_was_deleted_in_part_no_trace_without_its_beginning_is_chosen(
    inputs: Inputs,
) -> None:
    random_traffic(inputs, random.Random(5), span=20_000)
    inputs.forget(inputs.names.logs, 0, 20)
    inputs.forget(inputs.names.spans, 0, 5)
    inputs.forget(inputs.names.spans, 1, 25)
    inputs.forget(inputs.names.unlinked_logs, 0, 2)
    records = inputs.records()
    for begin in (-FAR, 3000, 8000, 12_000):
        assert is_as_expected(inputs, selection(begin, FAR), records)


def test_what_has_no_key_is_no_trace_that_goes_on(inputs: Inputs) -> None:
    for time in (0, 500, 1000, 1500):
        inputs.put(inputs.names.spans, 0, [(None, b"?", START + time, []), (b"", b"?", START + time, [])])
    found = is_as_expected(inputs, selection(500, 1500), inputs.records())
    assert offsets(found, inputs.names.spans) == [2, 3, 4, 5]
