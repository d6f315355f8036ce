"""Records by our own encoder: the bytes and the errors of fastavro."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kit.records import span
from tests.kit.strategies import logs, spans
from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.model.encoding import encode_log, encode_span
from tracelink.model.records import LogRecord, Span

_TYPES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=3) | st.binary()
ODD = st.one_of(
    _TYPES,
    st.sampled_from([63, 64, -1, 2**63, -(2**63) - 1, bytes(16), bytearray(16), "CLIENT", "INTERNAL", "é" * 5000]),
    st.lists(st.fixed_dictionaries({}, optional={"timestamp": _TYPES, "value": _TYPES}), max_size=2),
    st.dictionaries(st.sampled_from(["serviceName", "port", "type", "stackTrace"]) | _TYPES, _TYPES, max_size=2),
    st.just({str(number): "x" for number in range(70)}),
)
"""Values of which few fit into a field."""


def outcome(encode: Callable[[Any], bytes], record: object) -> bytes | type[Exception]:
    try:
        return encode(record)
    except Exception as error:  # noqa: BLE001 - any
        return type(error)


@given(spans())
def test_a_span_is_the_bytes_that_fastavro_writes(record: Span) -> None:
    assert encode_span(record) == encode_span(record) == SPAN.encode(record)


@given(logs())
def test_a_log_record_is_the_bytes_that_fastavro_writes(record: LogRecord) -> None:
    assert encode_log(record) == encode_log(record) == LOG_RECORD.encode(record)


@given(spans(), st.sampled_from(sorted(Span.__annotations__)), ODD)
def test_a_span_with_an_odd_value_is_what_fastavro_makes_of_it(record: Span, name: str, odd: object) -> None:
    found: dict[str, object] = {**record, name: odd}
    assert outcome(encode_span, found) == outcome(SPAN.encode, found)
    del found[name]
    assert outcome(encode_span, found) == outcome(SPAN.encode, found)


@given(logs(), st.sampled_from(sorted(LogRecord.__annotations__)), ODD)
def test_a_log_record_with_an_odd_value_is_what_fastavro_makes_of_it(record: LogRecord, name: str, odd: object) -> None:
    found: dict[str, object] = {**record, name: odd}
    assert outcome(encode_log, found) == outcome(LOG_RECORD.encode, found)
    del found[name]
    assert outcome(encode_log, found) == outcome(LOG_RECORD.encode, found)


@pytest.mark.parametrize(
    ("name", "odd"),
    [
        ("flags", -1),
        ("flags", 63),
        ("flags", 64),
        ("flags", 1.0),
        ("traceId", bytearray(16)),
        ("traceId", bytes(15)),
        ("timestamp", True),
        ("timestamp", 2**63),
        ("kind", 0),
        ("debug", 1),
        ("shared", 0.0),
        ("annotations", None),
        ("tags", None),
        ("tags", [("a", "b")]),
        ("tags", {"a": b"b"}),
        ("tags", {b"a": "b"}),
        ("remoteEndpoint", {"port": True}),
        ("remoteEndpoint", {"port": 1.0}),
        ("remoteEndpoint", {"port": 2**40}),
    ],
)
def test_a_value_that_is_nearly_right_is_what_fastavro_makes_of_it(name: str, odd: object) -> None:
    # Equal to the odd ones, and perhaps kept.
    encode_span(span(1, flags=1, debug=True, shared=False, remoteEndpoint={"port": 1}))
    found: dict[str, object] = {**span(1), name: odd}
    assert outcome(encode_span, found) == outcome(SPAN.encode, found)


def test_a_tag_is_right_whatever_names_came_before_it() -> None:
    for number in range(5000):
        record = span(1, tags={f"{number}" * 60: "x", "a": "y"})
        assert encode_span(record) == SPAN.encode(record)
