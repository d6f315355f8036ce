"""Lines of syslog."""

import pytest

from pipeline.formats.text_lines import parse_text_line
from tests.kit.text_lines import DAY, case

HOST = {"host.name": "web-1", "service": "pay", "process.pid": "7"}
PRIORITY = {"log.syslog.priority": "27"}
SYSLOG = [
    case("<27>Nov 20 08:15:30 web-1 pay[7]: no card", time="Nov 20 08:15:30", **HOST, **PRIORITY),
    case("Nov  2 08:15:30 web-1 pay[7]: no card", level=None, time="Nov  2 08:15:30", **HOST),
    case("<27>Nov 20 08:15:30 pay: no card", time="Nov 20 08:15:30", service="pay", **PRIORITY),
    case(f"{DAY}T08:15:30.123456+00:00 web-1 pay[7]: no card", level=None, time=f"{DAY}T08:15:30.123456+00:00", **HOST),
    case("<27>no card", time=None, **PRIORITY),
    case(
        '<27>1 2026-11-20T08:15:30Z web-1 pay 7 ID47 [a@1 iut="3" q="\\"x\\]"][b@2] \ufeffno card',
        time="2026-11-20T08:15:30Z",
        **HOST,
        **PRIORITY,
        **{"log.syslog.version": "1", "log.syslog.msgid": "ID47", "a@1.iut": "3", "a@1.q": '"x]', "b@2": ""},
    ),
    case("<27>1 - - pay - - - no card", time=None, service="pay", **PRIORITY, **{"log.syslog.version": "1"}),
]


@pytest.mark.parametrize(("line", "expected"), SYSLOG)
def test_a_line_of_syslog_is_read(line: str, expected: dict[str, str]) -> None:
    assert parse_text_line(line) == expected
