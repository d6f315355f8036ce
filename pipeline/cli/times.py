"""Time specs: an instant, an age, or the position of a record."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import click

from pipeline.kafka.offsets import OffsetLookup, OffsetRange
from pipeline.kafka.reader import Reader
from tracelink.errors import UserError
from tracelink.kafka.topics import PartitionId, TopicNames
from tracelink.settings import KafkaSettings

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_AGO = re.compile(r"^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)$")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLACE = re.compile(r"^([sl])(\d+)-(\d+)$")

TimeOf = Callable[[str, int, int], int]
"""Returns the time of the record at a topic, partition and offset, in milliseconds since the epoch."""

HELP = (
    "an instant (2026-11-24T12:00, UTC unless it says otherwise), 2h (ago), or a record (s3-4711: spans, partition 3)"
)
"""The forms that `parse` accepts, for the help text of a flag."""


class TimeSpec(click.ParamType):
    """A command-line option with a time spec; its value is the text, validated with `parse`."""

    name = "moment"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Reject an invalid time spec."""
        try:
            parse(value, 0, TopicNames(), lambda *_: 0)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return value


def parse(text: str, now: int, names: TopicNames, time_of: TimeOf) -> int:
    """Return a time spec in milliseconds since the epoch, as `now` is; raises ValueError if it is invalid."""
    text = text.strip()
    if found := _PLACE.match(text):
        topic = names.spans if found[1] == "s" else names.logs
        return time_of(topic, int(found[2]), int(found[3]))
    try:
        moment = now if text == "now" else _instant(text, now)
        shown(moment)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a time: write {HELP}") from None
    return moment


def _instant(text: str, now: int) -> int:
    if found := _AGO.match(text):
        return now - round(float(found[1]) * _UNITS[found[2]] * 1000)
    at = datetime.fromisoformat(text)
    return round(((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) / timedelta(milliseconds=1))


def shown(milliseconds: int) -> str:
    """Return a time in a form that `parse` accepts, to the millisecond."""
    at = _EPOCH + timedelta(milliseconds=milliseconds)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now_ms() -> int:
    """Return the current time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def milliseconds_of(text: str, now: int, settings: KafkaSettings, lookup: OffsetLookup) -> int:
    """Return a time spec in milliseconds since the epoch, as `now` is; raises UserError."""
    try:
        return parse(
            text,
            now,
            TopicNames(settings.topic_prefix),
            lambda topic, number, offset: _time_at(settings, lookup, (topic, number), offset),
        )
    except ValueError as error:
        raise UserError(f"{error}.") from None


def _time_at(settings: KafkaSettings, lookup: OffsetLookup, partition: PartitionId, offset: int) -> int:
    topic, number = partition
    if partition not in lookup.partitions(topic):
        raise UserError(f"{topic} has no partition {number}.")
    first, end = lookup.begins([partition])[partition], lookup.ends([partition])[partition]
    if first <= offset < end:
        with Reader(settings, f"{settings.topic_prefix}moment", {partition: OffsetRange(offset, offset + 1)}) as reader:
            for message in reader.messages():
                return message.timestamp()[1]
    raise UserError(
        f"{topic}[{number}] has no record at offset {offset}: it has offsets {first} up to, but not including, {end}."
    )
