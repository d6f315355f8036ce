"""Requests and calls out of spans, and their metrics with bounded labels."""

from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from sinks.elasticsearch.span_metrics import Request, ServiceCall, ServiceMetrics, ServiceMetricsRecorder, observe
from tests.kit.sink_examples import ERRORED, ROOT, new_trace_id, part, span
from tracelink.model.records import Span, Trace

TRACE = new_trace_id()
A, B, C = "00000000000000a1", "00000000000000b2", "00000000000000c3"


def made(*spans: Span) -> Trace:
    return part(spans).trace


def count(books: ServiceMetricsRecorder, trace: Trace) -> None:
    books.count([(trace, observe(trace))])


def of(service: str, span_id: str, kind: str | None, parent: str | None = None, **fields: object) -> Span:
    return span(
        TRACE, span_id, kind=kind, parentId=parent, localEndpoint={"serviceName": service}, name="buy", **fields
    )


def test_requests_are_the_spans_of_those_who_answer() -> None:
    trace = made(
        of("web", A, "CLIENT"), of("shop", B, "SERVER", A, duration=250_000, flags=ERRORED), of("shop", C, None, B)
    )
    assert observe(trace).requests == [Request("shop", "buy", 0.25, errored=True)]


def test_a_call_joins_the_parents_service_and_the_spans_own() -> None:
    trace = made(of("web", A, "CLIENT"), of("shop", B, "SERVER", A, flags=ERRORED))
    assert observe(trace).calls == [ServiceCall("web", "shop", errored=True)]


def test_a_client_and_a_server_that_share_a_span_id_are_one_call() -> None:
    trace = made(of("web", A, "CLIENT", remoteEndpoint={"serviceName": "shop-alias"}), of("shop", A, "SERVER"))
    assert observe(trace).calls == [ServiceCall("web", "shop", errored=False)]


def test_a_call_to_what_sends_no_spans_is_known_by_its_remote_name() -> None:
    trace = made(of("shop", A, "CLIENT", remoteEndpoint={"serviceName": "mysql"}), of("shop", B, "CLIENT"))
    assert observe(trace).calls == [ServiceCall("shop", "mysql", errored=False)]


def test_a_service_that_calls_itself_or_has_no_parent_here_calls_nobody() -> None:
    assert observe(made(of("shop", A, "SERVER", C), of("shop", B, "SERVER", A))).calls == []


def test_spans_without_a_kind_are_requests_where_they_enter_a_service() -> None:
    observed = observe(
        made(of("web", A, None, flags=ROOT), of("web", B, None, A), of("shop", C, None, B, duration=1_000_000))
    )
    assert [(one.service, one.seconds) for one in observed.requests] == [("web", 0.02), ("shop", 1.0)]
    assert observed.calls == [ServiceCall("web", "shop", errored=False)]


def test_durations_carry_the_trace_id_as_exemplar_and_names_are_bounded() -> None:
    registry = CollectorRegistry()
    books = ServiceMetricsRecorder(ServiceMetrics(registry), most=1)
    count(books, made(of("web", A, "CLIENT"), of("shop", B, "SERVER", A, duration=250_000, flags=ERRORED)))
    count(books, made(of("shop", A, "CLIENT"), of("stock", B, "SERVER", A), of("mail", C, "CONSUMER", A)))
    shown = generate_latest(registry).decode()  # type: ignore[no-untyped-call]  # it has no annotations
    assert (
        'tracelink_service_request_duration_seconds_bucket{le="0.25",operation="buy",service="shop"} 1.0'
        f' # {{trace_id="{TRACE.hex()}"}} 0.25'
    ) in shown
    assert 'tracelink_service_failed_requests_total{operation="buy",service="shop"} 1.0' in shown
    assert 'tracelink_service_request_duration_seconds_count{operation="other",service="other"} 2.0' in shown
    assert 'tracelink_service_calls_total{client="web",server="shop"} 1.0' in shown
    assert 'tracelink_service_failed_calls_total{client="web",server="shop"} 1.0' in shown
    assert 'tracelink_service_calls_total{client="other",server="other"} 2.0' in shown
