"""The way of a request through the gateway: what it counts as in hand, and what it refuses."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from prometheus_client import CollectorRegistry

from pipeline.formats.decoded import TooManyRecords
from producers.gateway.delivery import Delivery
from producers.gateway.in_hand import InHand, Refused
from producers.gateway.intake import Intake
from producers.gateway.lines import Lines
from producers.gateway.metrics import GatewayMetrics
from producers.gateway.otlp import Traces
from producers.gateway.protocol import PROTOBUF, Answer, Door, Encoder, Request
from producers.gateway.settings import GatewaySettings
from tests.kit import otlp
from tracelink.kafka.messages import EncodedRecord

_MIB = 1024 * 1024
_RECEIVED = 1_795_162_531_000_000


class _Kafka(Delivery):
    """A Kafka that acknowledges everything at once, and remembers how much was in hand then."""

    def __init__(self, in_hand: InHand) -> None:  # no producer is opened
        self._in_hand = in_hand
        self.seen: list[int] = []

    async def deliver(self, messages: Sequence[EncodedRecord], deadline: float) -> Counter[str]:
        del messages, deadline
        self.seen.append(self._in_hand.size)
        return Counter()


class _Gateway:
    """The intake of a gateway with some settings."""

    def __init__(self, **settings: str) -> None:
        self.settings = GatewaySettings.load(**settings)
        self.registry = CollectorRegistry()
        metrics = GatewayMetrics(self.registry)
        self.in_hand = InHand(self.settings, metrics)
        self.kafka = _Kafka(self.in_hand)
        self.encoder = Encoder(self.settings)
        self.intake = Intake(self.in_hand, self.kafka, None, metrics, within=self.settings.answer_within)

    async def send(self, door: Door, body: bytes, content_type: str = PROTOBUF) -> Answer:
        with self.in_hand.request() as share:
            self.in_hand.take(share, len(body))
            return await self.intake.take(door, Request(content_type, body, _RECEIVED), share)

    def counted(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"tracelink_gateway_{name}", labels) or 0.0


def _run(work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever the work returns
    return asyncio.run(work)


def _spans(number: int, shared_bytes: int) -> bytes:
    """Return a request of spans whose resource has an attribute of so many bytes."""
    request = otlp.spans_request(*[otlp.span_message() for _ in range(number)])
    attribute = KeyValue(key="a")
    attribute.value.string_value = "z" * shared_bytes
    request.resource_spans[0].resource.attributes.append(attribute)
    return request.SerializeToString()


def test_records_are_in_hand_with_both_of_their_copies_until_they_are_answered() -> None:
    gateway = _Gateway()
    body = _spans(10, 100_000)
    _run(gateway.send(Traces(gateway.encoder), body))
    (seen,) = gateway.kafka.seen
    assert 2_000_000 < seen - len(body) < 2_020_000
    assert gateway.in_hand.size == 0


def test_a_few_bytes_that_become_more_than_may_be_in_hand_are_refused() -> None:
    gateway = _Gateway(max_body_bytes="1MiB", max_in_hand_bytes="1MiB")
    traces = Traces(gateway.encoder)
    assert len(traces.decode(Request(PROTOBUF, _spans(4, 100_000), _RECEIVED)).messages) == 4
    with pytest.raises(TooManyRecords, match="1048576 bytes"):
        traces.decode(Request(PROTOBUF, _spans(6, 100_000), _RECEIVED))


def test_records_for_which_there_is_no_room_left_are_counted_as_refused_and_may_come_again() -> None:
    gateway = _Gateway(max_body_bytes="1MiB", max_in_hand_bytes="1MiB")
    with gateway.in_hand.request() as other:
        gateway.in_hand.take(other, _MIB // 2)
        with pytest.raises(Refused) as refused:
            _run(gateway.send(Traces(gateway.encoder), _spans(3, 100_000)))
    assert refused.value.status == 503
    assert gateway.counted("received_records_total", protocol="otlp") == 3
    assert gateway.counted("refused_records_total", protocol="otlp", reason="unavailable") == 3
    assert gateway.in_hand.size == 0


def test_of_the_refused_records_only_those_that_the_answer_shows_are_kept() -> None:
    gateway = _Gateway()
    lines = Lines(gateway.encoder)
    taken = lines.decode(Request("", b"[1]\n" * 10, _RECEIVED))
    assert (taken.invalid, len(taken.shown), taken.records) == (10, 3, 10)
    assert "and 7 more" in taken.refusal(0)
