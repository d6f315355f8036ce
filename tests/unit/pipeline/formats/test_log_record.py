"""JSON log lines as records."""

from collections.abc import Mapping

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.log_record import parse_log
from tracelink.model.codec import LOG_RECORD
from tracelink.model.records import NO_TRACE, ErrorRule, Flag, LogRecord

LEAST = {"@timestamp": "2023-01-29T09:22:08.552459062Z", "message": "hello"}
TRACE = "a0d80a44d4465d537f863d6ff77acfc8"
SPAN = "2faef23d4095627f"


def parse(line: Mapping[str, object]) -> LogRecord:
    return parse_log(line, "f-1", ErrorRule())


ECS = {
    **LEAST,
    "log.level": "error",
    "log.logger": "a.c.UserController",
    "service.name": "auth",
    "trace.id": TRACE,
    "span.id": "2faef23d4095627f",
    "error.type": "KeyError",
    "error.message": "'x'",
    "error.stack_trace": "Traceback…",
    "k8s.pod.name": "auth-1",
}
NESTED = {
    **LEAST,
    "log": {"level": "error", "logger": "a.c.UserController"},
    "service": {"name": "auth"},
    "trace": {"id": TRACE},
    "span": {"id": "2faef23d4095627f"},
    "error": {"type": "KeyError", "message": "'x'", "stack_trace": "Traceback…"},
    "k8s": {"pod": {"name": "auth-1"}},
}
PLAIN = {
    "time": 1_674_984_128.552459,
    "msg": "hello",
    "severity": "ERROR",
    "logger": "a.c.UserController",
    "service": "auth",
    "traceId": TRACE.upper(),
    "span_id": "2FAEF23D4095627F",
    "exception.type": "KeyError",
    "error": "'x'",
    "stack": "Traceback…",
    "k8s.pod.name": "auth-1",
}


@pytest.mark.parametrize("line", [ECS, NESTED, PLAIN])
def test_ecs_dotted_ecs_nested_and_plain_names_give_the_same_record(line: dict[str, object]) -> None:
    assert parse(line) == {
        "flags": Flag.ERROR,
        "traceId": bytes.fromhex(TRACE),
        "id": "f-1",
        "spanId": "2faef23d4095627f",
        "timestamp": 1_674_984_128_552_459,
        "service": "auth",
        "level": "ERROR",
        "logger": "a.c.UserController",
        "message": "hello",
        "exception": {"type": "KeyError", "message": "'x'", "stackTrace": "Traceback…"},
        "fields": {"k8s.pod.name": "auth-1"},
    }


@pytest.mark.parametrize(
    "trace", [{}, {"trace_id": None}, {"trace_id": ""}, {"otelTraceID": "0"}, {"trace.id": "0" * 32}]
)
def test_a_line_without_a_trace_is_no_error(trace: dict[str, object]) -> None:
    record = parse({**LEAST, **trace})
    assert record["traceId"] == NO_TRACE
    assert record["fields"] == {}


def test_a_trace_id_that_is_none_leaves_the_line_without_a_trace_and_stays_a_field() -> None:
    record = parse({**LEAST, "trace_id": "projects/p/traces/1", "span_id": "?"})
    assert (record["traceId"], record["spanId"]) == (NO_TRACE, None)
    assert record["fields"] == {"trace_id": "projects/p/traces/1", "span_id": "?"}


@pytest.mark.parametrize(
    ("fields", "trace_id", "span_id", "kept"),
    [
        ({"TraceId": TRACE, "SpanId": SPAN}, TRACE, SPAN, {}),
        ({"mdc": {"traceId": TRACE, "spanId": SPAN}}, TRACE, SPAN, {}),
        ({"extra": {"trace_id": TRACE, "user": "u"}}, TRACE, None, {"extra.user": "u"}),
        ({"record": {"extra": {"trace_id": TRACE}}}, TRACE, None, {}),
        ({"span": {"name": "charge", "trace_id": TRACE}}, TRACE, None, {"span.name": "charge"}),
        ({"x-b3-traceid": TRACE, "x-b3-spanid": SPAN}, TRACE, SPAN, {}),
        ({"_trace_id": TRACE, "_span_id": SPAN}, TRACE, SPAN, {}),
        ({"@tr": TRACE, "@sp": SPAN}, TRACE, SPAN, {}),
        ({"otel.trace_id": TRACE}, TRACE, None, {}),
        ({"ctx": {"trace": {"id": TRACE}}}, TRACE, None, {}),
        ({"a": {"headers": {"X-B3-TraceId": TRACE}}}, TRACE, None, {}),
        ({"traceparent": f"00-{TRACE}-{SPAN}-01"}, TRACE, SPAN, {"traceparent": f"00-{TRACE}-{SPAN}-01"}),
        ({"trace_id": f"0x{TRACE}"}, TRACE, None, {"trace_id": f"0x{TRACE}"}),
        ({"trace_id": "", "traceId": TRACE}, TRACE, None, {}),
        ({"trace_id": "req-7", "otelTraceID": TRACE}, TRACE, None, {"trace_id": "req-7"}),
        (
            {"dd": {"trace_id": "255", "span_id": "16"}},
            f"{255:032x}",
            f"{16:016x}",
            {"dd.trace_id": "255", "dd.span_id": "16"},
        ),
        ({"dd.trace_id": 255}, f"{255:032x}", None, {"dd.trace_id": "255"}),
        (
            {"statement": f"select 1 /*traceparent='00-{TRACE}-{SPAN}-01'*/"},
            TRACE,
            SPAN,
            {"statement": f"select 1 /*traceparent='00-{TRACE}-{SPAN}-01'*/"},
        ),
    ],
)
def test_ids_are_found_under_any_name_and_another_spelling_stays_a_field(
    fields: dict[str, object], trace_id: str, span_id: str | None, kept: dict[str, str]
) -> None:
    record = parse({**LEAST, **fields})
    assert (record["traceId"].hex(), record["spanId"], record["fields"]) == (trace_id, span_id, kept)


def test_the_ids_in_a_list_of_scopes_are_found_and_the_list_stays_a_field() -> None:
    record = parse({**LEAST, "Scopes": [{"RequestPath": "/"}, {"TraceId": TRACE, "SpanId": SPAN}]})
    assert (record["traceId"].hex(), record["spanId"]) == (TRACE, SPAN)
    assert orjson.loads(record["fields"]["Scopes"])[1]["TraceId"] == TRACE


def test_the_ids_in_a_list_of_keys_and_values_are_found() -> None:
    record = parse({**LEAST, "contextMap": [{"key": "traceId", "value": TRACE}, {"key": "user", "value": "u"}]})
    assert record["traceId"].hex() == TRACE


def test_a_number_that_is_no_id_of_datadogs_is_left_alone() -> None:
    record = parse({**LEAST, "trace_id": 6603237610001450838})
    assert (record["traceId"], record["fields"]) == (NO_TRACE, {"trace_id": "6603237610001450838"})


def test_a_trace_id_of_64_bits_is_marked_so() -> None:
    assert parse({**LEAST, "traceId": "48485a3953bb6124"})["flags"] == Flag.SHORT_ID


@pytest.mark.parametrize(
    ("fields", "level", "kept"),
    [
        ({"level": "error"}, "ERROR", {}),
        ({"level": "wrn"}, "WARN", {"level": "wrn"}),
        ({"level": "ERROR+2"}, "ERROR", {"level": "ERROR+2"}),
        ({"level": 30}, "INFO", {"level": "30"}),
        ({"level": "50.0"}, "ERROR", {"level": "50.0"}),
        ({"level": 7}, None, {"level": "7"}),
        ({"level": 4, "severity": "error"}, "ERROR", {"level": "4"}),
        ({"level": 400, "level_name": "ERROR"}, "ERROR", {"level": "400", "level_name": "ERROR"}),
        ({"level": {"name": "ERROR", "no": 40}}, "ERROR", {"level.name": "ERROR", "level.no": "40"}),
        ({"version": "1.1", "host": "h", "level": 3}, "ERROR", {"version": "1.1", "host": "h", "level": "3"}),
        ({"@l": "Error"}, "ERROR", {}),
        ({"level": "audit"}, "AUDIT", {}),
        ({"level": "audit", "severity": "info"}, "INFO", {"level": "audit"}),
        ({"status": "500"}, None, {"status": "500"}),
        ({"status": 500}, None, {"status": "500"}),
        ({"status": "error"}, "ERROR", {}),
        ({"status": "paid"}, None, {"status": "paid"}),
        ({"priority": "high"}, None, {"priority": "high"}),
        ({"level": True}, None, {"level": "true"}),
        ({"level": ""}, None, {"level": ""}),
    ],
)
def test_a_level_has_one_word_and_what_it_does_not_say_stays_a_field(
    fields: dict[str, object], level: str | None, kept: dict[str, str]
) -> None:
    record = parse({**LEAST, **fields})
    assert (record["level"], record["fields"]) == (level, kept)
    assert bool(record["flags"] & Flag.ERROR) is (level == "ERROR")


@pytest.mark.parametrize(
    ("fields", "micros"),
    [
        ({"time": "12.5ms", "ts": 1_674_984_128.552459}, 1_674_984_128_552_459),
        ({"time": 0.023, "ts": 1_674_984_128.552459}, 1_674_984_128_552_459),
        ({"date": "2023-01-29", "time": "09:22:08.552459"}, 1_674_984_128_552_459),
        ({"date": "29.01.2023", "time": "09:22:08.552459"}, 1_674_984_128_552_459),
        ({"date": "2023-01-29"}, 1_674_950_400_000_000),
        ({"timestamp": {"seconds": 1_674_984_128, "nanos": 552_459_000}}, 1_674_984_128_552_459),
        ({"t": {"$date": "2023-01-29T09:22:08.552459Z"}}, 1_674_984_128_552_459),
        ({"__REALTIME_TIMESTAMP": "1674984128552459"}, 1_674_984_128_552_459),
    ],
)
def test_the_first_usable_time_counts(fields: dict[str, object], micros: int) -> None:
    assert parse({"message": "x", **fields})["timestamp"] == micros


def test_a_line_without_a_time_has_the_time_that_it_is_given() -> None:
    assert parse_log({"message": "x"}, "f-1", ErrorRule(), otherwise=7)["timestamp"] == 7
    assert parse_log({"message": "x", "time": "3ms"}, "f-1", ErrorRule(), otherwise=7)["timestamp"] == 7


@pytest.mark.parametrize(
    ("fields", "message", "kept"),
    [
        ({"msg": "hello"}, "hello", {}),
        ({"short_message": "hello", "full_message": "hello\nworld"}, "hello", {"full_message": "hello\nworld"}),
        ({"fields": {"message": "hello"}}, "hello", {}),
        ({"message": {"action": "charge"}}, '{"action":"charge"}', {}),
        ({"body": {"stringValue": "hello"}}, "hello", {}),
        ({"MESSAGE": [104, 105]}, "hi", {}),
        ({"message": 7}, "7", {}),
        ({"message": " ", "msg": "hello"}, "hello", {"message": " "}),
        ({"@mt": "of {Order:000} {Who}", "Order": 7}, "of 7 {Who}", {"@mt": "of {Order:000} {Who}", "Order": "7"}),
        ({"path": "/cart", "code": 503}, '{"path":"/cart","code":503}', {"path": "/cart", "code": "503"}),
        ({"request": "GET / HTTP/1.1", "code": 503}, "GET / HTTP/1.1", {"code": "503"}),
    ],
)
def test_a_message_is_found_under_any_name_or_made_of_the_fields(
    fields: dict[str, object], message: str, kept: dict[str, str]
) -> None:
    record = parse({"ts": 1_674_984_128, **fields})
    assert (record["message"], record["fields"]) == (message, kept)


def test_a_message_made_of_many_fields_is_cut() -> None:
    assert len(parse({"ts": 1_674_984_128, **{f"f{number}": number for number in range(999)}})["message"]) == 513


@pytest.mark.parametrize(
    ("fields", "service", "logger"),
    [
        ({"dd.service": "pay"}, "pay", None),
        ({"resource": {"attributes": {"service.name": "pay"}}}, "pay", None),
        ({"serviceContext": {"service": "pay", "version": "1"}}, "pay", None),
        ({"ServiceName": "pay", "Category": "Shop.Pay"}, "pay", "Shop.Pay"),
        ({"service": {"name": "pay"}, "target": "pay::db"}, "pay", "pay::db"),
        ({"name": "pay"}, None, "pay"),
        ({"user": {"name": "pay"}}, None, None),
        ({"extra": {"name": "pay", "time": "x", "level": "x"}}, None, None),
    ],
)
def test_services_and_loggers_are_found_and_names_of_other_things_are_not(
    fields: dict[str, object], service: str | None, logger: str | None
) -> None:
    record = parse({**LEAST, **fields})
    assert (record["service"], record["logger"]) == (service, logger)


@pytest.mark.parametrize(
    ("fields", "exception", "kept"),
    [
        (
            {"err": {"name": "E", "message": "m", "stack": "E: m\n    at f (a.js:1)"}},
            ("E", "m", "E: m\n    at f (a.js:1)"),
            {},
        ),
        (
            {"context": {"exception": {"class": "E", "message": "m", "code": 7}}},
            ("E", "m", None),
            {"context.exception.code": "7"},
        ),
        ({"error.class": "E", "error.message": "m", "error.stack": "at f"}, ("E", "m", "at f"), {}),
        (
            {"error.stack_trace": ["java.io.IOException: m", "\tat a.B.c(B.java:7)"]},
            ("java.io.IOException", "m", "java.io.IOException: m\n\tat a.B.c(B.java:7)"),
            {},
        ),
        ({"@x": "System.E: m\n   at F()"}, ("System.E", "m", "System.E: m\n   at F()"), {}),
        ({"error": "'x'"}, (None, "'x'", None), {}),
        ({"error": False}, None, {"error": "false"}),
        ({"error": {}}, None, {"error": "{}"}),
        ({"stack": [], "errors": []}, None, {"stack": "[]", "errors": "[]"}),
    ],
)
def test_exceptions_of_any_shape_are_found_and_flags_are_none(
    fields: dict[str, object], exception: tuple[str | None, ...] | None, kept: dict[str, str]
) -> None:
    record = parse({**LEAST, **fields})
    found = record["exception"]
    assert (found and (found["type"], found["message"], found["stackTrace"])) == exception
    assert record["fields"] == kept


def test_a_stack_trace_behind_the_message_becomes_the_exceptions() -> None:
    stack = "java.lang.IllegalStateException: no card\n\tat shop.Pay.charge(Pay.java:7)"
    record = parse({**LEAST, "message": f"charge failed\n{stack}"})
    assert record["message"] == "charge failed"
    assert record["exception"] == {"type": "java.lang.IllegalStateException", "message": "no card", "stackTrace": stack}


def test_every_other_field_keeps_its_name_and_what_is_no_string_its_json_text() -> None:
    record = parse(
        {**LEAST, "n": 1, "b": False, "list": [1, {"a": None}], "http": {"request": {"method": "GET"}}, "null": None}
    )
    assert record["fields"] == {"n": "1", "b": "false", "list": '[1,{"a":null}]', "http.request.method": "GET"}


def test_a_second_name_for_the_same_thing_stays_a_field() -> None:
    record = parse({**LEAST, "msg": "other", "time": "soon"})
    assert record["message"] == "hello"
    assert record["fields"] == {"msg": "other", "time": "soon"}


def test_a_name_in_both_forms_loses_neither() -> None:
    assert parse({**LEAST, "a.b": 1, "a": {"b": 2}})["fields"] == {"a.b": "1", "a.b'": "2"}


def test_without_a_message_the_exceptions_message_is_taken() -> None:
    assert parse({"ts": 1_674_984_128, "error": {"message": "boom"}})["message"] == "boom"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ([], "no object"),
        ("text", "no object"),
        ({"message": "x"}, "no time"),
        ({"time": "yesterday", "message": "x"}, "time"),
        ({"time": "Jan 29 09:22:08", "message": "x"}, "time"),
    ],
)
def test_what_is_no_line_is_refused(line: object, reason: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_log(line, "f-1", ErrorRule())
    assert refused.value.reason == reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [
        "time",
        "level",
        "message",
        "service",
        "trace_id",
        "span_id",
        "error",
        "stack",
        "log",
        "x",
        "x.y",
        "name",
        "dd",
        "Scopes",
        "mdc",
        "exception",
        "@mt",
        "date",
        "status",
        "t",
    ]
)


@given(st.dictionaries(NAMES, JSON, max_size=8))
def test_any_json_object_is_refused_or_encodes_whole(more: dict[str, object]) -> None:
    try:
        record = parse(orjson.loads(orjson.dumps({**LEAST, **more})))
    except InvalidInput:
        return
    decoded = LOG_RECORD.decode(LOG_RECORD.encode(record))
    assert (decoded["message"], decoded["fields"]) == (record["message"], record["fields"])


@given(st.integers(1, 1200))
def test_deep_nesting_is_kept_or_refused_and_never_breaks(depth: int) -> None:
    value: object = 1
    for _ in range(depth):
        value = {"a": value}
    try:
        fields = parse({**LEAST, "deep": value})["fields"]
    except InvalidInput:
        return
    assert len(fields) == 1
