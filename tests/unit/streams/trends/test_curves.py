"""The curves of one kind: nothing is counted twice or left out, whatever is read again."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.trends import CURVE, MINUTES, OTHER, key_of, minutes_of
from streams.trends.curves import Curves, Entry, counted, recent

NOW = 29_850_000


def stored_minutes(stored: dict[bytes, bytes]) -> dict[bytes, dict[int, int]]:
    return {key: minutes_of(CURVE.decode(value)) for key, value in stored.items()}


def apply(stored: dict[bytes, bytes], changes: dict[bytes, bytes | None]) -> None:
    for key, value in changes.items():
        if value is None:
            stored.pop(key)
        else:
            stored[key] = value


def test_an_entry_counts_each_offset_once() -> None:
    entry = counted(counted(Entry(), NOW, 4), NOW, 9)
    assert entry == Entry(9, {NOW: 2})
    assert counted(entry, NOW, 9) is entry
    assert counted(entry, NOW, 3) is entry
    assert counted(entry, NOW + 1, 10) == Entry(10, {NOW: 2, NOW + 1: 1})


def test_minutes_of_a_day_before_the_newest_of_the_stream_are_dropped() -> None:
    entry = Entry(9, {NOW: 1, NOW - MINUTES + 1: 2, NOW - MINUTES: 3})
    assert recent(entry, NOW) == Entry(9, {NOW: 1, NOW - MINUTES + 1: 2})
    assert recent(entry, NOW - 1) is entry


def test_a_curve_continues_from_its_stored_entry() -> None:
    stored: dict[bytes, bytes] = {}
    first = Curves("service", stored, 10)
    first.count(3, "payment", NOW, 5)
    apply(stored, first.changes())
    again = Curves("service", stored, 10)
    again.count(3, "payment", NOW, 5)
    assert again.changes() == {}
    again.count(3, "payment", NOW + 1, 6)
    apply(stored, again.changes())
    assert CURVE.decode(stored[b"service|3|payment"]) == {
        "offset": 6,
        "newest": NOW + 1,
        "ages": [0, 1],
        "counts": [1, 1],
        "kind": "service",
        "partition": 3,
        "name": "payment",
    }


def test_a_curve_that_was_not_stored_is_forgotten() -> None:
    curves = Curves("service", {}, 10)
    curves.count(0, "payment", NOW, 5)
    curves.forget()
    assert curves.changes() == {}


def test_a_stored_curve_is_removed_a_day_later() -> None:
    stored: dict[bytes, bytes] = {}
    curves = Curves("service", stored, 10)
    curves.count(0, "payment", NOW, 0)
    apply(stored, curves.changes())
    curves.forget()
    curves.count(0, "shop", NOW + MINUTES - 1, 1)
    assert curves.changes().keys() == {b"service|0|shop"}
    curves.count(0, "shop", NOW + MINUTES, 2)
    assert curves.changes()[b"service|0|payment"] is None


def test_an_old_record_leaves_no_curve() -> None:
    curves = Curves("service", {}, 10)
    curves.count(0, "shop", NOW, 1)
    curves.count(0, "payment", NOW - MINUTES, 2)
    assert curves.changes().keys() == {b"service|0|shop"}


def test_names_beyond_the_limit_of_a_partition_are_counted_together() -> None:
    stored: dict[bytes, bytes] = {}
    curves = Curves("service", stored, 2)
    for offset, name in enumerate("abcda"):
        curves.count(0, name, NOW, offset)
    curves.count(1, "c", NOW, 0)
    apply(stored, curves.changes())
    curves.forget()
    curves.count(0, "e", NOW, 5)
    apply(stored, curves.changes())
    assert stored_minutes(stored) == {
        b"service|0|a": {NOW: 2},
        b"service|0|b": {NOW: 1},
        key_of("service", 0, OTHER): {NOW: 3},
        b"service|1|c": {NOW: 1},
    }


@given(
    records=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, MINUTES // 3)), max_size=40),
    steps=st.lists(st.tuples(st.integers(1, 8), st.sampled_from(["commit", "crash", "part"])), max_size=30),
)
def test_records_that_are_read_again_after_crashes_change_nothing(
    records: list[tuple[str, int]], steps: list[tuple[int, str]]
) -> None:
    """Each step counts some records; then it commits, or ends before the commit, with all or some entries stored."""
    times, time = [], NOW
    for _, pause in records:
        time += pause
        times.append(time)
    stored: dict[bytes, bytes] = {}
    committed = 0
    for number, how in [*steps, (len(records), "commit"), (len(records), "commit")]:
        curves = Curves("service", stored, 10)
        for offset in range(committed, min(committed + number, len(records))):
            curves.count(0, records[offset][0], times[offset], offset)
        changes = curves.changes()
        if how == "part":
            changes = dict(list(changes.items())[::2])
        apply(stored, changes)
        if how == "commit":
            committed = min(committed + number, len(records))
    expected: dict[bytes, Counter[int]] = {}
    for (name, _), minute in zip(records, times, strict=True):
        if minute > time - MINUTES:
            expected.setdefault(key_of("service", 0, name), Counter())[minute] += 1
    for key, minutes in expected.items():
        shown = {minute: count for minute, count in stored_minutes(stored)[key].items() if minute > time - MINUTES}
        assert shown == dict(minutes)
