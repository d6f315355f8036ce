"""Zipkin v1 JSON as spans: sides, times, hosts, tags and addresses."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.spans import SpanReader
from tracelink.model.records import ErrorRule, Flag, Span

IDS = {"traceId": "8702d9b8aaaa4bbcaf9fe78430537e67", "id": "a45f79ae0167f464", "name": "charge"}
START = 1_795_162_530_123_456
WEB, PAY = {"serviceName": "web", "ipv4": "10.0.0.1", "port": 0}, {"serviceName": "pay", "ipv4": "10.0.0.7"}


def at(value: str, time: int, endpoint: object = PAY) -> dict[str, object]:
    return {"timestamp": START + time, "value": value, "endpoint": endpoint}


def tag(key: str, value: object, endpoint: object = PAY) -> dict[str, object]:
    return {"key": key, "value": value, "endpoint": endpoint}


def address(key: str, endpoint: object) -> dict[str, object]:
    return {"key": key, "value": True, "endpoint": endpoint}


def spans(**more: object) -> list[Span]:
    reader = SpanReader(ErrorRule())
    found = reader.read({**IDS, **more})
    assert reader.formats == {"Zipkin v1": len(found)}
    return [one for one in found if not isinstance(one, InvalidInput)]


def shown(span: Span) -> dict[str, Any]:
    """Return what a span has beside its ids; times from the start, endpoints by service."""
    found: dict[str, Any] = {name: value for name, value in span.items() if value}
    for name in ("flags", "traceId", "id", "name"):
        found.pop(name, None)
    for name in ("localEndpoint", "remoteEndpoint"):
        if name in found:
            found[name] = found[name]["serviceName"]
    if "timestamp" in found:
        found["timestamp"] -= START
    if "annotations" in found:
        found["annotations"] = {one["value"]: one["timestamp"] - START for one in found["annotations"]}
    return found


@pytest.mark.parametrize(
    ("annotations", "kind"),
    [
        ([("cs", 0), ("cr", 1431)], "CLIENT"),
        ([("sr", 0), ("ss", 1431)], "SERVER"),
        ([("ms", 0), ("ws", 1431)], "PRODUCER"),
        ([("wr", 0), ("mr", 1431)], "CONSUMER"),
        ([("cr", 1431), ("cs", 0)], "CLIENT"),
    ],
)
def test_core_annotations_are_kind_time_duration_and_service(annotations: list[tuple[str, int]], kind: str) -> None:
    (span,) = spans(annotations=[at(value, time) for value, time in annotations])
    assert shown(span) == {
        "kind": kind,
        "timestamp": 0,
        "duration": 1431,
        "localEndpoint": "pay",
    } | ({"shared": True} if kind == "SERVER" else {})
    assert span["localEndpoint"] == {"serviceName": "pay", "ipv4": "10.0.0.7"}


def test_a_server_with_the_times_of_the_span_has_not_only_joined_it() -> None:
    (span,) = spans(timestamp=START, duration=1431, annotations=[at("sr", 0), at("ss", 1431)])
    assert shown(span) == {"kind": "SERVER", "timestamp": 0, "duration": 1431, "localEndpoint": "pay"}


def test_both_sides_in_one_span_are_two_spans_with_their_own_times() -> None:
    client, server = spans(
        parentId="b2fb4a1d1a96d312",
        timestamp=START,
        duration=3000,
        annotations=[
            at("cs", 0, WEB), at("sr", 500), at("lookup", 600), at("ss", 2500), at("wake", 10, WEB), at("cr", 3000, WEB)
        ],
        binaryAnnotations=[tag("path", "/pay", WEB), tag("db", "cards"), address("sa", PAY), address("ca", WEB)],
    )  # fmt: skip
    assert client["id"] == server["id"] == "a45f79ae0167f464"
    assert client["parentId"] == server["parentId"] == "b2fb4a1d1a96d312"
    assert shown(client) == {
        "parentId": "b2fb4a1d1a96d312",
        "kind": "CLIENT",
        "timestamp": 0,
        "duration": 3000,
        "localEndpoint": "web",
        "remoteEndpoint": "pay",
        "annotations": {"wake": 10},
        "tags": {"path": "/pay"},
    }
    assert shown(server) == {
        "parentId": "b2fb4a1d1a96d312",
        "kind": "SERVER",
        "timestamp": 500,
        "duration": 2000,
        "localEndpoint": "pay",
        "remoteEndpoint": "web",
        "annotations": {"lookup": 600},
        "tags": {"db": "cards"},
        "shared": True,
    }


def test_a_service_that_calls_itself_has_two_sides_too() -> None:
    client, server = spans(annotations=[at("cs", 0), at("sr", 5), at("ss", 15), at("cr", 20)])
    assert (client["kind"], client["duration"], client["shared"]) == ("CLIENT", 20, None)
    assert (server["kind"], server["duration"], server["shared"]) == ("SERVER", 10, True)


def test_an_end_without_a_start_and_core_annotations_beside_other_times_stay_annotations() -> None:
    (span,) = spans(annotations=[at("cr", 20)])
    assert shown(span) == {"kind": "CLIENT", "localEndpoint": "pay", "annotations": {"cr": 20}}
    (span,) = spans(timestamp=START - 5, duration=30, annotations=[at("cs", 0), at("cr", 20)])
    assert shown(span)["annotations"] == {"cs": 0, "cr": 20}
    assert (span["timestamp"], span["duration"]) == (START - 5, 30)


def test_a_message_that_was_received_without_a_start_begins_there() -> None:
    (span,) = spans(annotations=[at("mr", 20)])
    assert shown(span) == {"kind": "CONSUMER", "timestamp": 20, "localEndpoint": "pay"}


def test_a_server_has_its_own_times_unless_the_span_has_both() -> None:
    (span,) = spans(timestamp=START - 5, annotations=[at("sr", 0), at("ss", 20)])
    assert (span["timestamp"], span["duration"], span["shared"]) == (START, 20, True)
    assert span["tags"] == {"field.timestamp": str(START - 5)}


def test_an_end_that_the_spans_own_times_say_is_no_annotation() -> None:
    (span,) = spans(timestamp=START, duration=20, annotations=[at("cr", 20)])
    assert shown(span) == {"kind": "CLIENT", "timestamp": 0, "duration": 20, "localEndpoint": "pay"}


def test_a_local_span_has_the_host_of_its_marker_and_no_tag_of_it() -> None:
    (span,) = spans(timestamp=START, duration=7, binaryAnnotations=[tag("lc", ""), tag("step", 2)])
    assert shown(span) == {"timestamp": 0, "duration": 7, "localEndpoint": "pay", "tags": {"step": "2"}}
    (span,) = spans(timestamp=START, binaryAnnotations=[tag("lc", "spring")])
    assert span["tags"] == {"lc": "spring"}


@pytest.mark.parametrize(("value", "errored"), [("no such card", True), ("", True), ("false", False), (False, False)])
def test_an_error_among_the_binary_annotations_is_one(value: object, errored: bool) -> None:  # noqa: FBT001 - a table's column
    (span,) = spans(annotations=[at("cs", 0), at("cr", 5)], binaryAnnotations=[tag("error", value)])
    assert bool(span["flags"] & Flag.ERROR) is errored


def test_without_core_annotations_an_address_tells_the_side() -> None:
    (span,) = spans(timestamp=START, binaryAnnotations=[address("ca", WEB), tag("path", "/")])
    assert shown(span) == {
        "kind": "SERVER", "timestamp": 0, "localEndpoint": "pay", "remoteEndpoint": "web", "tags": {"path": "/"}
    }  # fmt: skip
    (span,) = spans(timestamp=START, binaryAnnotations=[address("sa", WEB)])
    assert shown(span) == {"timestamp": 0, "remoteEndpoint": "web"}
    (span,) = spans(timestamp=START, binaryAnnotations=[address("ca", PAY), tag("sa", "true", WEB)])
    assert shown(span) == {"timestamp": 0, "localEndpoint": "pay", "remoteEndpoint": "web"}


@pytest.mark.parametrize(("value", "key"), [("sr", "sa"), ("cs", "ca"), ("sr", "ma"), ("mr", "sa")])
def test_the_address_of_a_side_that_is_not_there_is_kept(value: str, key: str) -> None:
    (span,) = spans(annotations=[at(value, 0)], binaryAnnotations=[address(key, WEB)])
    assert span["remoteEndpoint"] is None
    assert '"web"' in span["tags"][f"field.{key}"]


@pytest.mark.parametrize(("value", "key"), [("ms", "ma"), ("mr", "ma"), ("ms", "sa"), ("mr", "ca"), ("sr", "ca")])
def test_an_address_is_the_other_side(value: str, key: str) -> None:
    (span,) = spans(annotations=[at(value, 0)], binaryAnnotations=[address(key, WEB)])
    assert shown(span)["remoteEndpoint"] == "web"


def test_a_servers_own_address_is_no_other_side() -> None:
    (span,) = spans(annotations=[at("sr", 0)], binaryAnnotations=[address("ca", PAY)])
    assert span["remoteEndpoint"] is None


def test_a_clients_port_under_the_servers_name_is_no_loop() -> None:
    port = {"serviceName": "pay", "ipv4": "10.0.0.9", "port": 4711}
    (span,) = spans(annotations=[at("sr", 0), at("ss", 5)], binaryAnnotations=[address("ca", port)])
    assert span["remoteEndpoint"] == {"serviceName": None, "ipv4": "10.0.0.9", "port": 4711}


def test_nothing_that_a_span_says_is_dropped() -> None:
    (span,) = spans(
        timestamp="soon",
        duration=-7,
        version=3,
        annotations=[at("cs", 0), at("cs", 2), {"value": "no time", "endpoint": PAY}, at("cr", 9)],
        binaryAnnotations=[tag("a", "x"), tag("a", "y"), tag("n", None), address("sa", WEB), tag("sa", "yes", PAY)],
    )
    assert shown(span) == {
        "kind": "CLIENT",
        "timestamp": 0,
        "duration": 9,
        "localEndpoint": "pay",
        "remoteEndpoint": "web",
        "annotations": {"cs": 2},
        "tags": {
            "a": "x", "a'": "y", "sa": "yes", "field.timestamp": "soon", "field.duration": "-7",
            "field.version": "3",
            "field.annotations": '[{"value":"no time"}]',
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "taken"),
    [
        ({"binaryAnnotations": []}, False),
        ({"annotations": [], "binaryAnnotations": None}, False),
        ({"binaryAnnotations": [], "timestamp": START}, True),
        ({"binaryAnnotations": [tag("lc", "")]}, True),
        ({"binaryAnnotations": [address("sa", WEB)]}, True),
        ({"binaryAnnotations": [{"value": "no key"}]}, False),
        ({"binaryAnnotations": {"a": "b"}}, False),
        ({"binaryAnnotations": [], "annotations": "retry"}, False),
        ({"binaryAnnotations": [tag("a", "b")], "id": "x"}, False),
    ],
)
def test_a_span_that_says_nothing_or_has_a_wrong_shape_is_refused_in_words_that_name_v1(
    more: dict[str, object], *, taken: bool
) -> None:
    (found,) = SpanReader(ErrorRule()).read({**IDS, **more})
    assert isinstance(found, InvalidInput) is not taken
    if isinstance(found, InvalidInput) and found.reason != "id":
        assert "v1" in str(found)


@pytest.mark.parametrize(("hosts", "taken"), [(100, True), (101, False)])
def test_a_span_with_annotations_of_more_than_a_hundred_hosts_is_refused(hosts: int, *, taken: bool) -> None:
    annotations = [at("retry", 0, {"serviceName": f"web-{number}"}) for number in range(hosts)]
    found = SpanReader(ErrorRule()).read({**IDS, "annotations": annotations})
    assert len(found) == (hosts if taken else 1)
    assert isinstance(found[0], InvalidInput) is not taken


def test_a_v2_span_whose_annotations_have_more_fields_stays_v2() -> None:
    reader = SpanReader(ErrorRule())
    (span,) = reader.read({**IDS, "kind": "SERVER", "annotations": [at("retry", 0)]})
    assert not isinstance(span, InvalidInput)
    assert span["annotations"] == [{"timestamp": START, "value": "retry"}]
    assert not reader.formats


VALUES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=3)
ENDPOINTS = st.none() | st.sampled_from([WEB, PAY, {}, {"port": -1}, "pay"])
ANNOTATIONS = st.fixed_dictionaries(
    {
        "timestamp": st.integers(START, START + 9) | VALUES,
        "value": st.sampled_from(["cs", "cr", "sr", "ss", "ms", "mr", "ws", "wr", "x"]) | VALUES,
        "endpoint": ENDPOINTS,
    }
)
BINARY = st.fixed_dictionaries(
    {"key": st.sampled_from(["ca", "sa", "ma", "lc", "error", "x"]), "value": VALUES, "endpoint": ENDPOINTS}
)


@given(
    st.lists(ANNOTATIONS, max_size=6),
    st.lists(BINARY, max_size=5),
    st.none() | st.integers(START, START + 9),
    st.none() | st.integers(0, 9),
)
def test_any_span_is_taken_or_refused_and_keeps_each_annotation(
    annotations: list[dict[str, Any]], binary: list[dict[str, Any]], time: int | None, length: int | None
) -> None:
    value = {**IDS, "annotations": annotations, "binaryAnnotations": binary, "timestamp": time, "duration": length}
    sides = SpanReader(ErrorRule()).read(value)
    found = [side for side in sides if not isinstance(side, InvalidInput)]
    if len(found) < len(sides):
        return
    read = [one for span in found for one in span["annotations"]]
    texts = [text for span in found for text in span["tags"].values()]
    for one in annotations:
        if one["timestamp"] in range(START, START + 10) and one["value"] == "x":
            assert {"timestamp": one["timestamp"], "value": "x"} in read
    for one in binary:
        if one["key"] == "x" and isinstance(one["value"], str):
            assert one["value"] in texts
