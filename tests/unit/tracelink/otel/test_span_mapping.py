"""OpenTelemetry spans as ours, by OpenTelemetry's published mapping to Zipkin."""

import json
import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from tracelink.kafka.messages import RecordEncoder
from tracelink.kafka.topics import TopicNames
from tracelink.model.codec import SPAN
from tracelink.model.records import ErrorRule, Flag, Span
from tracelink.otel.spans import SpanMapper

TRACE_ID = 0x463AC35C9F6413AD48485A3953BB6124
CONTEXT = SpanContext(TRACE_ID, 0xA2FB4A1D1A96D312, is_remote=False, trace_flags=TraceFlags(1))
PARENT = SpanContext(TRACE_ID, 0xAB, is_remote=True)


def mapped(
    attributes: Mapping[str, object] | None = None,
    *,
    context: SpanContext = CONTEXT,
    parent: SpanContext | None = PARENT,
    kind: SpanKind = SpanKind.SERVER,
    status: StatusCode = StatusCode.UNSET,
    description: str | None = None,
    events: tuple[Event, ...] = (),
    links: tuple[Link, ...] = (),
    resource: Mapping[str, str] | None = None,
    end: int = 1_674_984_128_600_000_999,
) -> Span:
    span = ReadableSpan(
        "GET /cart",
        context=context,
        parent=parent,
        resource=Resource({"service.name": "cart", **(resource or {})}),
        attributes=attributes,  # type: ignore[arg-type]  # also what no well-behaved caller would pass
        events=events,
        links=links,
        kind=kind,
        status=Status(status, description),
        start_time=1_674_984_128_546_000_999,
        end_time=end,
        instrumentation_scope=InstrumentationScope("flask", "3.1"),
    )
    return SpanMapper(ErrorRule()).map(span)


def tags(span: Span) -> dict[str, str]:
    """Return the tags but for those of the scope, which all have."""
    return {name: value for name, value in span["tags"].items() if not name.startswith("otel.scope.")}


def test_ids_times_and_names_are_zipkins() -> None:
    span = mapped()
    assert span["traceId"].hex() == "463ac35c9f6413ad48485a3953bb6124"
    assert (span["id"], span["parentId"]) == ("a2fb4a1d1a96d312", "00000000000000ab")
    assert (span["timestamp"], span["duration"]) == (1_674_984_128_546_000, 54_000)
    assert (span["name"], span["localEndpoint"]) == ("GET /cart", {"serviceName": "cart"})
    assert span["flags"] == 0


def test_a_span_shorter_than_a_microsecond_has_a_duration_of_one() -> None:
    assert mapped(end=1_674_984_128_546_001_000)["duration"] == 1


def test_a_span_without_a_parent_is_the_root() -> None:
    span = mapped(parent=None)
    assert span["parentId"] is None
    assert span["flags"] == Flag.ROOT


def test_a_trace_id_that_came_with_64_bits_is_marked_so() -> None:
    assert mapped(context=SpanContext(0xABC, 1, is_remote=False))["flags"] == Flag.SHORT_ID


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (SpanKind.CLIENT, "CLIENT"),
        (SpanKind.SERVER, "SERVER"),
        (SpanKind.PRODUCER, "PRODUCER"),
        (SpanKind.CONSUMER, "CONSUMER"),
        (SpanKind.INTERNAL, None),
    ],
)
def test_kinds_are_zipkins_and_internal_is_none(kind: SpanKind, expected: str | None) -> None:
    assert mapped(kind=kind)["kind"] == expected


def test_an_error_status_is_two_tags_and_the_flag() -> None:
    span = mapped(status=StatusCode.ERROR, description="no stock")
    assert tags(span) == {"otel.status_code": "ERROR", "error": "no stock"}
    assert span["flags"] == Flag.ERROR


def test_an_error_status_without_a_description_has_an_empty_error_tag() -> None:
    assert tags(mapped(status=StatusCode.ERROR))["error"] == ""


def test_ok_is_the_applications_own_word_above_its_http_status() -> None:
    span = mapped({"http.response.status_code": 503, "error": "yes"}, status=StatusCode.OK)
    assert tags(span) == {
        "http.response.status_code": "503",
        "otel.status_code": "OK",
        "attribute.error": "yes",
    }
    assert span["flags"] == 0


@pytest.mark.parametrize(
    ("attributes", "errored"),
    [
        ({"http.response.status_code": 500}, True),
        ({"http.response.status_code": 499}, False),
        ({"rpc.grpc.status_code": 0}, False),
        ({"rpc.grpc.status_code": 14}, True),
        ({"error": True}, True),
        ({"error": False}, False),
    ],
)
def test_without_a_status_the_attributes_decide(attributes: dict[str, object], errored: bool) -> None:  # noqa: FBT001 - a table's column
    span = mapped(attributes)
    assert span["flags"] == (Flag.ERROR if errored else 0)
    assert ("error" in span["tags"]) == (attributes.get("error") is True)


def test_attributes_that_are_no_strings_are_tags_as_json() -> None:
    span = mapped({"a": True, "b": 1.5, "c": ["x", "y"], "d": 7, "e": "text", "f": "Zürich"})
    assert tags(span) == {"a": "true", "b": "1.5", "c": '["x","y"]', "d": "7", "e": "text", "f": "Zürich"}


def test_an_event_is_an_annotation_with_its_attributes_as_json() -> None:
    events = (Event("cache miss", timestamp=5_999), Event("retry", {"n": 2}, timestamp=7_000))
    assert mapped(events=events)["annotations"] == [
        {"timestamp": 5, "value": "cache miss"},
        {"timestamp": 7, "value": '"retry": {"n":2}'},
    ]


def test_resource_scope_links_and_trace_state_become_tags() -> None:
    state = TraceState([("vendor", "x")])
    span = mapped(
        {"region": "own"},
        context=SpanContext(TRACE_ID, 1, is_remote=False, trace_state=state),
        links=(Link(SpanContext(0xB, 0xC, is_remote=True), {"why": "batch"}),),
        resource={"region": "eu", "host.name": "h1"},
    )
    found = span["tags"]
    assert (found["otel.scope.name"], found["otel.scope.version"]) == ("flask", "3.1")
    assert (found["region"], found["resource.region"], found["host.name"]) == ("own", "eu", "h1")
    assert found["w3c.tracestate"] == "vendor=x"
    assert json.loads(found["otel.links"]) == [
        {"traceId": f"{0xB:032x}", "spanId": f"{0xC:016x}", "attributes": {"why": "batch"}}
    ]


@pytest.mark.parametrize(
    ("kind", "attributes", "expected"),
    [
        (SpanKind.CLIENT, {"peer.service": "stock", "server.address": "10.0.0.1"}, {"serviceName": "stock"}),
        (
            SpanKind.CLIENT,
            {"server.address": "stock.shop", "server.port": 80},
            {"serviceName": "stock.shop", "port": 80},
        ),
        (SpanKind.CLIENT, {"network.peer.address": "10.0.0.1", "network.peer.port": 99999}, {"ipv4": "10.0.0.1"}),
        (SpanKind.CONSUMER, {"server.address": "fe80::1"}, {"ipv6": "fe80::1"}),
        (SpanKind.SERVER, {"server.address": "me", "network.peer.address": "10.0.0.9"}, {"ipv4": "10.0.0.9"}),
        (SpanKind.SERVER, {"server.address": "me"}, None),
        (SpanKind.INTERNAL, {"peer.service": "stock"}, None),
        (SpanKind.CLIENT, {}, None),
    ],
)
def test_the_other_side_is_named_by_the_strongest_attribute(
    kind: SpanKind, attributes: dict[str, object], expected: object
) -> None:
    assert mapped(attributes, kind=kind)["remoteEndpoint"] == expected


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.text(max_size=8), ODD, max_size=5))
def test_whatever_the_attributes_hold_the_span_is_encoded_and_comes_back(attributes: dict[str, object]) -> None:
    span = mapped(attributes, kind=SpanKind.CLIENT)
    decoded = SPAN.decode(RecordEncoder(TopicNames()).span(span).value)
    assert decoded["tags"] == span["tags"]


def test_numbers_that_json_does_not_have_do_not_lose_the_span() -> None:
    assert tags(mapped({"nan": math.nan, "big": 2**80}))["big"] == str(2**80)
