"""What the demo shows, on made-up metrics and traces."""

from io import StringIO

from rich.console import Console

from producers.demo.errored import ErroredTrace, TraceLinks, lines
from producers.demo.figures import Samples, figures
from producers.demo.load import Answered, Load
from producers.demo.view import View
from tests.kit.records import log, span, trace_id
from tracelink.model.records import Trace

_GATEWAY = """
# TYPE tracelink_gateway_requests counter
tracelink_gateway_requests_total{protocol="otlp",status="200"} 30
tracelink_gateway_requests_total{protocol="zipkin",status="202"} 12
# TYPE tracelink_gateway_written_records counter
tracelink_gateway_written_records_total{kind="span",protocol="otlp"} 1300
"""
_JOIN = """
# TYPE tracelink_join_records counter
tracelink_join_records_total{kind="spans",partition="0"} 9
tracelink_join_records_total{kind="spans",partition="1"} 1200
tracelink_join_records_total{kind="logs",partition="1"} 6
# TYPE tracelink_join_parts counter
tracelink_join_parts_total{partition="0",reason="IDLE"} 2
# TYPE tracelink_join_errored_traces counter
tracelink_join_errored_traces_total{partition="0"} 1
# TYPE tracelink_join_read_lag_messages gauge
tracelink_join_read_lag_messages{kind="spans",partition="0"} 3
# TYPE tracelink_join_dead_letters counter
tracelink_join_dead_letters_total{partition="0",reason="key"} 1
"""
_ALERTS = """
# TYPE tracelink_alerts_raised counter
tracelink_alerts_raised_total{event="NEW"} 4
tracelink_alerts_raised_total{event="RESOLVED"} 1
# TYPE tracelink_alerts_known_problems gauge
tracelink_alerts_known_problems 7
"""
_SINK = """
# TYPE tracelink_sink_parts counter
tracelink_sink_parts_total{outcome="written",sink="zipkin"} 2
tracelink_sink_parts_total{outcome="duplicate",sink="zipkin"} 1
# TYPE tracelink_sink_records counter
tracelink_sink_records_total{kind="span",outcome="dead_letter",sink="zipkin"} 4
# TYPE tracelink_sink_committed_lag_messages gauge
tracelink_sink_committed_lag_messages{partition="0",sink="zipkin",topic="tracelink.traces"} 5
"""


def shown(*, terminal: bool) -> str:
    load = Load()
    load.answered += [Answered("a", failed=False), Answered("b", failed=True)]
    load.unanswered.append("refused")
    console = Console(file=StringIO(), force_terminal=terminal, width=120, highlight=False)
    with View(console, "logs are there") as view:
        for second in range(4):
            gateway, join, alerts, sink = (Samples(one) for one in (_GATEWAY, _JOIN, _ALERTS, _SINK))
            view.show(figures(load, gateway, join, alerts, {"zipkin": sink}), float(second))
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue()


def test_a_terminal_shows_the_figures_of_every_stage() -> None:
    text = shown(terminal=True)
    for figure in (
        "3 requests",
        "1 failed, 1 unanswered",
        "42 requests",
        "1,300 spans and log lines",
        "1,209 spans, 6 log lines",
        "2 parts of traces, 0 open, 1 errored",
        "7 problems",
        "4 new, 1 resolved",
        "2 written, 1 duplicate",
        "logs are there",
    ):
        assert figure in text


def test_elsewhere_it_is_a_line_now_and_then() -> None:
    assert shown(terminal=False) == (
        "3 requests, 1 failed; 1,300 records through the gateway; 1,209 spans, 6 log lines; "
        "2 parts of traces, 1 errored, lag 3; "
        "7 problems; zipkin 2 written, lag 5; 5 dead letters\n"
    )


def test_an_errored_trace_is_said_with_its_pages() -> None:
    failed = span(7, errored=True, localEndpoint={"serviceName": "payment"}, name="POST /charges", id="a" * 16)
    line = log(7, errored=True, spanId="a" * 16, exception={"type": "GatewayError", "message": "no answer"})
    trace = Trace(
        flags=1, traceId=trace_id(7), name="part", opened=0, closed=0, reason="IDLE", spans=[failed], logs=[line]
    )
    text = f"{7:032x}"
    said = lines(ErroredTrace.of(trace), TraceLinks("http://page:7070", "http://zipkin:9411"))
    assert said == [
        "payment POST /charges: GatewayError: no answer",
        f"page    http://page:7070/traces/{text}",
        f"Zipkin  http://zipkin:9411/zipkin/traces/{text}",
    ]
