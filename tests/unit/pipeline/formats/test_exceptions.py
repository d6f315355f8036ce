"""Logged exceptions from JSON values: objects, lists, texts and flags."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats.exceptions import exception_of, read_exception

JAVA = "java.lang.IllegalStateException: no card\n\tat shop.Pay.charge(Pay.java:7)"
FRAME = {"class": "shop.Pay", "method": "charge", "file": "Pay.java", "line": 7}
PYTHON_FRAME = {"filename": "/app/pay.py", "lineno": 7, "name": "charge", "locals": {"x": 1}}
NAMES = (
    "type",
    "message",
    "value",
    "stack",
    "frames",
    "cause",
    "exception",
    "values",
    "exc_type",
    "lineno",
    "filename",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(NAMES) | st.text(), inner),
    max_leaves=15,
)


def found(value: object) -> tuple[str | None, str | None, str | None]:
    one = exception_of(value)
    assert one is not None
    return one.get("type"), one.get("message"), one.get("stackTrace")


@pytest.mark.parametrize(
    "value",
    [
        None, False, True, 0, 1, 0.0, "", " ", "false", "null", "None", "<nil>", "{}", "[]", "NoneType: None", {}, [],
        [None], [{}], ["", ""], {"type": None, "message": "", "stack": []}, {"exception": {}}, {"code": 7},
    ],
)  # fmt: skip
def test_flags_and_empty_values_are_no_exception(value: object) -> None:
    assert exception_of(value) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("pool is closed", (None, "pool is closed", None)),
        ("rpc error: code = Unavailable", (None, "rpc error: code = Unavailable", None)),
        ("ValueError: no card", ("ValueError", "no card", None)),
        (JAVA, ("java.lang.IllegalStateException", "no card", JAVA)),
        (f"cannot charge\n{JAVA}", ("java.lang.IllegalStateException", "no card", f"cannot charge\n{JAVA}")),
        ("cannot: a.b.CException: no", ("a.b.CException", "cannot: a.b.CException: no", None)),
        (404, (None, "404", None)),
        (["pool is closed", "no card"], (None, "pool is closed\nno card", None)),
        (JAVA.split("\n"), ("java.lang.IllegalStateException", "no card", JAVA)),
        ([f"{line}\n" for line in JAVA.split("\n")], ("java.lang.IllegalStateException", "no card", JAVA)),
    ],
)
def test_a_text_or_its_lines_is_a_message_or_a_stack_trace(value: object, expected: tuple[str | None, ...]) -> None:
    assert found(value) == expected


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ({"type": "TypeError", "message": "no card", "stack": "TypeError: no card"}, "TypeError", "no card"),
        ({"name": "TypeError", "message": "no card", "code": 7}, "TypeError", "no card"),
        ({"kind": "TypeError", "message": "no card", "stack": "at charge"}, "TypeError", "no card"),
        ({"class": "Refused", "message": "no card"}, "Refused", "no card"),
        ({"ClassName": "Shop.Refused", "Message": "no card", "HResult": -2}, "Shop.Refused", "no card"),
        ({"Type": "Shop.Refused", "Message": "no card", "StackTrace": "   at Shop.Pay()"}, "Shop.Refused", "no card"),
        ({"exceptionType": "shop.Refused", "message": "no card", "refId": 1}, "shop.Refused", "no card"),
        ({"exception_class": "shop.Refused", "exception_message": "no card"}, "shop.Refused", "no card"),
        (
            {"errorType": "TypeError", "errorMessage": "no card", "trace": ["TypeError: no card"]},
            "TypeError",
            "no card",
        ),
        ({"type": "ValueError", "value": "no card", "traceback": True}, "ValueError", "no card"),
        ({"exc_type": "ValueError", "exc_value": 7}, "ValueError", "7"),
        ({"type": "Refused", "message": {"card": 7}}, "Refused", '{"card": 7}'),
        ({"type": "", "name": "Refused", "message": None, "msg": "no card"}, "Refused", "no card"),
        ({"message": "ValueError: no card"}, "ValueError", "no card"),
        ({"stack_trace": JAVA}, "java.lang.IllegalStateException", "no card"),
        ({"stackTrace": JAVA.split("\n"), "message": "charge"}, "java.lang.IllegalStateException", "charge"),
        ({"exception": {"class": "Refused", "message": "no card"}}, "Refused", "no card"),
        ({"values": [{"type": "KeyError", "value": "a"}, {"type": "Refused", "value": "b"}]}, "Refused", "b"),
        ([{"exc_type": "Refused", "exc_value": "b"}, {"exc_type": "KeyError", "is_cause": True}], "Refused", "b"),
    ],
)
def test_an_object_has_type_and_message_under_any_loggers_names(value: object, kind: str, message: str) -> None:
    assert found(value)[:2] == (kind, message)


@pytest.mark.parametrize(
    ("value", "trace"),
    [
        ({"type": "a.B", "message": "no", "frames": [FRAME]}, "a.B: no\n\tat shop.Pay.charge(Pay.java:7)"),
        ({"type": "a.B", "stepArray": [{"className": "a.C", "methodName": "d"}]}, "a.B\n\tat a.C.d()"),
        ({"type": "a.B", "stack": [{"func": "charge", "line": "7", "source": "pay.go"}]}, "a.B\n\tat charge(pay.go:7)"),
        ({"type": "B", "trace": ["/app/Pay.php:7", "/app/x.php:9"]}, "/app/Pay.php:7\n/app/x.php:9"),
        ({"type": "a.B", "stack": [FRAME | {"exact": True}]}, 'a.B\n\tat shop.Pay.charge(Pay.java:7) {"exact": true}'),
        (
            {"type": "E", "value": "no", "stacktrace": {"frames": [PYTHON_FRAME]}},
            'Traceback (most recent call last):\n  File "/app/pay.py", line 7, in charge {"locals": {"x": 1}}\nE: no',
        ),
        ([FRAME], "\tat shop.Pay.charge(Pay.java:7)"),
    ],
)
def test_frames_are_printed_one_a_line_with_all_that_they_say(value: object, trace: str) -> None:
    assert found(value)[2] == trace


@pytest.mark.parametrize(
    ("fields", "trace"),
    [
        (
            {"stack": "a.B: no\n\tat c", "cause": {"name": "a.C", "message": "closed"}},
            "a.B: no\n\tat c\nCaused by: a.C: closed",
        ),
        ({"InnerException": {"Type": "a.C", "StackTrace": "   at D"}}, "a.B: no\nCaused by: a.C\n   at D"),
        ({"previous": {"class": "a.C", "previous": {"class": "a.D"}}}, "a.B: no\nCaused by: a.C\nCaused by: a.D"),
        (
            {"causedBy": {"exception": {"exceptionType": "a.C", "frames": [FRAME]}}},
            "a.B: no\nCaused by: a.C\n\tat shop.Pay.charge(Pay.java:7)",
        ),
        ({"cause": "pool is closed"}, "a.B: no\nCaused by: pool is closed"),
        (
            {"stack": "a.B: no\nCaused by: a.C: closed", "cause": {"type": "a.C", "message": "closed"}},
            "a.B: no\nCaused by: a.C: closed",
        ),
    ],
)
def test_causes_stand_behind_the_trace_once(fields: dict[str, Any], trace: str) -> None:
    assert found({"type": "a.B", "message": "no"} | fields) == ("a.B", "no", trace)


def test_the_fields_that_the_exception_does_not_contain_are_returned() -> None:
    value = {"type": "a.B", "msg": "no", "code": 7, "none": None, "cause": {"type": "a.C", "errno": 5}}
    assert read_exception(value)[1] == {"code": 7, "cause.errno": 5}
    assert read_exception({"exception": {"type": "a.B", "code": 7}, "order": 9})[1] == {"order": 9, "code": 7}


def test_an_object_of_many_causes_does_not_end_the_process() -> None:
    value: dict[str, Any] = {"type": "a.B"}
    for _ in range(500):
        value = {"type": "a.B", "cause": value}
    assert "a.B" in (found(value)[2] or "")


@given(JSON)
def test_no_value_raises_and_an_exception_says_something(value: object) -> None:
    one = exception_of(value)
    assert one is None or any(one.values())


@given(JSON, JSON, JSON)
def test_a_usable_message_is_never_lost(kind: object, stack: object, cause: object) -> None:
    value = {"type": kind, "message": "no such card", "stack": stack, "cause": cause}
    assert found(value)[1] == "no such card"
