"""An outage of an hour, caught up at full speed while one input is far ahead of the other."""

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from random import Random

from confluent_kafka import KafkaError, Producer
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from pipeline.kafka.admin import connect
from tests.faults.checks import Check
from tests.faults.manifest import Fate, Manifest, Sent
from tests.faults.outcome import Stored
from tests.faults.scenario import Tell
from tests.faults.servers import Servers
from tests.faults.setting import CUTS, setting
from tests.faults.special.heavier import Heavier
from tests.faults.traffic import Message, Shape, messages, new_run
from tests.faults.verdict import verdict
from tests.kit.waiting import wait_for
from tracelink.kafka.client import PARTITIONER
from tracelink.settings import KafkaSettings

_HOUR = 3600.0
_LATE = 10.0  # the longest after the last second that a message may be
_STRETCHES = 6
_SETTING = "message.timestamp.type"
_PATIENCE = 30.0


def run_outage(
    seed: int,
    servers: Servers,
    folder: Path,
    tell: Tell = lambda _: None,
    *,
    size: int = 40_000,
    seconds: float = 60.0,
    padding: int = 1500,
) -> list[Check]:
    """Let workers start after an hour away: `size` messages of six stretches, `seconds` long together, wait for them.

    One of the two inputs, by the seed, was written whole before the other began, and the other's messages have
    `padding` bytes more: so it is far ahead while they catch up. The parts must be those of a run that was never away.
    """
    ahead = Random(f"{seed} outage").sample(["spans", "logs"], 2)
    shape = Shape(rate=size / seconds, seconds=seconds)
    planned = messages(seed, shape, run=new_run())
    # A trace may err in one stretch and again in the next: longer apart than errored ids are remembered by default.
    with setting(servers, folder, running=False, TRACELINK_LATE_FOR=str(2 * _HOUR)) as place:
        inputs = [f"{place.prefix}{name}" for name in ahead]
        _stamp_by(servers.endpoints.kafka, inputs, "CreateTime")
        stretched = _stretched(map(Heavier(padding, ahead[1]), planned), seconds)
        manifest = _publish(servers.endpoints.kafka, place.prefix, stretched, ahead[0])
        _stamp_by(servers.endpoints.kafka, inputs, "LogAppendTime")
        tell(f"{len(manifest.sent)} messages of the past hour are there, starting")
        started = time.monotonic()
        place.start()
        checks, outcome = verdict(place, manifest, CUTS)
        tell(f"caught up in {time.monotonic() - started:.1f} s")
        return [_spread(outcome.spans, outcome.logs), *checks]


def _stamp_by(servers: str, topics: list[str], clock: str) -> None:
    """Say whose clock stamps the messages that come from now on, and wait until the broker shows that it knows."""
    admin = connect(KafkaSettings(kafka_bootstrap_servers=servers))
    entry = ConfigEntry(_SETTING, clock, incremental_operation=AlterConfigOpType.SET)
    changes = [ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry]) for topic in topics]
    for future in admin.incremental_alter_configs(changes).values():
        future.result(_PATIENCE)

    def seen() -> bool:
        asked = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic) for topic in topics])
        return all(future.result(_PATIENCE)[_SETTING].value == clock for future in asked.values())

    wait_for(f"{clock} on {topics}", seen)


def _publish(servers: str, prefix: str, planned: Iterable[Message], first: str) -> Manifest:
    """Send everything as if at its own time of day, one of the inputs first."""
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "partitioner": PARTITIONER,
            "enable.idempotence": True,
            "linger.ms": 5,
            "queue.buffering.max.messages": 2_000_000,
        }
    )
    manifest = Manifest()
    for message in sorted(planned, key=lambda one: one.topic != first):
        manifest.sent.append(_send(producer, prefix, message))
        producer.poll(0)
    assert producer.flush(_PATIENCE) == 0
    return manifest


def _send(producer: Producer, prefix: str, message: Message) -> Sent:
    one = Sent(message)

    def delivered(error: KafkaError | None, _: KafkaMessage) -> None:
        if error is None:
            one.fate = Fate.ACKNOWLEDGED

    topic, stamp = prefix + message.topic, round(1000 * message.at)
    producer.produce(topic, message.value, message.key, timestamp=stamp, on_delivery=delivered)
    return one


def _stretched(planned: Iterable[Message], seconds: float) -> list[Message]:
    """Spread traffic of some seconds over the past hour, in stretches within which time passes as it does.

    So windows keep their sense. Times are times of day then, and none is still to come.
    """
    length = seconds / _STRETCHES
    began = time.time() - _HOUR - length - _LATE
    moved = []
    for message in planned:
        stretch = min(int(message.at / length), _STRETCHES - 1)  # the last has what comes after the last second
        at = began + stretch * _HOUR / (_STRETCHES - 1) + message.at - stretch * length
        moved.append(replace(message, at=at))
    return moved


def _spread(*inputs: list[Stored]) -> Check:
    """The hour is really there: else all else would only have shown a run like any other."""
    against, looked_at = [], []
    for stored in inputs:
        times = [one.time for one in stored]
        minutes = (max(times) - min(times)) / 60_000
        if minutes < _HOUR / 60:
            against.append(f"{stored[0].topic} reaches over {minutes:.0f} minutes only")
        size = sum(len(one.value or b"") for one in stored) / 1_000_000
        looked_at.append(f"{len(stored)} messages, {size:.0f} MB, over {minutes:.0f} minutes")
    return Check("the inputs reach over the hour", tuple(against), "; ".join(looked_at))
