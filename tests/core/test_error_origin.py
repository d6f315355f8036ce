"""Where an error began: the called one that failed first, and what it said."""

from tests.sinks.examples import ERRORED, START, log, new_trace_id, part, span
from tracelink.error_origin import ErrorOrigin, error_origin
from tracelink.records import LogRecord, Span

TRACE = new_trace_id()
A, B, C = "00000000000000a1", "00000000000000b2", "00000000000000c3"


def failed(span_id: str, parent: str | None, service: str, *, start: int = 0, **fields: object) -> Span:
    return span(
        TRACE,
        span_id,
        flags=ERRORED,
        parentId=parent,
        localEndpoint={"serviceName": service},
        name=f"in {service}",
        timestamp=START + start,
        **fields,
    )


def origin(*records: Span | LogRecord) -> ErrorOrigin | None:
    spans = [one for one in records if "message" not in one]
    logs = [one for one in records if "message" in one]
    return error_origin(part(spans, logs).trace)  # type: ignore[arg-type]  # told apart by a field


def test_nothing_errored_has_no_origin() -> None:
    assert origin(span(TRACE, A), log(TRACE)) is None


def test_an_error_began_in_the_callee_and_not_in_those_it_was_handed_up_to() -> None:
    found = origin(
        failed(A, None, "web"), failed(B, A, "shop", start=1), failed(C, B, "payment", start=2, tags={"error": "no"})
    )
    assert found == ErrorOrigin("payment", "in payment", "no")


def test_of_several_failed_callees_it_is_the_one_that_started_first() -> None:
    found = origin(failed(B, A, "stock", start=9), failed(C, A, "payment", start=2), failed(A, None, "web"))
    assert found is not None
    assert found.service == "payment"


def test_of_a_client_and_a_server_that_share_an_id_it_is_the_server() -> None:
    found = origin(failed(B, A, "shop", kind="CLIENT"), failed(B, A, "payment", start=5, kind="SERVER", shared=True))
    assert found is not None
    assert found.service == "payment"


def test_the_message_is_that_of_an_errored_line_of_the_span_before_its_tag() -> None:
    line = log(
        TRACE,
        flags=ERRORED,
        spanId=A,
        message="could not charge",
        exception={"type": "Declined", "message": "card declined", "stackTrace": "…"},
    )
    assert origin(failed(A, None, "payment", tags={"error": "500"}), line) == ErrorOrigin(
        "payment", "in payment", "card declined", "Declined"
    )


def test_without_an_errored_span_it_is_the_first_errored_line() -> None:
    first = log(TRACE, flags=ERRORED, spanId=B, message="first", timestamp=START)
    later = log(TRACE, flags=ERRORED, message="later", timestamp=START + 1)
    assert origin(later, first, span(TRACE, B, name="save")) == ErrorOrigin("cart", "save", "first")


def test_spans_that_call_each_other_in_a_ring_still_have_an_origin() -> None:
    found = origin(failed(A, B, "web"), failed(B, A, "shop", start=1))
    assert found is not None
    assert found.service == "web"
