"""Selects the traces of a replay by their ids, or by the join's output."""

import struct
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from pipeline.cli.trace_id import given_trace_id
from pipeline.kafka.joined import JoinedPart, JoinedParts
from pipeline.model import splice
from tracelink.errors import InvalidRecord, UserError
from tracelink.model.records import Flag, Trace, service_of

_POSITIVE = 0x7FFFFFFF
_SEED, _MIX, _WORD = 0x9747B28C, 0x5BD1E995, 0xFFFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition to which producers send a key (`murmur2_random`, the same as Java's default)."""
    return (_murmur2(key) & _POSITIVE) % partitions


def _murmur2(data: bytes) -> int:
    """Return the hash of Kafka's clients: MurmurHash2 of 32 bits, with Java's seed (o.a.kafka.common.utils.Utils)."""
    found = _SEED ^ len(data)
    whole = len(data) & ~3
    for (word,) in struct.iter_unpack("<I", data[:whole]):
        mixed = word * _MIX & _WORD
        found = (found * _MIX & _WORD) ^ ((mixed ^ mixed >> 24) * _MIX & _WORD)
    if rest := data[whole:]:
        found = (found ^ int.from_bytes(rest, "little")) * _MIX & _WORD
    found = (found ^ found >> 13) * _MIX & _WORD
    return found ^ found >> 15


def parse_keys(ids: Iterable[str], files: Iterable[Path]) -> frozenset[bytes]:
    """Return the keys of traces from ids, and from files with one id per line; raises UserError."""
    keys = {_key(text, "--trace-id") for text in ids}
    for path in files:
        name = "standard input" if str(path) == "-" else str(path)
        try:
            with click.open_file(str(path), encoding="utf-8") as file:
                for number, line in enumerate(file, 1):
                    if text := line.partition("#")[0].strip():
                        keys.add(_key(text, f"{name}:{number}"))
        except OSError as error:
            raise UserError(f"{name}: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise UserError(f"{name} is not UTF-8 text.") from None
    return frozenset(keys)


def joined_keys(
    parts: JoinedParts, *, errored: bool, services: frozenset[str], on_progress: Callable[[int, int], None]
) -> frozenset[bytes]:
    """Return the keys of the joined traces that have records of all these services and, if `errored`, are errored.

    `on_progress` gets the number of messages read, and their total.
    """
    erred: set[bytes] = set()
    served: dict[str, set[bytes]] = {service: set() for service in services}
    for some in parts.read():
        for part in some:
            if part.head is not None and part.head.flags & Flag.ERROR:
                erred.add(part.head.trace_id)
            _note_services(part, served)
        on_progress(parts.done, parts.total)
    found = ([erred] if errored else []) + list(served.values())
    return frozenset(one.hex().encode() for one in set.intersection(*found))


def _note_services(part: JoinedPart, served: dict[str, set[bytes]]) -> None:
    value = part.message.value() or b""
    maybe = [service for service in served if service.encode() in value]  # a decode costs more than a search
    if part.head is None or not maybe:
        return
    try:
        there = _services(splice.decode(value).trace)
    except InvalidRecord:
        return
    for service in there & set(maybe):
        served[service].add(part.head.trace_id)


def _services(trace: Trace) -> set[str]:
    named = [*map(service_of, trace["spans"]), *[log.get("service") for log in trace["logs"]]]
    return {service for service in named if service}


def _key(text: str, where: str) -> bytes:
    return given_trace_id(text, where).hex().encode()
