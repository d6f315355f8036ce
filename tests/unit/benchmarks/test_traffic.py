"""What the benchmarks are run with: whole traces, each record its own, and as many as are said."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.traffic import Shape, order, records_in, stream
from tracelink.model.codec import LOG_RECORD, SPAN

lengths = st.lists(st.integers(1, 6), min_size=1, max_size=3)


@given(lengths, st.integers(1, 15), st.integers(0, 5))
def test_each_record_of_each_trace_comes_once_and_in_its_order(lengths: list[int], traces: int, gap: int) -> None:
    seen: dict[int, list[int]] = {number: [] for number in range(traces)}
    for number, place in order([range(length) for length in lengths], traces, gap):
        seen[number].append(place)
    assert seen == {number: list(range(lengths[number % len(lengths)])) for number in range(traces)}


def test_records_are_whole_and_under_ids_of_their_own() -> None:
    templates = Shape(spans=3, logs=2).templates()
    records = list(stream(templates, traces=60, gap=2))
    spans = [SPAN.decode(record.value) for record in records if record.is_span]
    logs = [LOG_RECORD.decode(record.value) for record in records if not record.is_span]
    assert (len(spans), len(logs)) == records_in(templates, traces=60) == (180, 120)
    assert set(Counter(span["traceId"] for span in spans).values()) == {3}
    assert len({log["id"] for log in logs}) == len(logs)
    assert all(
        record.key == (SPAN if record.is_span else LOG_RECORD).decode(record.value)["traceId"].hex().encode()
        for record in records
    )
    assert sum(span["flags"] & 1 for span in spans) == 1
