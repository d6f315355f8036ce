"""The journal: what it says after a restart, and from where it has to be read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.join.journal import Entry, Ledger
from streams.join.window import LOGS, SPANS
from tests.kit.records import key, trace_id
from tracelink.errors import InvalidRecord

OFFSETS = st.integers(-1, 2**62)


@given(
    st.tuples(OFFSETS, OFFSETS),
    st.integers(0, 2**62),
    st.lists(st.tuples(st.binary(min_size=16, max_size=16), OFFSETS, OFFSETS, st.booleans()), max_size=5),
)
def test_an_entry_comes_back_as_it_went(
    positions: tuple[int, int], watermark: int, parts: list[tuple[bytes, int, int, bool]]
) -> None:
    entry = Entry(positions, watermark, tuple(parts))
    assert Entry.decode(entry.encode()) == entry


def test_what_is_no_entry_is_refused() -> None:
    with pytest.raises(InvalidRecord):
        Entry.decode(b"?")


def entry(*parts: tuple[int, int, int], watermark: int = 0, errored: bool = False) -> Entry:
    """Make an entry of (trace, last span, last log)."""
    return Entry((0, 0), watermark, tuple((trace_id(trace), span, log, errored) for trace, span, log in parts))


def test_records_up_to_a_parts_last_offsets_have_gone_out_and_no_others() -> None:
    ledger = Ledger(late_for=0)
    ledger.learn(0, entry((1, 10, 20)))
    ledger.learn(1, entry((1, 12, -1)))
    assert [ledger.has_sent(SPANS, offset, key(1)) for offset in (12, 13)] == [True, False]
    assert [ledger.has_sent(LOGS, offset, key(1)) for offset in (20, 21)] == [True, False]
    assert not ledger.has_sent(SPANS, 1, key(2))


def test_the_journal_is_read_from_the_oldest_record_that_names_an_offset_still_needed() -> None:
    ledger = Ledger(late_for=0)
    ledger.wrote(5, entry((1, 10, -1), watermark=100))
    ledger.wrote(6, entry((2, 30, -1), watermark=200))
    ledger.wrote(7, entry((3, 20, 9), watermark=300))
    # An open part needs the spans from 25 on: the record at 6 names span 30, which will be read again.
    assert ledger.start((25, 9), watermark=1000, current=8) == 6
    assert ledger.start((31, 9), watermark=1000, current=8) == 7  # log 9 is needed, too
    assert ledger.start((31, 10), watermark=1000, current=8) == 8


def test_the_journal_is_read_as_far_back_as_errored_traces_are_remembered() -> None:
    ledger = Ledger(late_for=500)
    ledger.wrote(5, entry((1, 10, -1), watermark=100))
    ledger.wrote(6, entry((2, 11, -1), watermark=600))
    assert ledger.start((50, 50), watermark=1000, current=8) == 6


def test_an_errored_trace_whose_part_is_still_open_is_not_forgotten() -> None:
    ledger = Ledger(late_for=500)
    ledger.learn(0, entry((1, 10, -1), watermark=100, errored=True))
    ledger.expire(10_000, still_open={key(1)})
    assert ledger.errored(key(1))
    ledger.expire(20_000, still_open=set())
    assert not ledger.errored(key(1))
