"""Trace ids, and which record is errored."""

import pytest

from tracelink.model.records import ErrorRule, Flag, error_tag, parse_trace_id, print_trace_id


@pytest.mark.parametrize(
    "text", ["463ac35c9f6413ad48485a3953bb6124", "48485a3953bb6124", "00000000000000010000000000000000"]
)
def test_a_trace_id_is_printed_as_it_came(text: str) -> None:
    trace_id, flags = parse_trace_id(text)
    assert len(trace_id) == 16
    assert print_trace_id(trace_id, flags) == text


def test_an_id_of_64_bits_is_padded_and_marked() -> None:
    trace_id, flags = parse_trace_id("48485A3953BB6124")
    assert (trace_id.hex(), flags) == ("000000000000000048485a3953bb6124", Flag.SHORT_ID)


@pytest.mark.parametrize("text", ["", "0", "0" * 32, "x" * 32, "a" * 33, " 1", "1 2", "0x12", "\u0661"])
def test_what_is_no_trace_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"a trace id (is|has)"):
        parse_trace_id(text)


@pytest.mark.parametrize(
    ("tags", "errored"),
    [
        ({}, False),
        ({"error": ""}, True),
        ({"http.status_code": "200"}, False),
        ({"http.status_code": "499"}, False),
        ({"http.status_code": "500"}, True),
        ({"http.response.status_code": "503"}, True),
        ({"http.status_code": "broken"}, False),
        ({"grpc.status_code": "OK"}, False),
        ({"rpc.grpc.status_code": "0"}, False),
        ({"rpc.grpc.status_code": "14"}, True),
        ({"rpc.grpc.status_code": ""}, False),
        ({"grpc.status_code": "Ok"}, False),
        ({"grpc.status_code": "ok", "rpc.grpc.status_code": "0"}, False),
        ({"grpc.status_code": "Unavailable"}, True),
        ({"error": "false"}, False),
        ({"error": "False"}, False),
        ({"error": " FALSE "}, False),
        ({"error": "no"}, False),
        ({"error": "null"}, False),
        ({"error": "None"}, False),
        ({"error": "0"}, False),
        ({"error": "true"}, True),
        ({"error": "no such card"}, True),
        ({"error": "falsework"}, True),
        ({"error": "false", "http.status_code": "500"}, True),
        ({"error": "false", "http.status_code": "200"}, False),
        ({"otel.status_code": "ERROR"}, True),
        ({"otel.status_code": "Error"}, True),
        ({"otel.status_code": "STATUS_CODE_ERROR"}, True),
        ({"otel.status_code": "error", "error": "false"}, True),
        ({"otel.status_code": "UNSET", "http.status_code": "500"}, True),
        ({"otel.status_code": "UNSET"}, False),
        ({"otel.status_code": "OK", "http.status_code": "500"}, False),
        ({"otel.status_code": "Ok", "error": "boom"}, True),
    ],
)
def test_a_span_is_errored_by_its_tag_or_its_status(tags: dict[str, str], *, errored: bool) -> None:
    assert ErrorRule().span(tags) is errored


@pytest.mark.parametrize(
    ("tags", "text"),
    [
        ({}, None),
        ({"error": ""}, ""),
        ({"error": "no"}, None),
        ({"error": "nobody is there"}, "nobody is there"),
        ({"error": "true"}, "true"),
    ],
)
def test_an_error_tag_that_says_there_is_no_error_is_none(tags: dict[str, str], text: str | None) -> None:
    assert error_tag(tags) == text


def test_the_http_status_from_which_a_span_is_errored_is_a_setting() -> None:
    assert ErrorRule(http_status=400).span({"http.status_code": "404"})


@pytest.mark.parametrize(
    ("level", "errored"),
    [(None, False), ("info", False), ("WARN", False), ("error", True), ("FATAL", True), ("Critical", True)],
)
def test_a_line_is_errored_from_level_error_up(level: str | None, *, errored: bool) -> None:
    assert ErrorRule().log(level) is errored
