"""Text lines: those without a layout, nothing lost, linear time, and lines that continue a record."""

import re
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats import line_header
from pipeline.formats.text_lines import is_continuation, parse_text_line
from pipeline.formats.usual_layouts import usual_header
from tests.kit.text_lines import CLOCK, DAY, SPAN, TIME, TRACE


@pytest.mark.parametrize(
    "line",
    [
        "",
        "no card",
        "x=5",
        "No card: 7",
        "FINE WORK",
        "LOG in",
        "Error: no card",
        "{not json",
        "[7] no card",
        "7 cards",
        "2026-99 x",
        "<999>x",
        "at 08:15:30 o'clock",
        "select=1 from cards",
        "\x00",
        "===",
        "TID",
        "[",
    ],
)
def test_a_line_without_a_layout_is_its_message(line: str) -> None:
    assert parse_text_line(line) == {"message": line}


PIECES = (
    TIME,
    CLOCK,
    f"{DAY}T08:15:30Z",
    "2026/11/20 08:15:30",
    "[",
    "]",
    "[main]",
    " ERROR ",
    "INFO:",
    "error: ",
    " - ",
    " : ",
    ": ",
    "shop.Pay",
    "pay::db",
    f"traceId={TRACE}",
    f"TraceID: {TRACE} ",
    f"[pay,{TRACE},{SPAN}]",
    f"[{TRACE}-{SPAN}]",
    "a=b ",
    "--- ",
    "7 ",
    "(main) ",
    '"',
    "GET / HTTP/1.1",
    "[20/Nov/2026:08:15:30 +0000]",
    "<27>",
    "<27>1 ",
    "Nov 20 08:15:30 ",
    "web-1 pay[7]: ",
    "E1120 08:15:30.1 ",
    "fail: X[0]",
    "{a=b}",
    "|",
    "no card",
    ",",
    "=",
    "@",
    "é",
    "\t",
)
LINES = st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=12).map("".join))


@given(LINES)
def test_no_text_raises_and_no_word_of_a_line_is_lost(line: str) -> None:
    found = parse_text_line(line)
    assert found
    kept = "\x00".join([*found, *found.values()])
    if not line.startswith(("E1120", "fail: ")) and "fail: " not in line and "\\" not in line and "\x1b" not in line:
        for word in re.findall(r"[A-Za-z0-9_]+", line):
            assert word in kept or word.lower() in {"service", "name", "resource"} or word.lower().endswith("id")


@given(
    time=st.sampled_from([TIME, CLOCK, f"{DAY}T{CLOCK}Z"]),
    pieces=st.lists(
        st.sampled_from(
            [
                "[main]",
                "[http-1]",
                "ERROR",
                "INFO",
                f"[{TRACE}]",
                f"[{SPAN}]",
                f"[traceId={TRACE}, spanId={SPAN}]",
                "[pay,,]",
                "1 ---",
                "[a.py:7]",
                "[user=7]",
                "shop.Pay",
                "-",
                "- shop.Pay -",
                "- ERROR -",
                "- INFO - ",
                ":",
                "[WARN]",
                "no card",
                f"trace_id={TRACE}",
                "[]",
            ]
        ),
        max_size=9,
    ),
)
def test_the_fast_path_reads_as_the_grammar_does(time: str, pieces: list[str]) -> None:
    line = " ".join([time, *pieces])
    quick = usual_header(line)
    if quick is not None:
        match = line_header.TIME.match(line)
        assert match
        found = {"time": match[0]}
        start = line_header.read_header(line, match.end(), found)
        assert quick | {"message": quick["message"].strip()} == found | {"message": line[start:].strip()}


@pytest.mark.parametrize(
    "piece", [*PIECES, "a.", "a:", "[[", "[a", "\x1b[", "(", "a@", ", client: ", " [x", '\\"', "a{", "x::", "race"]
)
def test_a_line_is_read_in_linear_time(piece: str) -> None:
    for before in (
        "",
        f"{TIME} ERROR ",
        f"[{TIME} ",
        "10.0.0.7 - - ",
        "<27>1 ",
        "a=b ",
        "[Fri Nov",
        "ERROR ",
        "2026/11/20 08:15:30 [error] 7#9: ",
    ):
        line = before + piece * 20_000
        started = process_time()
        parse_text_line(line)
        is_continuation(line)
        assert process_time() - started < 1


@pytest.mark.parametrize(
    "line",
    [
        "",
        "\tat shop.Pay.charge(Pay.java:7)",
        "    at f (pay.js:7)",
        "Caused by: java.io.IOException: x",
        "\t... 12 more",
        "\tSuppressed: a.B",
        "Traceback (most recent call last):",
        '  File "pay.py", line 7, in charge',
        "KeyError: 'card'",
        "shop.errors.Refused: no card",
        "java.lang.IllegalStateException: no card",
        "java.lang.NullPointerException",
        "During handling of the above exception, another exception occurred:",
        "goroutine 1 [running]:",
        "main.main()",
        "main.(*Pay).charge(0xc000010000, 0x1)",
        "\t/app/main.go:7 +0x1d",
        "created by main.main",
        "#0 /app/Pay.php(7): charge()",
        "Stack trace:",
        "note: run with `RUST_BACKTRACE=1`",
        "   at Shop.Pay.Charge()",
        " ---> System.Exception: x",
        "      no card",
    ],
)
def test_lines_of_a_stack_trace_and_indented_ones_continue_a_record(line: str) -> None:
    assert is_continuation(line)


@pytest.mark.parametrize(
    "line",
    [
        f"{TIME} [main] ERROR shop.Pay - no card",
        "no card",
        "ERROR:pay:ValueError: no",
        " WARN [main] shop.Pay - x",
        "panic: no card",
        '{"a": 1}',
        "level=error msg=x",
        "[main] Error",
        "SEVERE: no card",
        "[2026-11-20] x",
        '10.0.0.7 - - [20/Nov/2026:08:15:30 +0000] "GET / HTTP/1.1" 502 15',
        "I, [2026-11-20T08:15:30 #7] INFO -- : x",
    ],
)
def test_a_line_of_a_layout_begins_a_record(line: str) -> None:
    assert not is_continuation(line)
