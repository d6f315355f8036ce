"""Lines of the logs of web servers and databases."""

import pytest

from pipeline.formats.text_lines import parse_text_line
from tests.kit.text_lines import CLOCK, DAY, TIME, TRACE, case

CLF = "20/Nov/2026:08:15:30 +0000"
GET = {"method": "GET", "path": "/a?b=c", "protocol": "HTTP/1.1", "status": "502"}
SERVERS = [
    case(
        f'10.0.0.7 - - [{CLF}] "GET /a?b=c HTTP/1.1" 502 15',
        "GET /a?b=c HTTP/1.1 502",
        None,
        CLF,
        bytes="15",
        **GET,
        **{"client.ip": "10.0.0.7"},
    ),
    case(
        f'::1 - bob lee [{CLF}] "GET /a?b=c HTTP/1.1" 502 - "http://x" "a (\\"b\\")" "10.0.0.9" 0.12',
        "GET /a?b=c HTTP/1.1 502",
        None,
        CLF,
        user="bob lee",
        referrer="http://x",
        user_agent='a (\\"b\\")',
        extra='"10.0.0.9" 0.12',
        **GET,
        **{"client.ip": "::1"},
    ),
    case(
        f'shop:80 web.shop - - [{CLF}] "GET /a?b=c HTTP/1.1" 502 15 "-" "-" rt=0.1 trace_id={TRACE}',
        "GET /a?b=c HTTP/1.1 502",
        None,
        CLF,
        vhost="shop:80",
        bytes="15",
        rt="0.1",
        trace_id=TRACE,
        **GET,
        **{"client.ip": "web.shop"},
    ),
    case(
        f'10.0.0.7 - - [{CLF}] "\\x16\\x03" 400 0',
        "\\x16\\x03 400",
        None,
        CLF,
        status="400",
        bytes="0",
        **{"client.ip": "10.0.0.7"},
    ),
    case(
        '2026/11/20 08:15:30 [error] 7#9: *1 no card, client: 10.0.0.7, server: shop, request: "GET / HTTP/1.1"',
        level="error",
        time="2026/11/20 08:15:30",
        thread="9",
        connection="1",
        server="shop",
        request="GET / HTTP/1.1",
        **{"process.pid": "7", "client.ip": "10.0.0.7"},
    ),
    case(
        "2026/11/20 08:15:30 [notice] 7#7: no card",
        level="notice",
        time="2026/11/20 08:15:30",
        thread="7",
        **{"process.pid": "7"},
    ),
    case(
        "[Fri Nov 20 08:15:30.123456 2026] [core:error] [pid 7:tid 9] (13)Denied: [client 10.0.0.7:5] no",
        "(13)Denied: no",
        "error",
        "Fri Nov 20 08:15:30.123456 2026",
        logger="core",
        thread="9",
        **{"process.pid": "7", "client.ip": "10.0.0.7", "client.port": "5"},
    ),
    case(
        "[Fri Nov 20 08:15:30 2026] [error] [client ::1] no card",
        level="error",
        time="Fri Nov 20 08:15:30 2026",
        **{"client.ip": "::1"},
    ),
    case(f"{TIME} UTC [7] ERROR:  no card", time=f"{TIME} UTC", **{"process.pid": "7"}),
    case(f"{TIME} UTC [7] shop@db ERROR:  no card", time=f"{TIME} UTC", user="shop@db", **{"process.pid": "7"}),
    case(
        f"{TIME} UTC:10.0.0.7(5432):u@d:[7]:ERROR:  no card",
        time=f"{TIME} UTC",
        user="u",
        database="d",
        **{"process.pid": "7", "client.ip": "10.0.0.7", "client.port": "5432"},
    ),
    case(
        f'[{DAY}T{CLOCK}Z] "GET /a?b=c HTTP/1.1" 502 UF 0 91 57 - "10.0.0.7" "curl/8"',
        "GET /a?b=c HTTP/1.1 502",
        None,
        f"{DAY}T{CLOCK}Z",
        extra='UF 0 91 57 - "10.0.0.7" "curl/8"',
        **GET,
    ),
    case(
        '[GIN] 2026/11/20 - 08:15:30 | 502 |   1.2ms |      10.0.0.7 | GET      "/a"',
        "GET /a 502",
        None,
        "2026/11/20 08:15:30",
        status="502",
        duration="1.2ms",
        method="GET",
        path="/a",
        **{"client.ip": "10.0.0.7"},
    ),
]


@pytest.mark.parametrize(("line", "expected"), SERVERS)
def test_a_line_of_a_server_is_read(line: str, expected: dict[str, str]) -> None:
    assert parse_text_line(line) == expected
