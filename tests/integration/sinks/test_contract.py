"""What every sink promises: one suite for the fake and the real ones."""

from collections.abc import Iterator

import pytest

from sinks.base.contract import Batch, Outcome
from tests.kit.sink_examples import ERRORED, YEAR_3000, batch, log, new_trace_id, part, span
from tests.kit.sink_targets import Target, elasticsearch_target, memory_target, zipkin_target
from tracelink.errors import Reason, Unavailable
from tracelink.model.codec import LOG_RECORD, SPAN

A, B, C = "00000000000000a1", "00000000000000b2", "00000000000000c3"


@pytest.fixture(
    params=["memory", *(pytest.param(name, marks=pytest.mark.servers) for name in ("zipkin", "elasticsearch"))]
)
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    if request.param == "memory":
        made = memory_target()
    elif request.param == "zipkin":
        made = zipkin_target(request.getfixturevalue("stack"))
    else:
        made = elasticsearch_target(request.getfixturevalue("stack"), request.getfixturevalue("index_prefix"))
    yield made
    made.sink.close()


def test_what_is_written_is_found(target: Target) -> None:
    trace_id = new_trace_id()
    lines = [log(trace_id), log(trace_id)]
    report = target.sink.write(batch(part([span(trace_id, A), span(trace_id, B)], lines)))
    assert report.parts == [Outcome.WRITTEN]
    assert report.records["span", Outcome.WRITTEN] == 2
    assert not report.dead_letters
    assert target.spans(trace_id, 2) == [A, B]
    if target.logs:
        assert report.records["log", Outcome.WRITTEN] == 2
        assert target.logs(trace_id) == sorted(line["id"] for line in lines)


def test_a_batch_that_is_repeated_leaves_everything_once(target: Target) -> None:
    trace_id = new_trace_id()
    line = log(trace_id)
    same = batch(part([span(trace_id, A), span(trace_id, B)], [line]))
    first, second = target.sink.write(same), target.sink.write(same)
    assert first.parts == [Outcome.WRITTEN]
    assert second.parts in ([Outcome.DUPLICATE], [Outcome.WRITTEN])  # Zipkin does not tell
    target.sink.write(batch(part([span(trace_id, C)], name="s0-2")))
    assert target.spans(trace_id, 3) == [A, B, C]
    if target.logs:
        assert second.parts == [Outcome.DUPLICATE]
        assert target.logs(trace_id) == [line["id"]]


def test_two_parts_of_a_trace_are_both_there(target: Target) -> None:
    trace_id = new_trace_id()
    report = target.sink.write(
        batch(part([span(trace_id, A)], name="s0-1"), part([span(trace_id, B)], [log(trace_id)], name="s0-7"))
    )
    assert report.parts == [Outcome.WRITTEN, Outcome.WRITTEN]
    assert target.spans(trace_id, 2) == [A, B]


def test_a_record_that_the_target_refuses_is_cut_out_alone(target: Target) -> None:
    trace_id = new_trace_id()
    spans = [span(trace_id, A), span(trace_id, B)]
    logs = [log(trace_id), log(trace_id)]
    if target.bad_span:
        spans.insert(1, target.bad_span(spans[0]))
    if target.bad_log:
        logs.insert(1, target.bad_log(log(trace_id)))
    refused = part(spans, logs)
    report = target.sink.write(batch(refused))
    assert report.parts == [Outcome.WRITTEN]
    (letter,) = report.dead_letters
    assert letter.error.reason is Reason.REFUSED
    assert letter.error.detail
    assert letter.message is refused.message
    assert target.spans(trace_id, 2) == [A, B]
    if letter.kind == "span":
        assert SPAN.decode(letter.payload)["id"] == "not hex"
    else:
        assert LOG_RECORD.decode(letter.payload)["timestamp"] == YEAR_3000
        assert target.logs
        assert target.logs(trace_id) == sorted([logs[0]["id"], logs[2]["id"]])


def test_a_trace_that_is_not_kept_is_not_there_but_an_errored_one_is(target: Target) -> None:
    left_out, errored = new_trace_id(), new_trace_id()
    report = target.keeping(0.0).write(
        batch(part([span(left_out, A)], [log(left_out)]), part([span(errored, B, flags=ERRORED)]))
    )
    assert report.parts == [Outcome.NOT_KEPT, Outcome.WRITTEN]
    assert report.records["span", Outcome.NOT_KEPT] == 1
    assert target.spans(errored, 1) == [B]
    assert target.spans(left_out, 0) == []


def test_nothing_to_write_is_no_trouble(target: Target) -> None:
    report = target.sink.write(Batch())
    assert report.parts == []
    assert not report.records


def test_check_passes_where_the_target_answers(target: Target) -> None:
    target.sink.check()


def test_a_target_that_is_away_is_unavailable_to_check_and_to_write(target: Target) -> None:
    unavailable = target.unavailable()
    with pytest.raises(Unavailable):
        unavailable.check()
    with pytest.raises(Unavailable):
        unavailable.write(batch(part([span(new_trace_id(), A)])))
    unavailable.close()


def test_close_may_be_called_again(target: Target) -> None:
    target.sink.close()
    target.sink.close()
