"""What an earlier version has written to Kafka, to Elasticsearch and into webhooks, as it was recorded there.

Each list of the file has one record a line. Names of topics are without their prefix; a message's value is base64, of
bz2 where it is long; `clock` is the type of its time, as the client numbers it.
"""

import base64
import bz2
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Any, Self, cast

import orjson
from confluent_kafka import Message, TopicPartition

from pipeline.kafka.offsets import GroupOffset, OffsetRange
from pipeline.kafka.transactions import Dated
from streams.join.partition import TargetMessage
from tracelink.kafka.topics import PartitionId, TopicNames
from tracelink.settings import KafkaSettings

Json = dict[str, Any]
Headers = list[tuple[str, bytes]]
Sent = tuple[bytes | None, bytes | None, Headers]
"""Key, value and headers of a message."""

_RECORDED: dict[str, list[Json]] = orjson.loads(Path(__file__).with_name("recorded.json").read_bytes())
_TOPIC = "topic "
NAMES = TopicNames()
JOB = NAMES.of_job("again")
(SETTINGS,) = _RECORDED["settings"]
PARTITIONS = range(int(SETTINGS["partitions"]))
NO_TRACE = b"no trace"
"""What was put into the topics of traces to become a dead letter."""


def rows(name: str) -> list[Json]:
    """Return a list of the file."""
    return _RECORDED[name]


def topics() -> list[str]:
    return [NAMES.prefix + name.removeprefix(_TOPIC) for name in _RECORDED if name.startswith(_TOPIC)]


def messages(topic: str, partition: int | None = None) -> list[Message]:
    """Return the messages of a topic, or of one of its partitions, in their order; none of one of another name."""
    return [one for one in _messages(topic) if partition in {None, one.partition()}]


@cache
def _messages(topic: str) -> list[Message]:
    return [_message(topic, row) for row in _RECORDED.get(_TOPIC + topic.removeprefix(NAMES.prefix), ())]


def message_at(topic: str, partition: int | None, offset: int | None) -> Message:
    (found,) = [one for one in messages(topic, partition) if one.offset() == offset]
    return found


def _message(topic: str, row: Json) -> Message:
    headers = [(name, value.encode()) for name, value in row["headers"]]
    return Message(
        topic=topic,
        partition=row["partition"],
        offset=row["offset"],
        key=None if row["key"] is None else row["key"].encode(),
        value=_value(row),
        headers=headers or None,
        timestamp=(row["clock"], row["time"]),
    )


def _value(row: Json) -> bytes | None:
    if "packed" in row:
        return bz2.decompress(base64.b64decode(row["packed"]))
    return None if row["value"] is None else base64.b64decode(row["value"])


def value_of(message: Message) -> bytes:
    """Return the value of a message that has one."""
    value = message.value()
    assert value is not None
    return value


def key_of(message: Message) -> str:
    return (message.key() or b"").decode()


def headers_of(message: Message) -> Headers:
    return list(cast("Headers", message.headers() or []))


def sent(message: Message) -> Sent:
    """Return a message as a producer was given it."""
    return message.key(), message.value(), headers_of(message)


def outgoing(message: TargetMessage) -> Sent:
    return message.key, message.value, message.headers or []


def place(message: Message) -> str:
    """Name a message in a test's id."""
    return f"{message.topic()}-{message.partition()}-{message.offset()}"


def is_trace(message: Message) -> bool:
    """Tell whether a message of a topic of traces is one: neither an end marker nor what was put there to be none."""
    return message.value() not in {None, NO_TRACE}


def traces() -> list[Message]:
    """Return the parts of traces that the live join has put out."""
    return list(filter(is_trace, messages(NAMES.traces)))


def error_traces() -> list[Message]:
    return list(filter(is_trace, messages(NAMES.error_traces)))


def errors() -> list[Message]:
    """Return the occurrences, in the order of their partition; the one message that is none lies in another."""
    return messages(NAMES.errors, 1)


def problems() -> list[Message]:
    """Return the states of problems; not that they were forgotten."""
    return [one for one in messages(NAMES.problems) if one.value() is not None]


def committed(group: str) -> dict[PartitionId, GroupOffset]:
    """Return what a group has committed."""
    return {
        (row["topic"], row["partition"]): GroupOffset(row["offset"], row["metadata"])
        for row in rows("committed")
        if row["group"] == group
    }


def documents(kind: str) -> dict[tuple[str, str], Json]:
    """Return the documents of the indices whose names begin so, by index and id."""
    return {(row["index"], row["id"]): row for row in rows("documents") if row["index"].startswith(kind)}


def marks() -> list[Message]:
    return messages(NAMES.resolutions)


class Written:
    """Stands in for Transactions: keeps what is sent and committed."""

    def __init__(self, _properties: Mapping[str, Any], _stopping: Event) -> None:
        self.sent: dict[PartitionId, list[tuple[int | None, Sent]]] = {}
        """By topic and partition (-1 where that is the key's): the message, and its time where that is given."""
        self.committed: list[TopicPartition] = []

    def start(self) -> None:
        """Nobody is fenced off."""

    def send(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers | None = None, *, partition: int = -1
    ) -> None:
        self.sent.setdefault((topic, partition), []).append((None, (key, value, headers or [])))

    def send_dated(self, topic: str, partition: int, copies: list[Dated]) -> None:
        for key, value, time, headers in copies:
            found = [(name, text) for name, text in headers if isinstance(text, bytes)]
            self.sent.setdefault((topic, partition), []).append((time, (key, value, found)))

    def poll(self) -> None:
        """All is delivered."""

    def flush(self) -> None:
        """All is delivered."""

    def commit(self, offsets: list[TopicPartition], _member: object) -> None:
        self.committed = offsets


class Rereader:
    """Stands in for Reader: gives what was recorded of the stretches, all at once."""

    def __init__(
        self, _settings: KafkaSettings, _name: str, offset_ranges: Mapping[PartitionId, OffsetRange], **_more: object
    ) -> None:
        self._offset_ranges = offset_ranges
        self.positions = {one: offset_range.start for one, offset_range in offset_ranges.items()}
        self.unread = set(offset_ranges)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing is open."""

    def poll(self) -> Iterator[tuple[PartitionId, list[Message]]]:
        for one, offset_range in self._offset_ranges.items():
            self.positions[one] = offset_range.end
            self.unread.discard(one)
            found = [
                message
                for message in messages(*one)
                if offset_range.start <= (message.offset() or 0) < offset_range.end
            ]
            if found:
                yield one, found

    def member(self) -> object:
        return None
