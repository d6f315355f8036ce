"""The window: which records make a part, and when it closes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.splice import decode
from streams.join.window import LOGS, SPANS, Closed, Window, WindowLimits
from tests.kit.records import key, log_message, span_message
from tracelink.model.records import Flag

LIMITS = WindowLimits(
    idle_gap=5000, max_age=60_000, root_grace=None, max_records=1000, max_bytes=1_000_000, max_record_bytes=100_000
)
SPAN = span_message(1)
LOG = log_message(1)


class Feeder:
    """Feeds a window with records that have no more than a trace and a time."""

    def __init__(self, limits: WindowLimits = LIMITS) -> None:
        self.window = Window(3, limits)
        self.offsets = [0, 0]

    def feed(self, time: int, trace: int = 1, kind: int = SPANS, flags: int = 0) -> None:
        message = SPAN if kind == SPANS else LOG
        self.window.add([(time, kind, self.offsets[kind], key(trace), flags << 1, message)])
        self.offsets[kind] += 1

    def closed(self, watermark: int | None = None) -> list[Closed]:
        if watermark is not None:
            self.window.advance(watermark)
        return self.window.take()


def test_a_part_stays_open_while_the_watermark_has_not_passed_the_gap() -> None:
    feeder = Feeder()
    feeder.feed(1000)
    assert feeder.closed(6000) == []
    assert len(feeder.window) == 1


def test_a_part_closes_once_the_watermark_has_passed_its_last_record_by_the_gap() -> None:
    feeder = Feeder()
    feeder.feed(1000)
    feeder.feed(3000, kind=LOGS)
    assert feeder.closed(7000) == []
    (part,) = feeder.closed(8100)
    assert (part.reason, part.records, part.last) == ("IDLE", 2, (0, 0))
    assert (feeder.window.records, feeder.window.size, len(feeder.window)) == (0, 0, 0)


def test_a_part_that_never_rests_closes_at_its_greatest_age() -> None:
    feeder = Feeder()
    for time in range(0, 64_001, 4000):
        feeder.feed(time)
    (part,) = feeder.closed()
    assert (part.reason, part.records) == ("AGE", 16)
    assert feeder.window.records == 1


def test_a_record_after_the_gap_opens_a_part_of_its_own_though_no_watermark_came_between() -> None:
    feeder = Feeder()
    feeder.feed(1000)
    feeder.feed(6001)
    (part,) = feeder.closed()
    assert (part.reason, part.records) == ("IDLE", 1)
    assert len(feeder.window) == 1


def test_a_record_at_the_very_end_of_the_gap_still_belongs() -> None:
    feeder = Feeder()
    feeder.feed(1000)
    feeder.feed(6000)
    assert feeder.closed() == []


def test_a_root_span_closes_its_part_after_the_grace() -> None:
    feeder = Feeder(replace(LIMITS, root_grace=500))
    feeder.feed(1000)
    feeder.feed(2000, flags=Flag.ROOT)
    assert feeder.closed(2400) == []
    (part,) = feeder.closed(2600)
    assert part.reason == "ROOT"


@pytest.mark.parametrize("limits", [replace(LIMITS, max_records=3), replace(LIMITS, max_bytes=3 * len(SPAN))])
def test_a_full_part_closes_and_the_next_record_opens_another(limits: WindowLimits) -> None:
    feeder = Feeder(limits)
    for _ in range(4):
        feeder.feed(1000)
    (part,) = feeder.closed()
    assert (part.reason, part.records) == ("FULL", 3)
    assert feeder.window.records == 1


def test_pressure_closes_the_oldest_part_first() -> None:
    feeder = Feeder()
    feeder.feed(1000, trace=7, kind=LOGS)
    feeder.feed(1001, trace=8)
    assert feeder.window.relieve()
    (part,) = feeder.closed()
    assert (part.key, part.reason) == (key(7), "PRESSURE")
    assert feeder.window.relieve()
    assert not feeder.window.relieve()


def test_the_lowest_needed_offset_is_that_of_the_oldest_open_part() -> None:
    feeder = Feeder()
    feeder.feed(1000, trace=1)
    feeder.feed(4000, trace=2)
    feeder.feed(4000, trace=2, kind=LOGS)
    assert (feeder.window.low(SPANS), feeder.window.low(LOGS)) == ((0, 1000), (0, 4000))
    feeder.closed(6100)
    assert (feeder.window.low(SPANS), feeder.window.low(LOGS)) == ((1, 4000), (0, 4000))
    feeder.closed(9100)
    assert (feeder.window.low(SPANS), feeder.window.low(LOGS)) == (None, None)


def test_a_long_lived_part_does_not_keep_the_closed_ones_behind_it_alive() -> None:
    feeder = Feeder(replace(LIMITS, max_age=10_000_000))
    for time in range(0, 5_000_000, 1000):
        feeder.feed(time, trace=1)
        feeder.feed(time, trace=time + 2)
        feeder.window.advance(time)
        feeder.window.take()
        feeder.window.low(SPANS)
    assert len(feeder.window._since[SPANS]) < 2000  # noqa: SLF001 - the memory that is held is what this is about


def test_the_message_of_a_part_says_what_is_in_it() -> None:
    feeder = Feeder()
    feeder.feed(1000, flags=Flag.ROOT)
    feeder.feed(1500, kind=LOGS, flags=Flag.ERROR)
    (part,) = feeder.closed(10_000)
    trace = decode(part.message).trace
    assert (trace["flags"], trace["name"], trace["reason"]) == (Flag.ROOT | Flag.ERROR, "s3-0", "IDLE")
    assert (trace["opened"], trace["closed"]) == (1000, 1500)
    assert (len(trace["spans"]), len(trace["logs"])) == (1, 1)


# Steps of time, so that gaps, ages and quick records all come up.
records = st.lists(
    st.tuples(st.sampled_from([0, 0, 1, 100, 900, 3000, 5001]), st.integers(1, 4), st.sampled_from([SPANS, LOGS])),
    max_size=60,
)


@given(records, st.lists(st.booleans(), min_size=60, max_size=60))
def test_parts_do_not_depend_on_how_often_the_watermark_moves(
    steps: list[tuple[int, int, int]], moves: list[bool]
) -> None:
    limits = replace(LIMITS, max_age=7000, max_records=5)

    def run(*, move: bool) -> set[bytes]:
        feeder, time, parts = Feeder(limits), 0, set[bytes]()
        for (step, trace, kind), moved in zip(steps, moves, strict=False):
            time += step
            if move and moved:
                feeder.window.advance(time)
            feeder.feed(time, trace, kind)
            parts |= {part.message for part in feeder.closed()}
        return parts | {part.message for part in feeder.closed(time + 100_000)}

    assert run(move=True) == run(move=False)


@given(records)
def test_every_record_is_in_exactly_one_part(steps: list[tuple[int, int, int]]) -> None:
    feeder, time, taken = Feeder(), 0, 0
    for step, trace, kind in steps:
        time += step
        feeder.feed(time, trace, kind)
        taken += sum(part.records for part in feeder.closed(time))
        assert taken + feeder.window.records == sum(feeder.offsets)
    taken += sum(part.records for part in feeder.closed(time + 100_000))
    assert taken == len(steps)
    assert (feeder.window.records, feeder.window.size, len(feeder.window)) == (0, 0, 0)
