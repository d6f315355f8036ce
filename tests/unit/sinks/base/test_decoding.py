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
