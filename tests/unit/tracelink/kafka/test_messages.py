"""Records as messages: what `Codec.encode` gives, whatever way the bytes were made."""

import pytest
from hypothesis import given

from tests.kit.strategies import spans
from tracelink.kafka.messages import RecordEncoder
from tracelink.kafka.topics import TopicNames
from tracelink.model.codec import SPAN
from tracelink.model.records import Endpoint, Span

MESSAGES = RecordEncoder(TopicNames())


@given(spans())
def test_a_spans_message_is_what_its_codec_encodes(record: Span) -> None:
    assert MESSAGES.span(record).value == MESSAGES.span(record).value == SPAN.encode(record)


@pytest.mark.parametrize("port", [True, 1.0, 2**40, "1"])
def test_an_endpoint_that_does_not_fit_is_refused_though_one_equal_to_it_was_encoded(port: object) -> None:
    good: Span = {"flags": 0, "traceId": b"\1" * 16, "id": "a", "remoteEndpoint": {"port": 1}}
    MESSAGES.span(good)
    endpoint: Endpoint = {"port": port}  # type: ignore[typeddict-item]  # what a broken caller would do
    with pytest.raises((ValueError, TypeError, OverflowError)):
        MESSAGES.span({**good, "remoteEndpoint": endpoint})
