"""The way of a request through the gateway: what it counts as in hand, and what it refuses."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from threading import Event, Lock
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from prometheus_client import CollectorRegistry

from pipeline.formats.decoded import TooManyRecords
from pipeline.formats.inflate import Inflater
from producers.gateway.access import Senders
from producers.gateway.body import read_body
from producers.gateway.delivery import Delivery
from producers.gateway.in_hand import InHand, Refused
from producers.gateway.intake import Intake
from producers.gateway.lines import Lines
from producers.gateway.metrics import GatewayMetrics
from producers.gateway.otlp import Metrics, Traces
from producers.gateway.protocol import PROTOBUF, Answer, Door, Encoder, Request, Taken
from producers.gateway.rates import Rates
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
        file, rate = self.settings.gateway_tokens_file, self.settings.sender_rate
        self.intake = Intake(
            self.in_hand,
            self.kafka,
            None if file is None else Senders(file),
            None if rate is None else Rates(int(rate), clock=lambda: 0.0),
            metrics,
            within=self.settings.answer_within,
        )

    async def send(self, door: Door, body: bytes, sender: str | None = None) -> Answer:
        with self.in_hand.request() as share:
            self.in_hand.take(share, len(body))
            return await self.intake.take(door, Request(PROTOBUF, body, _RECEIVED, sender), share)

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


class _Turns:
    """Work that says if two threads do it at once; one waits a little for another to come."""

    def __init__(self) -> None:
        self._alone = Lock()
        self._met = Event()

    def work(self) -> None:
        if not self._alone.acquire(blocking=False):
            self._met.set()
            return
        self._met.wait(0.2)
        self._alone.release()

    @property
    def met(self) -> bool:
        return self._met.is_set()


class _Door(Metrics):
    """A path whose requests are decoded as a test wants."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__()
        self._work = work

    def decode(self, request: Request) -> Taken:
        self._work()
        return super().decode(request)


def test_large_bodies_are_decoded_one_at_a_time() -> None:
    gateway = _Gateway()
    turns = _Turns()
    door = _Door(turns.work)

    async def send() -> None:
        await asyncio.gather(*[gateway.send(door, bytes(_MIB)) for _ in range(3)])

    _run(send())
    assert not turns.met


def test_a_large_body_whose_time_is_up_before_its_turn_is_not_decoded() -> None:
    gateway = _Gateway(answer_within="0.1")
    decoded: list[int] = []

    def work() -> None:
        decoded.append(1)
        Event().wait(0.2)

    async def send() -> list[object]:
        first = [gateway.send(_Door(work), bytes(_MIB)) for _ in range(2)]
        return await asyncio.gather(*first, return_exceptions=True)

    answered, refused = _run(send())
    assert answered.status == 200
    assert isinstance(refused, Refused)
    assert refused.status == 503
    assert len(decoded) == 1


def test_large_bodies_are_inflated_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = _Gateway()
    turns = _Turns()
    body = bytes(100_000)
    scope: Any = SimpleNamespace(headers={"content-length": str(len(body))})

    async def sent() -> bytes:
        return body

    protocol: Any = sent

    async def read() -> bytes:
        with gateway.in_hand.request() as share:
            return await read_body(scope, protocol, gateway.in_hand, share, gateway.settings)

    async def all_of_them() -> list[bytes]:
        return await asyncio.gather(*[read() for _ in range(3)])

    feed = Inflater.feed

    def feeding(inflater: Inflater, chunk: bytes) -> None:
        turns.work()
        feed(inflater, chunk)

    monkeypatch.setattr(Inflater, "feed", feeding)
    assert _run(all_of_them()) == [body] * 3
    assert not turns.met


def test_a_sender_beyond_its_rate_is_refused_before_its_body_is_read_or_decoded(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("shop:s3cret\nmobile:other\n")
    gateway = _Gateway(gateway_tokens_file=str(tokens), sender_rate="100")
    assert gateway.intake.check("Bearer s3cret") == "shop"
    decoded: list[int] = []
    door = _Door(lambda: decoded.append(1))
    _run(gateway.send(door, bytes(1001), sender="shop"))
    later: list[Callable[[], object]] = [
        lambda: gateway.intake.check("Bearer s3cret"),
        lambda: _run(gateway.send(door, b"", sender="shop")),
    ]
    for refused in later:
        with pytest.raises(Refused) as error:
            refused()
        assert (error.value.status, error.value.retry_after) == (429, 1)
    assert len(decoded) == 1
    assert gateway.intake.check("Bearer other") == "mobile"
