"""Records of a file's lines."""

from collections.abc import Iterable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.log_lines import LogLine, read_log_lines
from pipeline.formats.log_record import LineReader
from tracelink.model.codec import LOG_RECORD
from tracelink.model.records import ErrorRule

HELLO = b'{"message":"hello"}'
TRACE = "a0d80a44d4465d537f863d6ff77acfc8"
STACK = [
    "java.lang.IllegalStateException: no card",
    "\tat shop.Pay.charge(Pay.java:7)",
    "Caused by: x.Y: z",
    "\t... 3 more",
]


def read(text: bytes) -> list[LogLine]:
    return list(read_log_lines(text.splitlines(keepends=True)))


def messages(text: bytes) -> list[object]:
    """Return the message of each record, and the reason of each refusal."""
    return [
        found.entry.reason if isinstance(found.entry, InvalidInput) else found.entry.fields.get("message")
        for found in read(text)
    ]


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (HELLO + b"\n" + HELLO, [(1, ()), (2, ())]),
        (HELLO + b"\r\n\r\n" + HELLO + b"\r\n", [(1, ()), (3, ())]),
        (HELLO + HELLO + b"\n" + HELLO, [(1, (0,)), (1, (1,)), (2, ())]),
        (HELLO + b",\n" + HELLO + b",\n", [(1, ()), (2, ())]),
        (b"[" + HELLO + b"," + HELLO + b"]", [(1, (0,)), (1, (1,))]),
        (b"[\n" + HELLO + b",\n" + HELLO + b"\n]\n", [(2, ()), (3, ())]),
        (b"[" + HELLO + b",\n" + HELLO + b",\n" + HELLO + b"]\n", [(1, ()), (2, ()), (3, ())]),
        (b'{\n  "message": "hello"\n}\n{\n  "message":\n  "hello"\n}\n', [(1, ()), (4, ())]),
        (b'[\n  {\n    "message": "hello"\n  },\n  {\n    "message": "hello"\n  }\n]', [(2, ()), (5, ())]),
        (b"\0\0\0" + HELLO + b"\n", [(1, ())]),
        (b"\x1e" + HELLO + b"\n\x1e" + HELLO, [(1, ()), (2, ())]),
        (HELLO + b"\n\xef\xbb\xbf" + HELLO, [(1, ()), (2, ())]),
        (b'{"logEvents":[' + HELLO + b"," + HELLO + b"]}", [(1, (0,)), (1, (1,))]),
    ],
)
def test_json_is_read_in_any_arrangement(text: bytes, places: list[tuple[int, tuple[int, ...]]]) -> None:
    assert [(found.number, found.position) for found in read(text)] == places
    assert set(messages(text)) == {"hello"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"message":"cut o\n' + HELLO + b"\n", ["no JSON", "hello"]),
        (b'{\n  "message": "cut off"\n' + HELLO, ["no JSON", "hello"]),
        (b'{\n  "message": "cut off",\n  "size": 7,\n  "ok": [\n    true,\n  {\n', ["no JSON"]),
        (b'{"message":"cut o\nerror b\n\tat c.D.e(F.java:1)\ng\n', ["no JSON", "error b\n\tat c.D.e(F.java:1)", "g"]),
        (
            b'{starting\n[main] a\n[2026-11-20 08:15:30] b\n"c d\n' + HELLO,
            ["no JSON", "[main] a", "b", '"c d', "hello"],
        ),
        (b'[{"message":"cut o\n' + HELLO + b"\na\n", ["no JSON", "hello", "a"]),
        (b'2026-11-20T08:15:30.2Z stdout F {"a":"cut\n2026-11-20T08:15:30.3Z stdout F b\n', ["no JSON", "b"]),
        (b"{'message': 'of Python'}\n" + HELLO, ["no JSON", "hello"]),
        (b"7\n" + HELLO, ["7", "hello"]),
        (b"[7]\n" + HELLO, ["no object", "hello"]),
        (b'{"a":1} and more\n' + HELLO, ["no JSON", "hello"]),
        (b'{"traceId":"a","id":"b","name":"x","duration":1}\n', ["span"]),
        (b'{"resourceSpans":[]}\n', ["span"]),
        (b'{"data":[{"spans":[]}]}\n', ["span"]),
    ],
)
def test_a_broken_value_is_refused_alone(text: bytes, expected: list[str]) -> None:
    assert messages(text) == expected


def test_a_stack_trace_belongs_to_the_line_of_text_before_it() -> None:
    text = "\n".join(["charge failed", *STACK, "charged"]).encode()
    assert messages(text) == ["\n".join(["charge failed", *STACK]), "charged"]
    assert [found.number for found in read(text)] == [1, 6]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"2026-11-20T08:15:30.2Z stdout F " + HELLO, ["hello"]),
        (b"2026-11-20T08:15:30.2Z stderr F plain", ["plain"]),
        (
            (
                b'2026-11-20T08:15:30.2Z stdout P {"message":\n2026-11-20T08:15:30.2Z stderr F other\n'
                b'2026-11-20T08:15:30.3Z stdout F "hello"}\n'
            ),
            ["other", "hello"],
        ),
        (b"2026-11-20T08:15:30.2Z stdout P cut o\n", ["cut o"]),
    ],
)
def test_the_lines_of_a_container_runtime_are_joined_by_stream(text: bytes, expected: list[str]) -> None:
    assert sorted(map(str, messages(text))) == sorted(expected)


def test_the_parts_of_a_long_line_of_docker_are_joined_by_stream() -> None:
    parts = [("stdout", '{"message":'), ("stderr", "other\n"), ("stdout", '"hello"}\n'), ("stdout", "cut o")]
    lines = [
        orjson.dumps({"log": part, "stream": stream, "time": "2026-11-20T08:15:30Z"}) + b"\n" for stream, part in parts
    ]
    assert messages(b"".join(lines)) == ["other", "hello", "cut o"]


def test_a_container_runtimes_time_may_have_bytes_that_are_no_utf8() -> None:
    (found,) = read(b"2026-11-20T08:15:30\xc3 stdout F plain\n")
    assert not isinstance(found.entry, InvalidInput)
    assert found.entry.time == "2026-11-20T08:15:30\ufffd"


def test_a_container_runtimes_time_counts_where_the_line_has_none() -> None:
    (found,) = read(b"2026-11-20T08:15:30.2Z stdout F plain\n")
    assert not isinstance(found.entry, InvalidInput)
    assert (found.entry.time, found.entry.fields["stream"]) == ("2026-11-20T08:15:30.2Z", "stdout")


def test_the_log_records_of_opentelemetrys_json_are_lines() -> None:
    request = {
        "resourceLogs": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "pay"}}]},
                "scopeLogs": [
                    {
                        "scope": {"name": "shop.pay"},
                        "logRecords": [
                            {
                                "timeUnixNano": "1674984128552459000",
                                "severityNumber": 17,
                                "body": {"stringValue": "charge failed"},
                                "traceId": TRACE,
                                "spanId": "L67yPUCVYn8=",
                                "attributes": [
                                    {"key": "n", "value": {"intValue": "7"}},
                                    {"key": "list", "value": {"arrayValue": {"values": [{"boolValue": True}]}}},
                                    {"key": "map", "value": {"kvlistValue": {"values": []}}},
                                    {"key": "raw", "value": {"bytesValue": "AP8="}},
                                    {"key": "odd", "value": {"arrayValue": {"values": [{"doubleValue": "NaN"}]}}},
                                    {"key": "none"},
                                ],
                            },
                            {
                                "observedTimeUnixNano": "1674984128552459000",
                                "timeUnixNano": "0",
                                "body": {"stringValue": "x"},
                            },
                        ],
                    }
                ],
            }
        ]
    }
    first, second = read(orjson.dumps(request))
    assert (first.position, second.position) == ((0,), (1,))
    reader = LineReader(ErrorRule(), 0)
    assert not isinstance(first.entry, InvalidInput)
    assert not isinstance(second.entry, InvalidInput)
    record = reader.read(first.entry, "f-1-0")
    assert record["traceId"].hex() == TRACE
    assert (record["spanId"], record["level"], record["service"]) == ("2faef23d4095627f", "ERROR", "pay")
    assert (record["logger"], record["message"], record["timestamp"]) == (
        "shop.pay",
        "charge failed",
        1_674_984_128_552_459,
    )
    assert record["fields"] == {
        "severityNumber": "17",
        "attributes.n": "7",
        "attributes.list": "[true]",
        "attributes.map": "{}",
        "attributes.raw": "00ff",
        "attributes.odd": '["NaN"]',
    }
    assert reader.read(second.entry, "f-1-1")["timestamp"] == 1_674_984_128_552_459


LINES = st.sampled_from(
    [
        HELLO, b'{"a":', b"}", b"[", b"]", b"{", b",", b"text", b"\tat x", b"", b'{"log":"x\\n","stream":"stdout"}',
        b"\xff\xfe", b"2026-11-20T08:15:30Z stdout P x", b"2026-11-20T08:15:30Z stdout F y", b"{'a': 1}",
        b'{"resourceLogs":[7,{"scopeLogs":[{"logRecords":[{}]}]}]}', b'app | {"message":"x","level":"info"}',
        b'{"message":"{\\"msg\\":\\"x\\",\\"ts\\":1}"}',
    ]
)  # fmt: skip


@given(st.lists(LINES | st.binary(max_size=40), max_size=12))
def test_any_file_is_read_and_each_record_of_it_encodes_or_is_refused(lines: Iterable[bytes]) -> None:
    reader = LineReader(ErrorRule(), 1)
    for found in read_log_lines(line + b"\n" for line in lines):
        if isinstance(found.entry, InvalidInput):
            continue
        try:
            record = reader.read(found.entry, "f-1")
        except InvalidInput:
            continue
        assert LOG_RECORD.decode(LOG_RECORD.encode(record))["message"] == record["message"]


@given(st.lists(st.integers(0, 9), max_size=20), st.sampled_from(["\n", "\r\n", ",\n", "\n\n"]))
def test_a_second_reading_gives_the_same_records_at_the_same_places(values: list[int], separator: str) -> None:
    text = separator.join(f'{{"message":"{value}"}}' for value in values).encode()
    assert messages(text) == [str(value) for value in values]
    assert read(text) == read(text)
