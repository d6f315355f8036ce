"""Headers of the layouts of Java's, Python's, Rust's, .NET's and Ruby's loggers."""

import pytest

from pipeline.formats.text_lines import parse_text_line
from tests.kit.text_lines import CLOCK, DAY, IDS, SPAN, TIME, TRACE, case

PAY = {"logger": "shop.Pay", "thread": "main"}
BOOT = {"logger": "shop.Pay", "thread": "exec-1", "process.pid": "1"}
JAVA = [
    case(f"{TIME} [main] ERROR shop.Pay - no card", **PAY),
    case(f"{CLOCK} [main] ERROR shop.Pay - no card - again", "no card - again", time=CLOCK, **PAY),
    case(f"{TIME} [http-nio-[::]:80] WARN  s.Pay -- no", "no", "WARN", logger="s.Pay", thread="http-nio-[::]:80"),
    case(f"{TIME} ERROR [main] shop.Pay - no card", **PAY),
    case(f"{TIME} ERROR shop.Pay:7 - no card", logger="shop.Pay:7"),
    case(f"{TIME} [main] ERROR shop.Pay [traceId={TRACE}, spanId={SPAN}, user=] - no card", user="", **IDS, **PAY),
    case(f"{TIME} [main] [trace_id={TRACE} span_id={SPAN} user=7] ERROR shop.Pay - no card", user="7", **IDS, **PAY),
    case(f"{TIME} [main] ERROR shop.Pay trace_id={TRACE} span_id={SPAN} - no card", **IDS, **PAY),
    case(f"{TIME} [main] ERROR shop.Pay - trace_id={TRACE}, span_id={SPAN} - no card", "no card", **IDS, **PAY),
    case(f"{TIME} [main] [{TRACE}] [{SPAN}] ERROR shop.Pay - no card", **IDS, **PAY),
    case(f"{TIME} [main] [{TRACE[16:]}] [{SPAN}] ERROR shop.Pay - no", "no", trace_id=TRACE[16:], span_id=SPAN, **PAY),
    case(f"{TIME} [{TRACE},{SPAN}] [main] ERROR shop.Pay - no card", **IDS, **PAY),
    case(f"{TIME} [TID:a12.45.678] [main] ERROR shop.Pay - no card", trace_id="a12.45.678", **PAY),
    case(f"{TIME} [TID: N/A] [main] ERROR shop.Pay - no card", TID="N/A", **PAY),
    case(f"{TIME} ERROR 1 --- [exec-1] shop.Pay                : no card", **BOOT),
    case(f"{TIME} ERROR [pay,{TRACE},{SPAN}] 1 --- [exec-1] shop.Pay : no card", service="pay", **IDS, **BOOT),
    case(
        f"{TIME} ERROR [pay,{TRACE},{SPAN},true] 1 --- [  exec-1] shop.Pay : a : b",
        "a : b",
        service="pay",
        exportable="true",
        **IDS,
        **BOOT,
    ),
    case(f"{TIME} ERROR [pay,,] 1 --- [exec-1] shop.Pay : no card", service="pay", **BOOT),
    case(f"{TIME} ERROR [,{TRACE},{SPAN}] 1 --- [exec-1] shop.Pay : no card", **IDS, **BOOT),
    case(
        f"{DAY}T{CLOCK}+01:00 ERROR 1 --- [exec-1] [{TRACE}-{SPAN}] shop.Pay : no card",
        time=f"{DAY}T{CLOCK}+01:00",
        **IDS,
        **BOOT,
    ),
    case(f"{TIME} ERROR 1 --- [pay] [exec-1] [{TRACE}-{SPAN}] shop.Pay : no card", service="pay", **IDS, **BOOT),
    case(f"{TIME} ERROR 1 --- [pay] [exec-1] [                ] shop.Pay : no card", service="pay", **BOOT),
    case(f"{TIME} ERROR [shop.Pay] (main) no card", **PAY),
    case(
        f"{TIME} ERROR traceId={TRACE}, parentId=, spanId={SPAN}, sampled=true [shop.Pay] (main) no card",
        parentId="",
        sampled="true",
        **IDS,
        **PAY,
    ),
    case(
        f"{CLOCK} ERROR  s.Pay#415 TraceID: {TRACE} SpanID: {SPAN} [no][card]",
        "[no][card]",
        time=CLOCK,
        logger="s.Pay#415",
        **IDS,
    ),
    case(
        f"{CLOCK} ERROR o.C.[.[.[d]#175 TraceID: {TRACE} SpanID: {SPAN} no card",
        time=CLOCK,
        logger="o.C.[.[.[d]#175",
        **IDS,
    ),
    case(
        f"20-Nov-2026 {CLOCK} SEVERE [main] org.shop.Pay.start no card",
        level="SEVERE",
        time=f"20-Nov-2026 {CLOCK}",
        logger="org.shop.Pay.start",
        thread="main",
    ),
    case("Nov 20, 2026 8:15:30 AM shop.Pay charge", "shop.Pay charge", None, "Nov 20, 2026 8:15:30 AM"),
    case("SEVERE: no card", level="SEVERE", time=None),
    case(
        f"[{DAY}T08:15:30,123][ERROR][o.e.n.Node   ] [node-1] no card",
        "[node-1] no card",
        time=f"{DAY}T08:15:30,123",
        logger="o.e.n.Node",
    ),
    case(
        f"[{TIME}] ERROR [Broker id=1] no card (kafka.KafkaServer)", "[Broker id=1] no card", logger="kafka.KafkaServer"
    ),
    case(f"{TIME} [myid:1] - INFO  [main@123] - no card", level="INFO", source="myid:1", thread="main@123"),
    case(f"ERROR [{TIME}] shop.Pay: no card", logger="shop.Pay"),
    case(" WARN [main] shop.Pay - no card", level="WARN", time=None, **PAY),
]
PYTHON = [
    case(
        f"{DAY} 08:15:30,123 - pay.db - ERROR - no card - again",
        "no card - again",
        time=f"{DAY} 08:15:30,123",
        logger="pay.db",
    ),
    case(f"{TIME} - ERROR - pay - no card", logger="pay"),
    case("ERROR:pay.db:no card", time=None, logger="pay.db"),
    case("ERROR:root:no: card", "no: card", time=None, logger="root"),
    case(
        f"{TIME} ERROR [pay] [pay.py:7] [trace_id={TRACE} span_id={SPAN} service.name=p sampled=True] - no card",
        logger="pay",
        source="pay.py:7",
        service="p",
        sampled="True",
        **IDS,
    ),
    case(
        f"{TIME} ERROR [pay] [pay.py:7] [dd.service=p dd.trace_id=7 dd.span_id=9] - no card",
        logger="pay",
        source="pay.py:7",
        **{"dd.service": "p", "dd.trace_id": "7", "dd.span_id": "9"},
    ),
    case(f"{TIME} | ERROR    | pay:charge:7 - no card", logger="pay:charge:7"),
    case(f"[{DAY} 08:15:30 +0100] [7] [ERROR] no card", time=f"{DAY} 08:15:30 +0100", thread="7"),
    case(f"[{TIME}: ERROR/Worker-1] no card", thread="Worker-1"),
    case(f"ERROR {TIME} views 7 140 no card", "views 7 140 no card"),
    case('INFO:     10.0.0.7:5 - "GET / HTTP/1.1" 200 OK', '10.0.0.7:5 - "GET / HTTP/1.1" 200 OK', "INFO", None),
]
UUID = "6bdb73cb-aaaa-d82d-e7c4-ca622575c8ca"
OTHERS = [
    case(f"{TIME}Z\t{UUID}\tERROR\tno\tcard", "no\tcard", time=f"{TIME}Z", **{"request.id": UUID}),
    case(f"[{UUID}] Started GET", "Started GET", None, None, **{"request.id": UUID}),
    case(
        f"[dd.trace_id=7 dd.span_id=9] [{UUID}] no card",
        f"[dd.trace_id=7 dd.span_id=9] [{UUID}] no card",
        None,
        None,
        **{"dd.trace_id": "7", "dd.span_id": "9"},
    ),
    case(f"[{TRACE}] no card", level=None, time=None, trace_id=TRACE),
    case(
        f"E, [{DAY}T08:15:30.123456 #7] ERROR -- pay: no card",
        time=f"{DAY}T08:15:30.123456",
        logger="pay",
        **{"process.pid": "7"},
    ),
    case(
        f"I, [{DAY}T08:15:30 #7]  INFO -- : [{UUID}] no",
        "no",
        "INFO",
        f"{DAY}T08:15:30",
        **{"request.id": UUID, "process.pid": "7"},
    ),
    case(f"[{DAY}T08:15:30Z ERROR pay::db] no card", time=f"{DAY}T08:15:30Z", logger="pay::db"),
    case(
        f"{DAY}T08:15:30.1Z ERROR pay::db: no card order=7",
        "no card order=7",
        time=f"{DAY}T08:15:30.1Z",
        logger="pay::db",
    ),
    case(f"{DAY}T08:15:30.1Z ERROR pay: no card", time=f"{DAY}T08:15:30.1Z", logger="pay"),
    case(
        f"{DAY}T08:15:30.1Z ERROR req{{m=GET id=7}}:charge: pay::db: no card",
        time=f"{DAY}T08:15:30.1Z",
        logger="pay::db",
        span="req{m=GET id=7}:charge",
    ),
    case(
        f"\x1b[2m{DAY}T08:15:30.1Z\x1b[0m \x1b[31mERROR\x1b[0m \x1b[2mpay\x1b[0m\x1b[2m:\x1b[0m no card",
        time=f"{DAY}T08:15:30.1Z",
        logger="pay",
    ),
    case(f"[{TIME}+00:00] app.ERROR: no card [] []", "no card [] []", time=f"{TIME}+00:00", logger="app"),
    case("fail: Shop.Pay[0]\n      no card", "      no card", time=None, logger="Shop.Pay", **{"event.id": "0"}),
    case(
        f"fail: Shop.Pay[7]\n      => SpanId:{SPAN}, TraceId:{TRACE}, x\n      no",
        f"      => SpanId:{SPAN}, TraceId:{TRACE}, x\n      no",
        time=None,
        logger="Shop.Pay",
        **IDS,
        **{"event.id": "7"},
    ),
    case(f"{TIME} +00:00 [ERR] no card", level="ERR", time=f"{TIME} +00:00"),
    case("[08:15:30 ERR] no card", level="ERR", time="08:15:30"),
    case("error: no card", level="error", time=None),
    case(f"{TIME} error: no card", level="error"),
    case(f"TraceID: {TRACE} SpanID: {SPAN} no card", level=None, time=None, **IDS),
    case(f"no card (traceId={TRACE})", f"no card (traceId={TRACE})", None, None, trace_id=TRACE),
    case("no card dd.trace_id=7", "no card dd.trace_id=7", None, None, **{"dd.trace_id": "7"}),
    case(f"{TIME} ERROR java.io.IOException: no card", "java.io.IOException: no card"),
    case(f"{TIME} ERROR Failed: no card", "Failed: no card"),
    case(f"{TIME} ERROR Failed [{TRACE}-{SPAN}] to pay", f"Failed [{TRACE}-{SPAN}] to pay"),
    case(f"{TIME} ERROR pay [{TRACE}-{SPAN}] - no card", logger="pay", **IDS),
    case(f"{TIME} [main] ERROR shop.Pay - - no card", "- no card", **PAY),
    case(f"{TIME} ERROR [main] no card", "[main] no card"),
    case(f"{TIME} [main] starting", "[main] starting", None),
    case(f"{TIME} ERROR shop.Pay - no card\n\tat shop.Pay", "no card\n\tat shop.Pay", logger="shop.Pay"),
    case(f"{TIME} ERROR shop.Pay - no card\r", logger="shop.Pay"),
]


@pytest.mark.parametrize(("line", "expected"), JAVA + PYTHON + OTHERS)
def test_the_header_of_a_layout_is_read(line: str, expected: dict[str, str]) -> None:
    assert parse_text_line(line) == expected
