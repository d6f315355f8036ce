"""Lines of Go's loggers: log, glog and logfmt."""

import pytest

from pipeline.formats.text_lines import parse_text_line
from tests.kit.text_lines import DAY, TIME, TRACE, case

GO = [
    case("2026/11/20 08:15:30 no card", level=None, time="2026/11/20 08:15:30"),
    case("2026/11/20 08:15:30.123 main.go:7: no card", level=None, time="2026/11/20 08:15:30.123", source="main.go:7"),
    case("E1120 08:15:30.123456       1 pay.go:7] no card", time="1120 08:15:30.123456", thread="1", source="pay.go:7"),
    case(
        f'time="{TIME}" level=error msg="no \\"card\\"" order=7 user=',
        None,
        "error",
        msg='no "card"',
        order="7",
        user="",
    ),
    case(
        'ts=7 caller=pay.go:7 msg="no card" msg=again',
        None,
        None,
        None,
        ts="7",
        caller="pay.go:7",
        msg="no card",
        **{"msg'": "again"},
    ),
    case(
        f"{DAY}T08:15:30Z level=error msg=no trace_id={TRACE}",
        None,
        "error",
        f"{DAY}T08:15:30Z",
        msg="no",
        trace_id=TRACE,
    ),
    case(f"{TIME}\tERROR\tno card", "no card"),
    case(
        f"{TIME}\terror\tshop.pay\tpay/main.go:7\tno card\t{{}}",
        "no card\t{}",
        "error",
        logger="shop.pay",
        source="pay/main.go:7",
    ),
    case(f"{TIME}\tERROR\tfailed\t{{}}", "failed\t{}"),
    case(f"{TIME}\tERROR\tno card\tat all", "no card\tat all"),
]


@pytest.mark.parametrize(("line", "expected"), GO)
def test_a_line_of_go_is_read(line: str, expected: dict[str, str]) -> None:
    assert parse_text_line(line) == expected
