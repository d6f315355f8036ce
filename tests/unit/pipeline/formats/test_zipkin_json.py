"""Zipkin v2 JSON as spans: what is taken as it is, what nearly fits, and what is refused with which word."""

from collections.abc import Mapping
from typing import Literal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.zipkin_json import parse_span
from tracelink.kafka.messages import RecordEncoder
from tracelink.kafka.topics import TopicNames
from tracelink.model.codec import SPAN
from tracelink.model.records import ErrorRule, Flag, Span

LEAST = {"traceId": "463ac35c9f6413ad48485a3953bb6124", "id": "a2fb4a1d1a96d312"}


def parse(more: Mapping[str, object]) -> Span:
    return parse_span({**LEAST, **more}, ErrorRule())


def test_every_field_of_a_whole_span_is_kept() -> None:
    whole = {
        "parentId": "b2fb4a1d1a96d312",
        "kind": "CLIENT",
        "name": "get /cart",
        "timestamp": 1_556_604_172_355_737,
        "duration": 1431,
        "localEndpoint": {"serviceName": "backend", "ipv4": "192.168.99.1", "port": 3306},
        "remoteEndpoint": {"ipv6": "2001:db8::c001", "port": 58648},
        "annotations": [{"timestamp": 1_556_604_172_355_800, "value": "retry"}],
        "tags": {"http.method": "GET"},
        "debug": True,
        "shared": False,
    }
    span = parse(whole)
    assert span["traceId"].hex() == LEAST["traceId"]
    assert span["flags"] == 0
    expected_local = {"serviceName": "backend", "ipv4": "192.168.99.1", "port": 3306}
    assert span["localEndpoint"] == expected_local
    assert span["remoteEndpoint"] == {"serviceName": None, "ipv6": "2001:db8::c001", "port": 58648}
    for name in whole.keys() - {"localEndpoint", "remoteEndpoint"}:
        assert span[name] == whole[name]  # type: ignore[literal-required]  # names of the same record


def test_ids_are_padded_and_lowered_and_a_short_trace_id_is_marked() -> None:
    span = parse({"traceId": "ABC", "id": "D", "parentId": "E"})
    assert span["traceId"].hex() == "abc".zfill(32)
    assert (span["id"], span["parentId"]) == ("d".zfill(16), "e".zfill(16))
    assert span["flags"] == Flag.SHORT_ID


@pytest.mark.parametrize("parent", [None, "", "0", "0000000000000000", LEAST["id"]])
def test_a_span_whose_parent_is_none_empty_zero_or_itself_is_a_root(parent: str | None) -> None:
    span = parse({"parentId": parent})
    assert span["parentId"] is None
    assert span["flags"] == Flag.ROOT


@pytest.mark.parametrize(
    ("tags", "errored"),
    [
        ({"error": ""}, True),
        ({"error": False}, False),
        ({"error": None}, False),
        ({"error": 0}, False),
        ({"error": True}, True),
        ({"http.status_code": 500}, True),
        ({"http.status_code": "404"}, False),
        ({"otel.status_code": "ERROR"}, True),
        ({"grpc.status_code": "Ok"}, False),
        ({}, False),
    ],
)
def test_the_error_rule_runs_where_the_span_enters(tags: dict[str, object], errored: bool) -> None:  # noqa: FBT001 - a table's column
    assert bool(parse({"tags": tags})["flags"] & Flag.ERROR) is errored


def test_zero_and_null_are_none_as_in_zipkin() -> None:
    span = parse({"timestamp": 0, "duration": None, "kind": None, "tags": None, "localEndpoint": {"port": 0}})
    assert (span["timestamp"], span["duration"], span["kind"], span["localEndpoint"]) == (None, None, None, None)


def test_a_tag_that_is_no_string_keeps_its_json_text() -> None:
    assert parse({"tags": {"a": 1, "b": True, "c": {"d": [None]}}})["tags"] == {
        "a": "1",
        "b": "true",
        "c": '{"d":[null]}',
    }


def test_what_zipkin_has_no_field_for_becomes_a_tag_and_never_an_error() -> None:
    span = parse({"error": True, "localEndpoint": {"serviceName": "a", "host": "h", "ipv4": "not.an.address"}})
    assert span["tags"] == {
        "field.error": "true",
        "field.localEndpoint.host": "h",
        "field.localEndpoint.ipv4": "not.an.address",
    }
    assert not span["flags"] & Flag.ERROR


TIME = 1_795_162_530_123_456


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (TIME, TIME),
        ("1795162530123456", TIME),
        (" 1795162530123456 ", TIME),
        ("1795162530123456.9", TIME),
        (1795162530123456.5, TIME),
        (1_795_162_530_123, 1_795_162_530_123_000),
        (1795162530123.456, TIME),
        ("1795162530123", 1_795_162_530_123_000),
        (1_795_162_530, 1_795_162_530_000_000),
        (1795162530.5, 1_795_162_530_500_000),
        (1_795_162_530_123_456_789, TIME),
        ("1795162530123456789", TIME),
        ("2026-11-20T08:15:30.123456Z", TIME),
        ("2026-11-20T09:15:30.123456789+01:00", TIME),
        (1.795162530123456e15, TIME),
        # No time of this age in any unit: what Zipkin takes it for.
        (5, 5),
        (99_999_999, 99_999_999),
        (0, None),
        ("0", None),
        (0.5, None),
        ("", None),
        (None, None),
    ],
)
def test_a_time_is_read_by_its_magnitude_as_for_log_lines(written: object, read: int | None) -> None:
    span = parse({"timestamp": written, "annotations": [{"timestamp": written, "value": "x"}] if read else []})
    assert span["timestamp"] == read
    assert [one["timestamp"] for one in span["annotations"]] == ([read] if read else [])
    assert span["tags"] == {}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (1431, 1431),
        ("1431", 1431),
        ("1431.9", 1431),
        (1431.234, 1431),
        (1431.0, 1431),
        (2**63 - 1, 2**63 - 1),
        # Zipkin's model: less than a microsecond is one.
        (0.25, 1),
        ("0.001", 1),
        (0, None),
        ("0", None),
        (None, None),
        ("", None),
    ],
)
def test_a_duration_may_be_a_text_and_loses_its_fraction(written: object, read: int | None) -> None:
    span = parse({"duration": written})
    assert (span["duration"], span["tags"]) == (read, {})


@pytest.mark.parametrize(
    ("port", "read"), [(80, 80), ("80", 80), (80.0, 80), (65535, 65535), (0, None), ("0", None), (None, None)]
)
def test_a_port_may_be_a_text(port: object, read: int | None) -> None:
    span = parse({"localEndpoint": {"serviceName": "pay", "port": port}})
    assert (span["localEndpoint"] or {}).get("port") == read
    assert span["tags"] == {}


@pytest.mark.parametrize(
    ("kind", "read"),
    [
        ("SERVER", "SERVER"),
        ("server", "SERVER"),
        ("Client", "CLIENT"),
        (" producer ", "PRODUCER"),
        ("SPAN_KIND_CONSUMER", "CONSUMER"),
        ("SpanKind.SERVER", "SERVER"),
        ("", None),
        (None, None),
    ],
)
def test_a_kind_may_be_in_any_case(kind: object, read: str | None) -> None:
    span = parse({"kind": kind})
    assert (span["kind"], span["tags"]) == (read, {})


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ({"kind": "INTERNAL"}, {"field.kind": "INTERNAL"}),
        ({"kind": "SPAN_KIND_UNSPECIFIED"}, {"field.kind": "SPAN_KIND_UNSPECIFIED"}),
        ({"kind": "OTHER"}, {"field.kind": "OTHER"}),
        ({"kind": 2}, {"field.kind": "2"}),
        ({"kind": ["SERVER"]}, {"field.kind": '["SERVER"]'}),
        ({"kind": {}}, {"field.kind": "{}"}),
        ({"timestamp": -1}, {"field.timestamp": "-1"}),
        ({"timestamp": "-1795162530123456"}, {"field.timestamp": "-1795162530123456"}),
        ({"timestamp": True}, {"field.timestamp": "true"}),
        ({"timestamp": 1e30}, {"field.timestamp": "1e+30"}),
        ({"timestamp": "1e999999999"}, {"field.timestamp": "1e999999999"}),
        ({"timestamp": "soon"}, {"field.timestamp": "soon"}),
        ({"timestamp": [5]}, {"field.timestamp": "[5]"}),
        ({"timestamp": float("nan")}, {"field.timestamp": "null"}),
        ({"duration": -1431}, {"field.duration": "-1431"}),
        ({"duration": "-0.5"}, {"field.duration": "-0.5"}),
        ({"duration": 2**63}, {"field.duration": "9223372036854775808"}),
        ({"duration": "1e999999999"}, {"field.duration": "1e999999999"}),
        ({"duration": "1.5 ms"}, {"field.duration": "1.5 ms"}),
        ({"duration": False}, {}),
        ({"duration": True}, {"field.duration": "true"}),
        ({"localEndpoint": {"port": -1}}, {"field.localEndpoint.port": "-1"}),
        ({"remoteEndpoint": {"port": 65536}}, {"field.remoteEndpoint.port": "65536"}),
        ({"remoteEndpoint": {"port": "http"}}, {"field.remoteEndpoint.port": "http"}),
        ({"remoteEndpoint": {"port": 80.5}}, {"field.remoteEndpoint.port": "80.5"}),
        ({"localEndpoint": {"ipv4": "not.an.address"}}, {"field.localEndpoint.ipv4": "not.an.address"}),
        ({"localEndpoint": {"ipv6": 7}}, {"field.localEndpoint.ipv6": "7"}),
        ({"debug": "yes"}, {"field.debug": "yes"}),
        ({"shared": 2}, {"field.shared": "2"}),
        ({"annotations": [{"value": "no time"}]}, {"field.annotations": '[{"value":"no time"}]'}),
        ({"annotations": [{"timestamp": 5}]}, {"field.annotations": '[{"timestamp":5}]'}),
        ({"annotations": ["retry"]}, {"field.annotations": '["retry"]'}),
        ({"unknown": {"deep": [1]}}, {"field.unknown": '{"deep":[1]}'}),
        ({"unknown": None}, {}),
        # A tag of the same name stays.
        ({"kind": "X", "tags": {"field.kind": "mine"}}, {"field.kind": "mine", "field.kind'": "X"}),
    ],
)
def test_a_value_without_a_plain_meaning_is_none_and_kept_as_a_tag(
    more: dict[str, object], kept: dict[str, str]
) -> None:
    span = parse(more)
    assert span["tags"] == kept
    nothing = {"kind", "timestamp", "duration", "localEndpoint", "remoteEndpoint", "debug", "shared"}
    assert not any(span[name] for name in nothing)  # type: ignore[literal-required]  # names of the record
    assert not span["annotations"]


@pytest.mark.parametrize(
    ("time", "read"), [(0, 0), ("0", 0), (-7, -7), (0.9, 0), (-(2**63) + 1, -(2**63) + 1), ("-5", -5)]
)
def test_an_annotation_keeps_a_time_of_zero_or_below(time: object, read: int) -> None:
    span = parse({"annotations": [{"timestamp": time, "value": "retry"}]})
    assert span["annotations"] == [{"timestamp": read, "value": "retry"}]
    assert span["tags"] == {}


def test_an_annotation_is_taken_beside_one_that_is_none_and_may_have_more_fields() -> None:
    one = {"timestamp": TIME, "value": 7, "severity": "low"}
    span = parse({"annotations": [one, None, {"timestamp": TIME, "value": "b", "endpoint": None}]})
    assert span["annotations"] == [{"timestamp": TIME, "value": "7"}, {"timestamp": TIME, "value": "b"}]
    assert orjson.loads(span["tags"]["field.annotations"]) == [one, None]


@pytest.mark.parametrize(
    ("more", "field", "read"),
    [
        ({"name": 5}, "name", "5"),
        ({"name": True}, "name", "true"),
        ({"id": 12}, "id", "12".zfill(16)),
        ({"parentId": 12}, "parentId", "12".zfill(16)),
        ({"traceId": 7}, "traceId", bytes.fromhex("7".zfill(32))),
        ({"debug": "true"}, "debug", True),
        ({"debug": 1}, "debug", True),
        ({"shared": "False"}, "shared", False),
        ({"localEndpoint": {"serviceName": 8}}, "localEndpoint", {"serviceName": "8"}),
        ({"localEndpoint": []}, "localEndpoint", None),
        ({"tags": []}, "tags", {}),
        ({"annotations": {}}, "annotations", []),
        ({"tags": {"peer": None, "method": "GET"}}, "tags", {"method": "GET"}),
        # Zipkin reads both kinds of addresses in both fields.
        ({"localEndpoint": {"ipv4": "2001:db8::1"}}, "localEndpoint", {"serviceName": None, "ipv6": "2001:db8::1"}),
        ({"localEndpoint": {"ipv6": "10.0.0.7"}}, "localEndpoint", {"serviceName": None, "ipv4": "10.0.0.7"}),
    ],
)
def test_numbers_are_texts_and_empty_lists_are_empty_objects(more: dict[str, object], field: str, read: object) -> None:
    assert parse(more)[field] == read  # type: ignore[literal-required]  # names of the record


def test_two_addresses_of_one_kind_are_both_kept() -> None:
    span = parse({"localEndpoint": {"ipv4": "10.0.0.7", "ipv6": "10.0.0.8"}})
    assert span["localEndpoint"] == {"serviceName": None, "ipv4": "10.0.0.7"}
    assert span["tags"] == {"field.localEndpoint.ipv6": "10.0.0.8"}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"traceId": None}, "traceId"),
        ({"traceId": True}, "traceId"),
        ({"traceId": 1.5}, "traceId"),
        ({"traceId": -7}, "traceId"),
        ({"traceId": "0" * 32}, "traceId"),
        ({"traceId": "a" * 33}, "traceId"),
        ({"traceId": "xyz"}, "traceId"),
        ({"id": None}, "id"),
        ({"id": "0"}, "id"),
        ({"id": ""}, "id"),
        ({"id": "a" * 17}, "id"),
        ({"id": " a"}, "id"),
        ({"id": 10**30}, "id"),
        ({"parentId": "-1"}, "parentId"),
        ({"parentId": "a" * 32}, "parentId"),
        ({"localEndpoint": "frontend"}, "localEndpoint"),
        ({"annotations": {"a": 1}}, "annotations"),
        ({"annotations": "retry"}, "annotations"),
        ({"tags": ["a"]}, "tags"),
    ],
)
def test_what_would_be_a_wrong_span_is_refused_by_the_field(more: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(more)
    assert refused.value.reason == reason
    assert refused.value.detail


@pytest.mark.parametrize("value", [None, 7, "text", [], [LEAST]])
def test_what_is_no_object_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput, match="no object"):
        parse_span(value, ErrorRule())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    [
        "traceId", "id", "parentId", "kind", "name", "timestamp", "duration", "localEndpoint", "annotations", "tags",
        "debug", "x",
    ]
)  # fmt: skip


@given(st.dictionaries(FIELDS, JSON, max_size=6))
def test_any_json_object_is_refused_or_encodes_whole(more: dict[str, object]) -> None:
    text = orjson.dumps({**LEAST, **more})
    try:
        span = parse_span(orjson.loads(text), ErrorRule())
    except InvalidInput:
        return
    decoded = SPAN.decode(RecordEncoder(TopicNames()).span(span).value)
    assert (decoded["id"], decoded["tags"]) == (span["id"], span["tags"])


@given(st.integers(10**15, 10**17 - 1), st.sampled_from([1, 10**3, 10**6]), st.booleans(), st.booleans())
def test_a_time_in_any_unit_is_the_same_instant(time: int, unit: int, as_text: bool, as_nanos: bool) -> None:  # noqa: FBT001 - drawn
    written = time * 1000 if as_nanos else time // unit
    assert parse({"timestamp": str(written) if as_text else written})["timestamp"] == (
        time if as_nanos else time // unit * unit
    )


@given(st.one_of(st.text(), st.floats(), st.integers(), st.booleans(), st.decimals().map(str)))
def test_any_time_or_duration_is_read_or_kept(value: object) -> None:
    names: tuple[Literal["timestamp"], Literal["duration"]] = ("timestamp", "duration")
    for name in names:
        try:
            span = parse({name: value})
        except InvalidInput as error:  # JSON has no integers beyond 64 bits here
            assert "cannot be kept" in error.detail  # noqa: PT017 - either may happen
            continue
        read = span[name]
        assert read is None or 0 < read < 2**63


@pytest.mark.parametrize("text", ["a0d80a44-d446-5d53-7f86-3d6ff77acfc8", "0xa0d80a44d4465d537f863d6ff77acfc8"])
def test_a_trace_id_in_another_spelling_is_that_of_log_lines_and_stays_a_tag(text: str) -> None:
    span = parse_span({"traceId": text, "id": "a"}, ErrorRule())
    assert span["traceId"].hex() == "a0d80a44d4465d537f863d6ff77acfc8"
    assert span["tags"] == {"field.traceId": text}
