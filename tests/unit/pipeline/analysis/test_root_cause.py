"""Where an error began: the deepest called one that failed, and what it said."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analysis.root_cause import MOST_LINES, RootCauseSpan, root_cause_span
from tests.kit import records as kit
from tests.kit.datasets import needs_shared
from tests.kit.traces import any_trace, rearranged, tangled_trace, trace, zipkin_spans
from tracelink.model.records import Flag, LogRecord, Span, Trace

START = 1_767_225_600_000_000
ERRORED = int(Flag.ERROR)
A, B, C, D = "00000000000000a1", "00000000000000b2", "00000000000000c3", "00000000000000d4"
MISSING = "00000000000000ff"


def called(span_id: str, parent: str | None, service: str, *, start: int = 0, **fields: object) -> Span:
    made: dict[str, Any] = {
        "parentId": parent,
        "localEndpoint": {"serviceName": service},
        "name": f"in {service}",
        "timestamp": START + start,
        "tags": {},
    }
    return kit.span(1, **{"id": span_id} | made | fields)


def failed(span_id: str, parent: str | None, service: str, *, start: int = 0, **fields: object) -> Span:
    return called(span_id, parent, service, start=start, flags=ERRORED, **fields)


def line(message: str, service: str = "payment", **fields: object) -> LogRecord:
    made: dict[str, Any] = {"timestamp": START + 1000, "spanId": None, "logger": None}
    return kit.log(1, **made | {"service": service, "message": message} | fields)


def errored_line(message: str, service: str = "payment", **fields: object) -> LogRecord:
    return line(message, service, **{"flags": ERRORED, "level": "ERROR"} | fields)


def found(*records: Span | LogRecord) -> RootCauseSpan | None:
    spans = [one for one in records if "message" not in one]
    logs = [one for one in records if "message" in one]
    return root_cause_span(trace(spans, logs))  # type: ignore[arg-type]  # told apart by a field


def origin(*records: Span | LogRecord) -> RootCauseSpan:
    one = found(*records)
    assert one is not None
    return one


def said(*records: Span | LogRecord) -> tuple[str | None, str | None]:
    one = origin(*records)
    return one.type, one.message


def test_nothing_errored_has_no_origin() -> None:
    assert found(called(A, None, "web"), line("well")) is None


def test_an_error_began_in_the_callee_and_not_in_those_it_was_handed_up_to() -> None:
    one = origin(
        failed(A, None, "web"),
        failed(B, A, "shop", start=1),
        failed(C, B, "payment", start=2, tags={"error": "no card"}),
    )
    assert (one.service, one.operation, one.message) == ("payment", "in payment", "no card")


def test_it_is_the_deepest_even_where_a_clock_puts_it_before_its_caller() -> None:
    assert origin(failed(B, A, "shop", start=-9), failed(A, None, "web")).service == "shop"
    assert origin(failed(B, A, "shop", start=9), failed(C, B, "pay", start=-9), failed(A, None, "web")).service == "pay"


def test_of_two_branches_the_deeper_one_counts_and_not_the_earlier() -> None:
    one = origin(
        called(A, None, "web"),
        failed(B, A, "stock", start=1),
        called(C, A, "shop", start=2),
        failed(D, C, "payment", start=3),
    )
    assert one.service == "payment"


def test_of_several_failed_callees_it_is_the_one_that_started_first() -> None:
    assert origin(failed(B, A, "stock", start=9), failed(C, A, "payment", start=2), failed(A, None, "web")).service == (
        "payment"
    )


def test_a_span_without_a_time_did_not_start_first() -> None:
    assert origin(failed(B, A, "stock", timestamp=None), failed(C, A, "payment"), failed(A, None, "web")).service == (
        "payment"
    )


def test_of_a_client_and_a_server_that_share_an_id_it_is_the_server() -> None:
    one = origin(failed(B, A, "shop", kind="CLIENT"), failed(B, A, "payment", start=-5, kind="SERVER", shared=True))
    assert one.service == "payment"


def test_a_client_whose_server_shares_its_id_and_is_well_is_the_origin() -> None:
    one = origin(failed(B, A, "shop", kind="CLIENT"), called(B, A, "payment", kind="SERVER", shared=True))
    assert one.service == "shop"


def test_what_a_server_with_a_shared_id_calls_hangs_below_it_and_not_below_its_client() -> None:
    client = failed(B, A, "shop", kind="CLIENT")
    server = failed(B, A, "payment", kind="SERVER", shared=True)
    assert origin(client, server, failed(C, B, "payment", kind=None, name="charge")).operation == "charge"
    assert origin(client, server, failed(C, B, "shop", kind=None, name="connect")).service == "payment"


def test_an_orphan_is_deeper_than_a_root() -> None:
    assert origin(failed(A, None, "web"), failed(B, MISSING, "shop", start=9)).service == "shop"


def test_an_orphan_is_not_deeper_than_a_callee_of_a_root() -> None:
    records = failed(A, None, "web"), failed(B, A, "payment", start=1), failed(C, MISSING, "shop", start=2)
    assert origin(*records).service == "payment"


def test_a_consumer_is_below_the_producer_of_its_message() -> None:
    producer = failed(B, A, "shop", kind="PRODUCER", remoteEndpoint={"serviceName": "kafka"})
    assert origin(producer, failed(C, B, "mailer", kind="CONSUMER", start=-1)).service == "mailer"
    assert origin(producer, failed(B, A, "mailer", kind="CONSUMER", start=-1)).service == "mailer"


def test_spans_that_call_each_other_in_a_ring_still_have_an_origin() -> None:
    assert origin(failed(A, B, "web"), failed(B, A, "shop", start=1)).service == "web"
    assert origin(failed(A, A, "web")).service == "web"


def test_a_ring_is_one_deep_and_what_hangs_on_it_deeper() -> None:
    ring = called(A, B, "web"), called(B, A, "shop")
    assert origin(*ring, failed(C, B, "payment", start=9), failed(D, None, "mail")).service == "payment"


def test_a_span_that_came_twice_is_errored_if_it_was_so_once() -> None:
    half, whole = called(B, A, "shop", duration=None), failed(B, A, "shop", tags={"error": "late"})
    assert origin(failed(A, None, "web"), half, whole).message == "late"
    assert origin(whole, half, failed(A, None, "web")).message == "late"


def test_the_statuses_and_tags_are_those_of_its_span() -> None:
    tags = {"http.status_code": "503", "rpc.grpc.status_code": "14", "customer": "gold"}
    one = origin(failed(A, None, "payment", tags=tags))
    assert (one.http_status, one.grpc_status, one.tags) == ("503", "14", tags)
    assert origin(failed(A, None, "payment", tags=tags | {"http.response.status_code": "500"})).http_status == "500"


@pytest.mark.parametrize("kind", ["CLIENT", "PRODUCER"])
def test_the_peer_is_the_other_side_of_a_call_that_is_not_in_the_trace(kind: str) -> None:
    node = failed(B, A, "shop", kind=kind, remoteEndpoint={"serviceName": "postgres"})
    assert origin(node).peer == "postgres"
    assert origin(node, called(B, A, "db", kind="SERVER", shared=True)).peer is None
    assert origin(node, called(C, B, "db", kind="CONSUMER")).peer is None
    assert origin(node, called(C, B, "shop", kind=None)).peer == "postgres"


def test_a_server_has_no_peer() -> None:
    assert origin(failed(B, A, "shop", kind="SERVER", remoteEndpoint={"serviceName": "browser"})).peer is None


def test_the_message_is_that_of_an_errored_line_of_the_span_before_its_tag() -> None:
    declined = {"type": "Declined", "message": "card declined", "stackTrace": "…"}
    failure = errored_line("could not charge", spanId=A, exception=declined, logger="shop.Charge")
    one = origin(failed(A, None, "payment", tags={"error": "500"}), failure)
    assert (one.type, one.message, one.logger, one.lines) == ("Declined", "card declined", "shop.Charge", (failure,))


def test_a_line_with_an_exception_says_more_than_an_earlier_one_without() -> None:
    first = errored_line("oh no", spanId=A, timestamp=START)
    later = errored_line("failed", spanId=A, timestamp=START + 9, exception={"type": "Declined"})
    assert said(failed(A, None, "payment"), first, later) == ("Declined", "failed")


def test_lines_of_other_spans_say_nothing() -> None:
    other = errored_line("other", spanId=B, service="shop")
    assert said(failed(A, B, "payment", tags={"error": "no card"}), failed(B, None, "shop"), other) == (None, "no card")


def test_a_client_does_not_say_what_the_server_with_its_id_says() -> None:
    records = failed(B, A, "shop", kind="CLIENT"), failed(B, A, "payment", kind="SERVER", shared=True)
    client, server = errored_line("call failed", "shop", spanId=B), errored_line("declined", "payment", spanId=B)
    assert said(*records, client, server) == (None, "declined")


def test_a_line_of_an_inner_span_of_the_service_counts_as_the_spans_own() -> None:
    records = failed(A, None, "payment"), called(B, A, "payment", kind=None), called(C, B, "stock")
    assert said(*records, errored_line("stock", "stock", spanId=C, timestamp=START), errored_line("x", spanId=B)) == (
        None,
        "x",
    )


@pytest.mark.parametrize("span_id", [None, MISSING])
def test_lines_without_a_span_are_told_by_their_service(span_id: str | None) -> None:
    lines = errored_line("of shop", "shop", timestamp=START, spanId=span_id), errored_line("mine", spanId=span_id)
    assert said(failed(A, None, "payment", tags={"error": "500"}), *lines) == (None, "mine")


def test_without_a_line_an_exception_event_says_it_and_of_several_the_last() -> None:
    events = [
        {"timestamp": START + 2, "value": '"exception": {"exception.type":"Declined","exception.message":"no money"}'},
        {"timestamp": START + 1, "value": '"exception": {"exception.type":"Retried","exception.message":"again"}'},
        {"timestamp": START + 3, "value": '"exception": {broken'},
        {"timestamp": START + 4, "value": "done"},
    ]
    assert said(failed(A, None, "payment", annotations=events, tags={"error": "500"})) == ("Declined", "no money")


def test_what_a_line_leaves_open_the_exception_event_says() -> None:
    events = [{"timestamp": START, "value": '"exception": {"exception.type":"Declined","exception.message":"no"}'}]
    failure = errored_line("could not charge", spanId=A)
    assert said(failed(A, None, "payment", annotations=events), failure) == ("Declined", "could not charge")


def test_without_an_event_the_tags_say_it() -> None:
    tags = {"exception.type": "Declined", "exception.message": "no money", "error": "500"}
    assert said(failed(A, None, "payment", tags=tags)) == ("Declined", "no money")
    assert said(failed(A, None, "payment", tags={"error": "timeout"})) == (None, "timeout")


@pytest.mark.parametrize("nothing", ["", "true", "True", "1", "false", "no", "0"])
def test_an_error_tag_that_only_says_yes_or_no_is_no_message(nothing: str) -> None:
    assert said(failed(A, None, "payment", tags={"error": nothing})) == (None, None)


def test_without_an_error_tag_the_status_of_opentelemetry_says_it() -> None:
    tags = {"otel.status_code": "ERROR", "otel.status_description": "no such card"}
    assert said(failed(A, None, "payment", tags=tags)) == (None, "no such card")
    assert said(failed(A, None, "payment", tags=tags | {"error": "timeout"})) == (None, "timeout")


def test_where_the_span_says_nothing_an_errored_line_of_its_service_does() -> None:
    node = failed(B, A, "payment", kind="CLIENT", tags={"error": "true"})
    failure = errored_line("no answer", spanId=A)
    assert said(failed(A, None, "payment"), node, failure) == (None, "no answer")


@pytest.mark.parametrize(
    ("message", "kind", "shown"),
    [
        ("java.lang.IllegalStateException: no stock\n\tat shop.Stock(S.java:7)", "IllegalStateException", "no stock"),
        ('Exception in thread "main" java.lang.IllegalStateException: no: stock', "IllegalStateException", "no: stock"),
        ("java.lang.IllegalStateException\r\n\tat shop.Stock", "IllegalStateException", None),
        ("could not take\njava.lang.IllegalStateException: no stock\n\tat shop", "IllegalStateException", "no stock"),
    ],
)  # fmt: skip
def test_a_text_with_a_stack_trace_has_its_exception(message: str, kind: str, shown: str | None) -> None:
    assert said(failed(A, None, "payment"), errored_line(message, spanId=A)) == (f"java.lang.{kind}", shown)


@pytest.mark.parametrize(
    "message",
    ["shop.Stock: no stock", "IllegalStateException: no stock", "not java.lang.IllegalStateException: no stock"],
)
def test_other_texts_have_no_exception(message: str) -> None:
    assert said(failed(A, None, "payment"), errored_line(message, spanId=A)) == (None, message)


def test_an_exception_without_a_type_has_that_of_its_stack_trace() -> None:
    exception = {"type": None, "message": None, "stackTrace": "java.io.IOException: disk gone\n\tat shop.Disk"}
    assert said(failed(A, None, "payment"), errored_line("x", spanId=A, exception=exception)) == (
        "java.io.IOException",
        "disk gone",
    )


def test_without_an_errored_span_it_is_the_first_errored_line() -> None:
    first = errored_line("first", spanId=B, timestamp=START)
    later = errored_line("later", "cart", timestamp=START + 1)
    one = origin(later, first, called(A, None, "web"), called(B, A, "payment", name="save", tags={"a": "b"}))
    assert (one.service, one.operation, one.message, one.tags) == ("payment", "save", "first", {"a": "b"})
    assert one.lines == (first,)


def test_an_errored_line_whose_span_is_not_there_has_no_operation() -> None:
    one = origin(errored_line("alone", spanId=MISSING), called(A, None, "payment"))
    assert (one.service, one.operation, one.message) == ("payment", None, "alone")


def test_lines_before_it_of_its_span_and_service_are_shown_with_it() -> None:
    own = line("own", spanId=A, timestamp=START)
    same = line("same service", timestamp=START + 1)
    later = line("later", spanId=A, timestamp=START + 9)
    other = line("other", "shop", spanId=B, timestamp=START + 1)
    failure = errored_line("failed", spanId=A, timestamp=START + 5)
    records = later, other, failure, same, own
    assert origin(failed(A, None, "payment"), *records).lines == (own, same, failure)
    assert origin(called(A, None, "payment"), *records).lines == (own, same, failure)


def test_of_many_lines_the_telling_and_other_errored_ones_are_kept_and_the_nearest_before() -> None:
    before = [line(f"{n}", spanId=A, timestamp=START + n) for n in range(20)]
    failure = errored_line("failed", spanId=A, timestamp=START + 15)
    assert origin(failed(A, None, "payment"), *before, failure).lines == (*before[16 - MOST_LINES + 1 : 16], failure)
    errored = [errored_line(f"{n}", spanId=A, timestamp=START + 20 + n) for n in range(20)]
    telling = errored_line("x", spanId=A, timestamp=START + 99, exception={"type": "X"})
    assert origin(failed(A, None, "payment"), *before, *errored, telling).lines == (*errored[: MOST_LINES - 1], telling)


def test_a_line_that_came_twice_is_errored_if_it_was_so_once() -> None:
    failure, calm = errored_line("failed", id="one"), line("failed", id="one")
    assert origin(failure, calm).lines == origin(calm, failure).lines == (failure,)


def test_a_line_that_came_twice_is_shown_once() -> None:
    failure = errored_line("failed", spanId=A)
    assert origin(failed(A, None, "payment"), failure, failure).lines == (failure,)


@given(st.data(), tangled_trace())
def test_neither_order_nor_repeats_change_the_origin(data: st.DataObject, whole: Trace) -> None:
    assert root_cause_span(data.draw(rearranged(whole))) == root_cause_span(whole)


@given(any_trace())
def test_any_errored_trace_has_an_origin(whole: Trace) -> None:
    errored = any(record["flags"] & ERRORED for record in (*whole["spans"], *whole["logs"]))
    assert (root_cause_span(whole) is not None) == errored


@given(st.integers(1, 6), st.sampled_from(["s0", "s1", "s2"]), st.integers(-(10**9), 10**9))
def test_a_skewed_clock_of_one_service_does_not_change_the_origin(depth: int, skewed: str, skew: int) -> None:
    services = [f"s{number % 3}" for number in range(depth)]
    ids = [f"{number + 1:016x}" for number in range(depth)]
    spans = [failed(one, ids[i - 1] if i else None, services[i], start=i * 10) for i, one in enumerate(ids)]
    # Beside them others that failed, but less deep.
    spans += [failed(f"f{one[1:]}", ids[i - 1] if i else None, "s0", start=i) for i, one in enumerate(ids[:-1])]
    lines = [errored_line(one, service, spanId=one) for one, service in zip(ids, services, strict=True)]
    moved_spans = [
        {**one, "timestamp": (one["timestamp"] or 0) + skew} if one["localEndpoint"] == {"serviceName": skewed} else one
        for one in spans
    ]
    moved_lines = [{**one, "timestamp": one["timestamp"] + skew} if one["service"] == skewed else one for one in lines]
    before, after = origin(*spans, *lines), origin(*moved_spans, *moved_lines)  # type: ignore[arg-type]  # same fields
    assert replace(after, lines=()) == replace(before, lines=())
    assert before.message == ids[-1]


def made_to_fail(name: str, *ids: str) -> list[Span]:
    return [{**one, "flags": ERRORED} if one["id"] in ids else one for one in zipkin_spans(name)]


@needs_shared
def test_in_zipkins_trace_with_a_skewed_clock_it_is_the_called_one_though_it_seems_to_start_first() -> None:
    spans = made_to_fail("skew", "43210ae0c10d1234", "74280ae0c10d8062", "bf396325699c84bf")
    assert (origin(*spans).service, origin(*spans).operation) == ("serviceb", "async")
    spans = made_to_fail("skew", "74280ae0c10d8062", "bf396325699c84bf")
    assert (origin(*spans).service, origin(*spans).operation) == ("serviceb", "post")


@needs_shared
def test_in_zipkins_trace_of_a_message_it_is_the_one_who_takes_it() -> None:
    ids = ["b33447baae403ed6", "05e3ac9a4f6e3b90", "e457b5a2e4d86bd1", "4ad2db84ac76def7"]
    for number, operation in enumerate(["get /", "publish", "next-message", "on-message"], 1):
        assert origin(*made_to_fail("messaging", *ids[:number])).operation == operation
    assert origin(*made_to_fail("messaging", ids[1])).peer is None


@needs_shared
def test_in_zipkins_trace_of_kafka_it_is_the_consumer_that_failed_first_of_the_deepest() -> None:
    one = origin(*zipkin_spans("messaging-kafka"))
    assert (one.service, one.operation, one.message) == ("serviceb", "on-message", "some error")


@needs_shared
def test_in_yelps_trace_of_shared_ids_it_is_the_server_and_for_a_cache_its_client() -> None:
    nodes = "f5f268651b2a2b34", "2e8cfb154b59a41f"
    assert origin(*made_to_fail("yelp", *nodes)).service == "mobile_api"
    assert origin(*made_to_fail("yelp", *nodes, "7a778764a0d0b594")).service == "spectre"
    cache = origin(*made_to_fail("yelp", *nodes, "6a65182ea4f684c3"))
    assert (cache.service, cache.peer) == ("mobile_api", "memcache")
