"""Zipkin v2 JSON as spans: what is taken, and what is refused with which word."""

from collections.abc import Mapping

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


@pytest.mark.parametrize("parent", [None, "0", "0000000000000000", LEAST["id"]])
def test_a_span_whose_parent_is_none_zero_or_itself_is_a_root(parent: str | None) -> None:
    span = parse({"parentId": parent})
    assert span["parentId"] is None
    assert span["flags"] == Flag.ROOT


@pytest.mark.parametrize(
    ("tags", "errored"),
    [({"error": ""}, True), ({"http.status_code": "500"}, True), ({"http.status_code": "404"}, False), ({}, False)],
)
def test_the_error_rule_runs_where_the_span_enters(tags: dict[str, str], errored: bool) -> None:  # noqa: FBT001 - a table's column
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


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"traceId": None}, "traceId"),
        ({"traceId": 7}, "traceId"),
        ({"traceId": "0" * 32}, "traceId"),
        ({"traceId": "a" * 33}, "traceId"),
        ({"traceId": "xyz"}, "traceId"),
        ({"id": None}, "id"),
        ({"id": "0"}, "id"),
        ({"id": ""}, "id"),
        ({"id": "a" * 17}, "id"),
        ({"id": " a"}, "id"),
        ({"parentId": "-1"}, "parentId"),
        ({"kind": "server"}, "kind"),
        ({"kind": "INTERNAL"}, "kind"),
        ({"name": 5}, "name"),
        ({"timestamp": -1}, "timestamp"),
        ({"timestamp": 1.5}, "timestamp"),
        ({"timestamp": 2**63}, "timestamp"),
        ({"timestamp": 1e30}, "timestamp"),
        ({"timestamp": "1556604172355737"}, "timestamp"),
        ({"timestamp": True}, "timestamp"),
        ({"duration": -5}, "duration"),
        ({"duration": float("nan")}, "duration"),
        ({"duration": float("inf")}, "duration"),
        ({"localEndpoint": "frontend"}, "localEndpoint"),
        ({"remoteEndpoint": {"port": 65536}}, "port"),
        ({"remoteEndpoint": {"port": "80"}}, "port"),
        ({"annotations": {"a": 1}}, "annotations"),
        ({"annotations": [{"value": "no time"}]}, "annotations"),
        ({"annotations": [{"timestamp": -1, "value": "x"}]}, "annotations"),
        ({"tags": ["a"]}, "tags"),
        ({"debug": "yes"}, "debug"),
        ({"shared": 1}, "shared"),
        ({"binaryAnnotations": []}, "Zipkin v1"),
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
    ["traceId", "id", "parentId", "kind", "name", "timestamp", "duration", "localEndpoint", "annotations", "tags", "x"]
)


@given(st.dictionaries(FIELDS, JSON, max_size=6))
def test_any_json_object_is_refused_or_encodes_whole(more: dict[str, object]) -> None:
    text = orjson.dumps({**LEAST, **more})
    try:
        span = parse_span(orjson.loads(text), ErrorRule())
    except InvalidInput:
        return
    decoded = SPAN.decode(RecordEncoder(TopicNames()).span(span).value)
    assert (decoded["id"], decoded["tags"]) == (span["id"], span["tags"])
