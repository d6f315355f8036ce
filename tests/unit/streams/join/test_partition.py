"""The join of one partition: which record is taken when, what is refused, what is skipped, what is committed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.splice import decode
from streams.join.journal import Entry, Ledger
from streams.join.partition import JoinPartition, Output, Target, TargetMessage
from streams.join.window import LOGS, SPANS, WindowLimits
from tests.kit.messages import CREATE_TIME, FakeMessage
from tests.kit.records import key, log_message, span_message

LIMITS = WindowLimits(
    idle_gap=5000, max_age=60_000, root_grace=None, max_records=1000, max_bytes=1_000_000, max_record_bytes=100_000
)
WALL = 2_000_000_000_000
GOOD_SPAN = span_message(1)


def partition(
    ledger: Ledger | None = None,
    positions: tuple[int, int] = (0, 0),
    times: tuple[int, int] = (0, 0),
    late_for: int = 600_000,
) -> JoinPartition:
    return JoinPartition(
        3,
        topics=("spans", "logs"),
        limits=LIMITS,
        ledger=ledger or Ledger(late_for),
        positions=positions,
        times=times,
        allowance=1000,
    )


def a_span(offset: int, stamp: int, trace: int = 1, *, errored: bool = False) -> FakeMessage:
    return FakeMessage(offset, stamp, key(trace), span_message(trace, errored=errored))


def a_log(offset: int, stamp: int, trace: int = 1, *, errored: bool = False) -> FakeMessage:
    return FakeMessage(offset, stamp, key(trace), log_message(trace, errored=errored))


def sent(output: Output, target: Target) -> list[TargetMessage]:
    return [message for message in output.messages if message.target is target]


def commit(one: JoinPartition, at: int = 0) -> tuple[Entry, Output]:
    (entry,) = one.entries()
    return entry, one.committed([at], [entry])


def test_a_record_waits_until_the_other_input_has_come_as_far() -> None:
    one = partition()
    one.receive(SPANS, [a_span(0, 5000)], now=0, wall=WALL)
    one.advance(now=0)
    assert one.window.records == 0
    one.receive(LOGS, [a_log(0, 4000)], now=0, wall=WALL)
    one.advance(now=0)
    assert one.window.records == 1  # the log; another could still come before the span
    one.receive(LOGS, [a_log(1, 5000)], now=0, wall=WALL)
    one.advance(now=0)
    assert one.window.records == 2  # now the span; a span could still come with the log's very time


def test_an_input_at_its_end_holds_nothing_back_after_the_allowance() -> None:
    one = partition()
    one.receive(SPANS, [a_span(0, 5000)], now=100, wall=WALL)
    one.reach_end(SPANS)
    one.reach_end(LOGS)
    one.advance(now=1099)
    assert one.window.records == 0
    one.advance(now=1100)
    assert one.window.records == 1
    for now in range(1200, 7300, 100):
        one.advance(now=now)
    assert one.pending.records == 1


def test_a_worker_that_was_held_up_does_not_close_windows_before_it_has_seen_what_came() -> None:
    one = partition()
    one.receive(SPANS, [a_span(0, 5000)], now=0, wall=WALL)
    one.reach_end(SPANS)
    one.reach_end(LOGS)
    for now in range(0, 2000, 100):
        one.advance(now=now)
    one.advance(now=10_000)  # eight seconds later
    one.receive(SPANS, [a_span(1, 9000)], now=10_050, wall=WALL)
    one.advance(now=10_050)
    assert (one.pending.records, one.window.records) == (0, 1)
    for now in range(10_100, 20_000, 100):
        one.reach_end(SPANS)
        one.advance(now=now)
    assert one.pending.parts.total() == 1


def test_an_input_that_has_shown_neither_record_nor_end_holds_back_the_other() -> None:
    one = partition()
    one.receive(SPANS, [a_span(0, 5000)], now=0, wall=WALL)
    one.reach_end(SPANS)
    one.advance(now=1_000_000)
    assert one.window.records == 0


def test_an_end_that_was_seen_before_a_rebalance_does_not_count_after_it() -> None:
    one = partition()
    one.receive(SPANS, [a_span(0, 5000)], now=0, wall=WALL)
    one.reach_end(SPANS)
    one.reach_end(LOGS)
    one.resume()
    one.advance(now=1_000_000)
    assert one.window.records == 0


def test_a_broker_clock_that_steps_back_does_not_turn_stream_time() -> None:
    one = partition()
    one.receive(SPANS, [a_span(0, 9000), a_span(1, 2000)], now=0, wall=WALL)
    one.receive(LOGS, [a_log(0, 20_000, trace=2)], now=0, wall=WALL)
    one.advance(now=0)
    assert (one.window.records, one.watermark) == (2, 9000)


def test_stream_time_does_not_turn_over_a_restart_either() -> None:
    one = partition()
    one.receive(SPANS, [a_span(0, 9000), a_span(1, 20_000), a_span(2, 2000)], now=0, wall=WALL)
    one.receive(LOGS, [a_log(0, 9000, trace=2), a_log(1, 21_000, trace=2)], now=0, wall=WALL)
    one.advance(now=0)
    assert (one.low(), one.times()) == ((1, 1), (20_000, 21_000))  # the last log waits, the spans are in a window
    one = partition(positions=one.low(), times=one.times())
    one.receive(SPANS, [a_span(1, 20_000), a_span(2, 2000)], now=0, wall=WALL)
    one.receive(LOGS, [a_log(1, 21_000, trace=2)], now=0, wall=WALL)
    one.advance(now=0)
    assert (one.window.records, one.watermark) == (2, 20_000)
    one = partition(positions=(2, 2), times=(20_000, 21_000))
    one.receive(SPANS, [a_span(2, 2000)], now=0, wall=WALL)
    one.advance(now=0)
    assert one.watermark == 20_000


def test_a_time_that_a_client_wrote_and_that_is_to_come_counts_as_now() -> None:
    one = partition()
    year_9999 = FakeMessage(0, 253_370_764_800_000, key(1), GOOD_SPAN, clock=CREATE_TIME)
    one.receive(SPANS, [year_9999], now=0, wall=WALL)
    one.receive(LOGS, [a_log(0, WALL + 50, trace=2)], now=0, wall=WALL)
    one.advance(now=0)
    assert one.watermark == WALL


@pytest.mark.parametrize(
    ("sent_key", "body", "reason"),
    [
        (None, GOOD_SPAN, "key"),
        (b"", GOOD_SPAN, "key"),
        (b"0" * 32, span_message(0), "key"),
        (key(1).upper()[:-1] + b"A", GOOD_SPAN, "key"),
        (b"x" * 32, GOOD_SPAN, "key"),
        (key(1), None, "size"),
        (key(1), b"", "frame"),
        (key(1), b'{"traceId": "1"}', "frame"),
        (key(1), b"\xc3\x01" + bytes(8) + GOOD_SPAN[10:], "schema"),
        (key(1), log_message(1), "schema"),
        (key(1), GOOD_SPAN[:20], "size"),
        (key(1), GOOD_SPAN + bytes(100_000), "size"),
        (key(2), GOOD_SPAN, "mismatch"),
        (key(1), GOOD_SPAN[:10] + b"\x03" + GOOD_SPAN[11:], "body"),
    ],
)
def test_a_message_that_is_no_record_is_a_dead_letter_and_the_next_goes_on(
    sent_key: bytes | None, body: bytes | None, reason: str
) -> None:
    one = partition()
    one.receive(SPANS, [FakeMessage(7, 1000, sent_key, body), a_span(8, 1001)], now=0, wall=WALL)
    one.receive(LOGS, [a_log(0, 2000)], now=0, wall=WALL)
    one.advance(now=0)
    (letter,) = sent(one.pending, Target.DEAD_LETTERS)
    assert (letter.key, letter.value) == (sent_key, body)
    headers = dict(letter.headers or [])
    assert headers["tracelink.reason"] == reason.encode()
    assert headers["tracelink.topic"] == b"spans"
    assert (headers["tracelink.partition"], headers["tracelink.offset"]) == (b"3", b"7")
    assert headers["tracelink.timestamp"] == b"1000"
    assert one.window.records == 1
    assert one.pending.dead_letters.total() == 1


def test_a_dead_letter_that_may_not_fit_its_topic_is_cut_and_says_so() -> None:
    one = partition()
    one.receive(SPANS, [FakeMessage(7, 1000, key(1), bytes(2_000_000))], now=0, wall=WALL)
    one.receive(LOGS, [a_log(0, 2000)], now=0, wall=WALL)
    one.advance(now=0)
    (letter,) = sent(one.pending, Target.DEAD_LETTERS)
    assert len(letter.value or b"") == 65_536
    assert dict(letter.headers or [])["tracelink.cut-from-bytes"] == b"2000000"


def test_very_many_parts_are_spread_over_several_journal_records() -> None:
    one = partition()
    one.receive(SPANS, [a_span(at, 1000, at + 1) for at in range(20_001)], now=0, wall=WALL)
    one.receive(LOGS, [a_log(0, 100_000, 99_999)], now=0, wall=WALL)
    one.receive(SPANS, [a_span(20_001, 100_000, 99_999)], now=0, wall=WALL)
    one.advance(now=0)
    entries = one.entries()
    assert [len(entry.parts) for entry in entries] == [20_000, 1]
    ledger = Ledger(0)
    for at, entry in enumerate(entries):
        ledger.learn(at, entry)
    assert all(ledger.has_sent(SPANS, at, key(at + 1)) for at in (0, 20_000))


def test_dead_letters_that_have_gone_out_are_not_repeated_after_a_restart() -> None:
    first = partition()
    first.receive(SPANS, [a_span(0, 1000), FakeMessage(1, 1001, None, b"?")], now=0, wall=WALL)
    first.receive(LOGS, [a_log(0, 1500, trace=2)], now=0, wall=WALL)
    first.advance(now=0)
    low = first.low()
    entry, done = commit(first)
    assert (low, done.dead_letters.total()) == ((0, 0), 1)

    ledger = Ledger(600_000)
    ledger.learn(0, Entry.decode(entry.encode()))
    second = partition(ledger, low)
    second.receive(SPANS, [a_span(0, 1000), FakeMessage(1, 1001, None, b"?")], now=0, wall=WALL)
    second.receive(LOGS, [a_log(0, 1500, trace=2)], now=0, wall=WALL)
    second.advance(now=0)
    assert second.pending.messages == []
    assert second.window.records == 1
    assert second.entries()[0].positions == (2, 0)


def test_the_offset_committed_is_the_lowest_that_an_open_part_needs() -> None:
    one = partition(positions=(10, 20))
    assert one.low() == (10, 20)
    one.receive(SPANS, [a_span(10, 1000), a_span(11, 1001, trace=2)], now=0, wall=WALL)
    one.receive(LOGS, [FakeMessage(20, 1000, None, None), a_log(21, 60_000, trace=3)], now=0, wall=WALL)
    one.advance(now=0)
    assert one.low() == (10, 21)
    assert one.next_offset(LOGS) == 22


def test_an_errored_trace_goes_to_error_traces_once() -> None:
    one = partition()
    messages = [a_span(0, 1000, errored=True), a_span(1, 10_000, errored=True), a_span(2, 20_000)]
    one.receive(SPANS, messages, now=0, wall=WALL)
    one.receive(LOGS, [a_log(0, 90_000, trace=2)], now=0, wall=WALL)
    one.receive(SPANS, [a_span(3, 90_000, trace=2)], now=0, wall=WALL)
    one.advance(now=0)
    assert len(sent(one.pending, Target.TRACES)) == 3
    (errored,) = sent(one.pending, Target.ERROR_TRACES)
    assert decode(errored.value or b"").trace["opened"] == 1000
    assert [erred for *_, erred in one.pending.sent] == [True, True, True]


def test_an_error_that_comes_late_still_makes_the_trace_errored() -> None:
    one = partition()
    one.receive(SPANS, [a_span(0, 1000), a_span(1, 90_000, trace=2)], now=0, wall=WALL)
    one.receive(LOGS, [a_log(0, 30_000, errored=True), a_log(1, 90_000, trace=2)], now=0, wall=WALL)
    one.advance(now=0)
    assert len(sent(one.pending, Target.TRACES)) == 2
    (errored,) = sent(one.pending, Target.ERROR_TRACES)
    assert len(decode(errored.value or b"").trace["logs"]) == 1


def test_an_errored_id_is_remembered_over_a_restart_and_forgotten_after_its_time() -> None:
    ledger = Ledger(late_for=600_000)
    ledger.learn(0, Entry((1, 0), 1000, ((bytes.fromhex(key(1).decode()), 0, -1, True),)))
    one = partition(ledger, (1, 0))
    one.receive(SPANS, [a_span(1, 50_000, errored=True), a_span(2, 700_000, trace=2)], now=0, wall=WALL)
    one.receive(LOGS, [a_log(0, 700_000, trace=2)], now=0, wall=WALL)
    one.advance(now=0)
    assert sent(one.pending, Target.ERROR_TRACES) == []
    one.receive(SPANS, [a_span(3, 1_400_000, trace=2)], now=0, wall=WALL)
    one.receive(LOGS, [a_log(1, 1_400_000, trace=2)], now=0, wall=WALL)
    one.advance(now=0)
    assert not ledger.errored(key(1))


stamps = st.lists(st.tuples(st.integers(0, 12_000), st.integers(1, 3)), max_size=25)


@given(stamps, stamps, st.data())
def test_parts_do_not_depend_on_the_speed_of_reading(
    spans: list[tuple[int, int]], logs: list[tuple[int, int]], data: st.DataObject
) -> None:
    inputs = (
        [a_span(offset, stamp, trace) for offset, (stamp, trace) in enumerate(spans)],
        [a_log(offset, stamp, trace) for offset, (stamp, trace) in enumerate(logs)],
    )

    def run(*, in_steps: bool) -> set[bytes | None]:
        one, at = partition(), [0, 0]
        while at[SPANS] < len(spans) or at[LOGS] < len(logs):
            kind = (
                data.draw(st.sampled_from([SPANS, LOGS])) if in_steps else (SPANS if at[SPANS] < len(spans) else LOGS)
            )
            step = data.draw(st.integers(1, 5)) if in_steps else 100
            batch = inputs[kind][at[kind] : at[kind] + step]
            at[kind] += len(batch)
            if batch:
                one.receive(kind, batch, now=0, wall=WALL)
            one.advance(now=0)
        one.receive(SPANS, [a_span(1000, 100_000, trace=9)], now=0, wall=WALL)
        one.receive(LOGS, [a_log(1000, 100_000, trace=9)], now=0, wall=WALL)
        one.advance(now=0)
        return {message.value for message in sent(one.pending, Target.TRACES)}

    assert run(in_steps=True) == run(in_steps=False)
