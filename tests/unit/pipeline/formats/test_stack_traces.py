"""Exceptions in texts: traces of each runtime, and exceptions named in a line."""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats.stack_traces import exception_of_text, named_exception

JAVA = "java.lang.IllegalStateException: no such card\n\tat shop.Pay.charge(Pay.java:7)"
PYTHON = "Traceback (most recent call last):\n  File \"pay.py\", line 7, in charge\n    pay()\nKeyError: 'card'"
GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "pay.py", line 7, in <module>
  | ExceptionGroup: two cards (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "pay.py", line 3, in charge
    | ValueError: no such card
    +------------------------------------"""


def said(text: str) -> tuple[str | None, str | None] | None:
    found = exception_of_text(text)
    return None if found is None else (found.get("type"), found.get("message"))


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (JAVA, "java.lang.IllegalStateException", "no such card"),
        (JAVA.replace("\n", "\r\n"), "java.lang.IllegalStateException", "no such card"),
        (
            f"{JAVA}\nCaused by: java.io.IOException: closed\n\t... 12 more",
            "java.lang.IllegalStateException",
            "no such card",
        ),
        (f'Exception in thread "main" {JAVA}', "java.lang.IllegalStateException", "no such card"),
        ("java.lang.NullPointerException\n\tat shop.Pay.charge(Pay.java:7)", "java.lang.NullPointerException", None),
        ("shop.CardRefused: no card\n\tat shop.Pay.charge(Pay.kt:7)", "shop.CardRefused", "no card"),
        (
            "shop.Pay$Refused: no card\n\tat java.base/java.lang.Thread.run(Thread.java:1)",
            "shop.Pay$Refused",
            "no card",
        ),
        ("Caused by: java.io.IOException: closed\n\t... 12 more", "java.io.IOException", "closed"),
        ("cannot charge\nCaused by: java.io.IOException: closed", "java.io.IOException", "closed"),
        ("java.io.IOException: two\nlines: of it\n\tat shop.Pay.charge(Pay.java)", "java.io.IOException", "two"),
        (PYTHON, "KeyError", "'card'"),
        (PYTHON.replace("KeyError: 'card'", "shop.errors.Refused"), "shop.errors.Refused", None),
        (f"{PYTHON}\n\nDuring handling …:\n\n{PYTHON.replace('KeyError', 'RuntimeError')}", "RuntimeError", "'card'"),
        (PYTHON.partition("KeyError")[0], None, None),
        (GROUP, "ExceptionGroup", "two cards (2 sub-exceptions)"),
        ("System.TimeoutException: no answer\n   at Shop.Pay.Charge()", "System.TimeoutException", "no answer"),
        (
            "Unhandled exception. Shop.Refused: no\n   at Shop.Pay.<Run>d__1.MoveNext() in /app/Pay.cs:line 7",
            "Shop.Refused",
            "no",
        ),
        (
            "System.Net.Sockets.SocketException (111): refused\n   at A.B[C](D e)",
            "System.Net.Sockets.SocketException",
            "refused",
        ),
        ("Shop.PayException: no\n ---> System.IO.IOException: closed\n   at A.B()", "Shop.PayException", "no"),
        ("Shop.PayException: no ---> System.IO.IOException: closed\n   at A.B()", "Shop.PayException", "no"),
        ("TypeError: no card\n    at charge (pay.js:7)", "TypeError", "no card"),
        ("Error: no card\n    at /app/pay.js:7:3", "Error", "no card"),
        ("Error\n    at new Pay (/app/pay.js:7:3)", "Error", None),
        ("Error [ERR_CLOSED]: closed\n    at async Promise.all (index 0)", "Error", "closed"),
        ("Uncaught CardRefused: no card\n    at Object.<anonymous> (pay.js:7:3)", "CardRefused", "no card"),
        ("panic: no card\n\ngoroutine 1 [running]:\nmain.main()\n\t/app/main.go:7 +0x1d", "panic", "no card"),
        ("panic: first [recovered]\n\tpanic: second\n\ngoroutine 1 [running]:", "panic", "second"),
        ("http: panic serving 10.0.0.7:81: no card\ngoroutine 7 [running]:", "panic", "no card"),
        ("fatal error: deadlock!\n\ngoroutine 1 [chan receive]:", "fatal error", "deadlock!"),
        ("panic: no card", "panic", "no card"),
        ("thread 'main' panicked at src/main.rs:7:5:\nno card\nnote: run with", "panic", "no card"),
        ("thread 'main' panicked at 'no card', src/main.rs:7:5\nnote: run with", "panic", "no card"),
        ("pay.rb:7:in `charge': no card (Shop::Refused)\n\tfrom pay.rb:9:in `<main>'", "Shop::Refused", "no card"),
        ("Shop::Refused (no card (7)):\n  \napp/pay.rb:7:in 'Pay#charge'", "Shop::Refused", "no card (7)"),
        ("RuntimeError: no card\n\tpay.rb:7:in 'Pay#charge'", "RuntimeError", "no card"),
        (
            "PHP Fatal error:  Uncaught App\\Refused: no card in /app/Pay.php:7\nStack trace:\n#0 {main}",
            "App\\Refused",
            "no card",
        ),
        (
            "Uncaught exception 'Refused' with message 'no card' in /a.php:7\nStack trace:\n#0 {main}",
            "Refused",
            "no card",
        ),
        ("PHP Fatal error:  Uncaught Refused: no card in /app/Pay.php:7", "Refused", "no card"),
        ("Refused: no card in hand in /app/Pay.php:7\nStack trace:\n#0 {main}", "Refused", "no card in hand"),
        ('x {"exception":"[object] (Refused(code: 7): no at /a.php:7)\n[stacktrace]\n#0 {main}"}', "Refused", "no"),
        ("** (RuntimeError) no card\n    (app 0.1.0) lib/pay.ex:7: Pay.charge/1", "RuntimeError", "no card"),
        ("java.net.ConnectException: Connection refused", "java.net.ConnectException", "Connection refused"),
        (
            "Cannot pay: java.net.ConnectException: Connection refused",
            "java.net.ConnectException",
            "Connection refused",
        ),
        ("Cannot pay [cause: java.io.IOException: closed] now", "java.io.IOException", "closed"),
        ("shop.errors.CardError: no card", "shop.errors.CardError", "no card"),
        ("Shop::CardError: no card", "Shop::CardError", "no card"),
        ("org.hibernate.AssertionFailure: null id", "org.hibernate.AssertionFailure", "null id"),
        ("failed; nested exception is shop.Refused: no card", "shop.Refused", "no card"),
        (
            "[failed; nested exception is shop.Refused: no [card] left] with root cause",
            "shop.Refused",
            "no [card] left",
        ),
        ("[failed; nested exception is shop.Refused] with root cause", "shop.Refused", None),
        ("a; nested exception is b.C: c; nested exception is d.E: innermost", "d.E", "innermost"),
    ],
)
def test_the_exception_in_a_text_is_found(text: str, kind: str | None, message: str | None) -> None:
    assert said(text) == (kind, message)
    assert said(f"charge failed\n{text}") == (kind, message)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "charged order 7",
        "two\nlines",
        "we met\n  at the station\n  at noon: lunch",
        "select *\n  from cards\n where error: 1",
        "Error: no card",
        "CardError: no card",
        "handleError: called",
        "an Error occurred in pay",
        "No Exception here: fine",
        "panic mode is off",
        "INFO goroutine 7 started",
    ],
)
def test_an_ordinary_text_has_no_exception(text: str) -> None:
    assert exception_of_text(text) is None


@pytest.mark.parametrize(
    "trace", [JAVA, PYTHON, GROUP, "panic: no\n\ngoroutine 1 [running]:\n", "a.b.CException: x\n\n\tat d.e(F)"]
)
def test_the_trace_is_the_end_of_the_text(trace: str) -> None:
    found = exception_of_text(f"charge of order 7 failed\n{trace}")
    assert found is not None
    assert found.get("stackTrace") == trace


def test_a_line_names_an_exception_only_with_a_name_of_a_class_that_says_so() -> None:
    assert named_exception("shop.CardError: no card") == {
        "type": "shop.CardError",
        "message": "no card",
        "stackTrace": None,
    }
    assert named_exception("CardError: no card") == {"type": "CardError", "message": "no card", "stackTrace": None}
    assert named_exception("shop.Card: no card") is None
    assert named_exception("Error: no card") is None


PIECES = (
    "Traceback (most recent call last):", "\n", "\n\tat ", "\n   at ", "\n... 3 more", "\nCaused by: ", "a.b.C",
    "Error", "Exception", ": ", "panic: ", "\ngoroutine 1", "panicked at ", "'", "\n#0 ", "Uncaught ", "[object] (",
    "(code: ", ")", "nested exception is ", "] ", ":in `", "** (", " in /a:7", "\n  | ", " ---> ", "::", "\\", "/", "$",
    "\r", "\x00", "é",
)  # fmt: skip


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join)))
def test_no_text_raises_and_a_trace_is_always_its_end(text: str) -> None:
    found = exception_of_text(text)
    if found is not None:
        assert text.endswith(found.get("stackTrace") or "")
        assert any(found.values())


@pytest.mark.parametrize(
    "piece", [*PIECES, "a.", "A::", "a.b.C: ", "a(", "x: a.b.c.", " at ", " in ", "\n\tat a", "at a:"]
)
def test_a_text_is_read_in_linear_time(piece: str) -> None:
    for before in ("Error: ", "Exception\n", "Traceback (most recent call last)\n", "\n#0 Uncaught ", "\ngoroutine "):
        started = process_time()
        exception_of_text(before + piece * 30_000)
        assert process_time() - started < 1
