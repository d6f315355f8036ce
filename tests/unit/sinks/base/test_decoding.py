"""From messages to batches, for sinks that write log lines and for those that do not."""

import pytest

from sinks.base.decoding import decode
from tests.kit.sink_examples import KINDS, log, message, new_trace_id, span, trace_message
from tracelink.model.codec import LOG_RECORD, SPAN


@pytest.mark.parametrize("logs", [True, False])
def test_a_bad_log_line_is_a_dead_letter_of_those_sinks_that_write_log_lines(*, logs: bool) -> None:
    trace_id = new_trace_id()
    line = log(trace_id, message="Zeile")
    whole = trace_message([span(trace_id)], [line], extra_spans=[SPAN.header + b"?"])
    good = LOG_RECORD.encode(line)
    bad = good.replace(b"Zeile", b"\xff\xff\xff\xff\xff")
    value = whole.replace(good[10:], bad[10:])
    batch = decode([message(value)], KINDS, logs=logs)
    wanted = {"span": SPAN.header + b"?", "log": bad}
    assert {letter.kind: letter.payload for letter in batch.dead_letters} == (
        wanted if logs else {"span": wanted["span"]}
    )
    assert [len(part.trace["spans"]) for part in batch.parts] == [1]


def test_a_record_that_equals_an_earlier_one_of_its_part_is_taken_once() -> None:
    trace_id = new_trace_id()
    client = span(trace_id, kind="CLIENT", tags={"a": "1", "b": "2"})
    spans = [
        client,
        span(trace_id),  # the server's half of a span that both sides share
        client,
        client | {"duration": 30_000},
        span(trace_id, "00000000000000a2"),
        client,
    ]
    line, other = log(trace_id, id="one"), log(trace_id, id="two")
    (part,) = decode([message(trace_message(spans, [line, other, line]))], KINDS).parts
    found = [(one["id"][-2:], one.get("kind"), one.get("duration")) for one in part.trace["spans"]]
    assert found == [
        ("a1", "CLIENT", 20_000),
        ("a1", "SERVER", 20_000),
        ("a1", "CLIENT", 30_000),
        ("a2", "SERVER", 20_000),
    ]
    assert [one["id"] for one in part.trace["logs"]] == ["one", "two"]
    assert part.repeats == {"span": 2, "log": 1}


def test_a_record_that_differs_in_anything_is_no_repeat() -> None:
    trace_id = new_trace_id()
    differing = [span(trace_id), span(trace_id, tags={"http.method": "PUT"}), span(trace_id, name="put /cart")]
    lines = [log(trace_id, id="one"), log(trace_id, id="one", message="filled")]
    (part,) = decode([message(trace_message(differing, lines))], KINDS).parts
    assert len(part.trace["spans"]) == len(differing)
    assert len(part.trace["logs"]) == len(lines)
    assert not part.repeats
