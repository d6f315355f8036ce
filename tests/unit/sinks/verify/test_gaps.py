"""Stretches of holes, and the replays that fill them: properties, and the commands as they are pasted."""

import shlex
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sinks.verify.gaps import Gap, Gaps, command
from sinks.verify.tally import Counts, Judged, Position, Row, Tally

START = 1_795_521_600_000
"""2026-11-24T12:00Z, the begin of a minute and of an hour."""
MINUTE = 60_000
LACKS = {"parts": Counts(missing_parts=1), "lines": Counts(missing_lines=2), "spans": Counts(missing_spans=3)}


def trace(number: int) -> bytes:
    return number.to_bytes(16, "big")


def judged(
    opened: int, *, lacks: str | None = None, of: int | None = 1, lasts: int = 5000, partition: int = 0
) -> Judged:
    counts = Counts(parts=1)
    if lacks:
        counts.add(LACKS[lacks])
    return Judged(
        Position("traces", partition, 0),
        START + opened,
        START + opened + lasts,
        None if of is None else trace(of),
        counts,
    )


def ranges(*messages: Judged, remembered: int = 100_000) -> list[Gap]:
    gaps = Gaps(remembered)
    for message in messages:
        gaps.add(message)
    return gaps.ranges()


def commands(*messages: Judged, missing: str | None = None) -> list[str]:
    return [command(gap, (), missing) for gap in ranges(*messages)]


MESSAGES = st.lists(
    st.builds(
        judged,
        st.integers(0, 90 * MINUTE),
        lacks=st.sampled_from([None, None, *LACKS]),
        of=st.none() | st.integers(1, 30),
        lasts=st.integers(0, 2 * MINUTE),
    ),
    max_size=40,
)


@given(MESSAGES)
def test_every_hole_lies_in_a_stretch_that_begins_and_ends_with_a_hole(messages: list[Judged]) -> None:
    found = ranges(*messages)
    incomplete = [message for message in messages if message.counts.missing]
    for message in incomplete:
        assert any(gap.begin <= message.opened and message.closed < gap.end for gap in found)
    for gap in found:
        assert gap.begin in {message.opened for message in incomplete}
        assert gap.end - 1 in {message.closed for message in incomplete}
    assert sum(gap.incomplete for gap in found) == len(incomplete)


@given(MESSAGES)
def test_stretches_lie_apart_with_sound_messages_between_and_in_order(messages: list[Judged]) -> None:
    found = ranges(*messages)
    for one, next_one in pairwise(found):
        assert next_one.begin - one.end > 10 * MINUTE
        assert any(not message.counts.missing and one.begin < message.opened < next_one.begin for message in messages)


@given(MESSAGES)
def test_what_a_stretch_names_is_what_is_missing_in_it(messages: list[Judged]) -> None:
    incomplete = [message for message in messages if message.counts.missing]
    for gap in ranges(*messages):
        inside = [message for message in incomplete if gap.begin <= message.opened < gap.end]
        assert set(gap.traces) == {message.trace_id for message in inside} - {None}
        assert gap.untraced == sum(message.counts.missing for message in inside if message.trace_id is None)
        assert ("elasticsearch" in gap.stores) == any(message.counts.in_elasticsearch for message in inside)
        assert ("zipkin" in gap.stores) == any(message.counts.missing_spans for message in inside)


@given(MESSAGES, st.randoms())
def test_the_order_in_which_messages_come_does_not_matter(messages: list[Judged], random: object) -> None:
    mixed = list(messages)
    random.shuffle(mixed)  # type: ignore[attr-defined]  # Hypothesis gives a random.Random
    assert ranges(*mixed) == ranges(*messages)


@given(MESSAGES, st.integers(0, 10))
def test_only_so_many_ids_are_remembered_and_a_stretch_says_that_it_has_more(messages: list[Judged], most: int) -> None:
    whole, found = ranges(*messages), ranges(*messages, remembered=most)
    assert sum(len(gap.traces) for gap in found) <= most
    for one, full in zip(found, whole, strict=True):
        if one.complete:
            assert one == full
        else:
            assert one == replace(full, traces=one.traces, complete=False)
            assert not one.few
            assert not one.partial


@given(MESSAGES)
def test_the_tally_has_each_message_once_under_its_partition_and_hour(messages: list[Judged]) -> None:
    tally = Tally()
    for message in messages:
        tally.add(message)
    total = Counts()
    for row in tally.rows():
        total.add(row.counts)
    assert total == tally.totals
    assert tally.totals.parts == len(messages)
    assert tally.totals.missing == sum(message.counts.missing for message in messages)


def test_rows_are_hours_of_partitions_in_their_order() -> None:
    tally = Tally()
    for opened, partition in ((3_600_000, 0), (3_599_999, 1), (0, 1), (-1, 0)):
        tally.add(judged(opened, partition=partition))
    assert [(row.partition, row.hour - START, row.counts.parts) for row in tally.rows()] == [
        (0, -3_600_000, 1),
        (0, 3_600_000, 1),
        (1, 0, 2),
    ]
    assert isinstance(next(tally.rows()), Row)


def test_no_hole_is_no_stretch() -> None:
    assert ranges() == []
    assert ranges(judged(0), judged(MINUTE)) == []


def test_few_traces_are_named_one_after_the_other() -> None:
    (line,) = commands(judged(0, lacks="parts", of=2), judged(MINUTE, lacks="spans", of=1 << 64), judged(90_000))
    assert line == (
        "tracelink replay --trace-id 0000000000000002 --trace-id 00000000000000010000000000000000 "
        "--from 2026-11-24T12:00:00.000Z --to 2026-11-24T12:01:05.001Z --run"
    )


def test_many_traces_are_a_stretch_of_time() -> None:
    (line,) = commands(*many(21, lacks="parts"), *many(21, lacks="spans"))
    assert line == "tracelink replay --from 2026-11-24T12:00:00.000Z --to 2026-11-24T12:00:25.001Z --run"


def many(number: int, *, lacks: str | None = None, every: int = 1000) -> Iterable[Judged]:
    return [judged(count * every, lacks=lacks, of=count + 1) for count in range(number)]


def test_a_line_without_a_trace_is_selected_by_its_time_alone() -> None:
    (line,) = commands(judged(0, lacks="lines", of=None, lasts=0), judged(1, lacks="lines", of=3), judged(2, of=4))
    assert line == (
        "tracelink replay --from 2026-11-24T12:00:00.000Z --to 2026-11-24T12:00:05.002Z --sink elasticsearch --run"
    )


def test_where_one_store_alone_has_holes_the_other_is_left_alone() -> None:
    (line,) = commands(judged(0, lacks="spans"))
    assert "--sink zipkin --run" in line
    (line,) = commands(judged(0, lacks="spans"), judged(0, lacks="lines", of=2))
    assert "--sink" not in line


def test_a_sparse_stretch_takes_a_file_of_ids_where_there_is_one() -> None:
    messages = [*many(21, lacks="parts"), *many(400, every=100)]
    (line,) = commands(*messages)
    assert "--trace-ids" not in line
    (line,) = commands(*messages, missing="my ids.txt")
    assert line.startswith("tracelink replay --trace-ids 'my ids.txt' --from ")
    (line,) = commands(*messages, *many(21), judged(0, lacks="lines", of=None), missing="ids.txt")
    assert "--trace-ids" not in line
    (line,) = commands(*many(21, lacks="parts"), *many(189, every=100), missing="ids.txt")
    assert "--trace-ids" not in line


def test_holes_more_than_ten_minutes_apart_are_two_replays_only_where_sound_traces_lie_between() -> None:
    far = 12 * MINUTE
    first, second = judged(0, lacks="parts", of=1), judged(far, lacks="parts", of=2)
    assert len(commands(first, second)) == 1
    assert len(commands(first, second, judged(5 * MINUTE, of=3))) == 2
    near = judged(10 * MINUTE, lacks="parts", of=2)
    assert len(commands(first, near, judged(5 * MINUTE, of=3))) == 1


def test_a_hole_that_lasts_long_reaches_into_the_next() -> None:
    long, second = judged(0, lacks="parts", lasts=8 * MINUTE), judged(15 * MINUTE, lacks="parts", of=2)
    (gap,) = ranges(long, judged(MINUTE, lacks="parts", of=4, lasts=0), second, judged(12 * MINUTE, of=3))
    assert gap.end == START + 15 * MINUTE + 5001


def test_flags_are_repeated_as_a_shell_takes_them() -> None:
    (gap,) = ranges(judged(0, lacks="parts"))
    given_flags = ["--topic-prefix", "it's.", "--zipkin-url", "http://z:9411"]
    assert shlex.split(command(gap, given_flags))[-5:] == [*given_flags, "--run"]
