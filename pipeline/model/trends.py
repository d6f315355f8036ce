"""Curves: how many errors or dead letters each minute of a day had, by fingerprint, service or reason.

`tracelink trends` writes them to the topic `trends`. Each partition of the source topic has curves of its own, so a
reader adds up the curves of all partitions. Curves are approximate: they may count an occurrence of an aborted
transaction.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal, TypedDict

from tracelink.errors import InvalidRecord, Reason
from tracelink.model.avro import read_varint
from tracelink.model.codec import HEADER_BYTES, Codec, load_schema

MINUTES = 24 * 60
"""The minutes that a curve covers."""
OTHER = "(other)"
"""The name under which names beyond the limit are counted together."""

_LONGEST_NAME = 256

Kind = Literal["fingerprint", "service", "reason"]
KINDS: tuple[Kind, ...] = ("fingerprint", "service", "reason")


class Curve(TypedDict):
    """One curve in one partition; see the schema."""

    offset: int
    newest: int
    ages: list[int]
    counts: list[int]
    kind: Kind
    partition: int
    name: str


CURVE: Codec[Curve] = Codec(load_schema("curve"))


def bounded(name: str) -> str:
    """Return the name of a curve, truncated if it is long."""
    return name[:_LONGEST_NAME]


def key_of(kind: Kind, partition: int, name: str) -> bytes:
    """Return the key of a curve: KIND|PARTITION|NAME."""
    return f"{kind}|{partition}|{name}".encode(errors="replace")


def partition_in(key: bytes) -> int:
    """Return the partition in a key; raises InvalidRecord if the key is not one of `key_of`."""
    parts = key.split(b"|", 2)
    if len(parts) != 3 or not parts[1].isdigit():  # noqa: PLR2004 - kind, partition, name
        raise InvalidRecord(Reason.KEY, f"{key[:80]!r} is not KIND|PARTITION|NAME")
    return int(parts[1])


def head_of(message: bytes) -> tuple[int, int]:
    """Return the offset and the newest minute of an encoded curve, without decoding the rest; raises InvalidRecord."""
    if not message.startswith(CURVE.header):
        curve = CURVE.decode(message)
        return curve["offset"], curve["newest"]
    try:
        offset, end = read_varint(message, HEADER_BYTES)
        return offset, read_varint(message, end)[0]
    except (IndexError, EOFError):
        raise InvalidRecord(Reason.BODY, "the curve is cut off") from None


def minutes_of(curve: Curve) -> dict[int, int]:
    """Return the count of each minute of a curve, the newest first; minutes are since the epoch."""
    return {curve["newest"] - age: count for age, count in zip(curve["ages"], curve["counts"], strict=False)}


def summed(curves: Iterable[Curve]) -> dict[int, int]:
    """Return the count of each minute over several curves, such as those of all partitions, oldest minute first."""
    total = Counter[int]()
    for curve in curves:
        total.update(minutes_of(curve))
    return dict(sorted(total.items()))


def buckets(minutes: Mapping[int, int], start: int, end: int, number: int) -> list[int]:
    """Return the sums of so many equal buckets from the minute `start` to before the minute `end`."""
    sums = [0] * number
    for minute, count in minutes.items():
        if start <= minute < end:
            sums[(minute - start) * number // (end - start)] += count
    return sums
