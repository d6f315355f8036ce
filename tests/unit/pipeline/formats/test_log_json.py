"""JSON log lines as records."""

from collections.abc import Mapping

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.log_json import parse_log
from tracelink.model.codec import LOG_RECORD
from tracelink.model.records import NO_TRACE, ErrorRule, Flag, LogRecord

LEAST = {"@timestamp": "2023-01-29T09:22:08.552459062Z", "message": "hello"}
TRACE = "a0d80a44d4465d537f863d6ff77acfc8"


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


def test_a_trace_id_of_64_bits_is_marked_so() -> None:
    assert parse({**LEAST, "traceId": "48485a3953bb6124"})["flags"] == Flag.SHORT_ID


@pytest.mark.parametrize(
    ("level", "expected", "errored"),
    [
        ("warn", "WARN", False),
        ("critical", "CRITICAL", True),
        (30, "INFO", False),
        (50, "ERROR", True),
        (7, "7", False),
    ],
)
def test_levels_are_upper_case_and_numbered_ones_get_their_name(
    level: object,
    expected: str,
    errored: bool,  # noqa: FBT001 - a table's column
) -> None:
    record = parse({**LEAST, "level": level})
    assert record["level"] == expected
    assert bool(record["flags"] & Flag.ERROR) is errored


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
    assert parse({"ts": 1, "error": {"message": "boom"}})["message"] == "boom"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ([], "no object"),
        ("text", "no object"),
        ({"message": "x"}, "no time"),
        ({"time": "yesterday", "message": "x"}, "time"),
        ({"time": 1}, "no message"),
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
    ["time", "level", "message", "service", "trace_id", "span_id", "error", "stack", "log", "x", "x.y"]
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
