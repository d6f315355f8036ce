"""Seeded traffic: spans and log lines that each carry a serial of their own, in traces whose verdict is known.

Pure: the same seed and shape give the same messages in a process.
"""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal
from uuid import uuid4

from tests.faults.poison import KINDS, Poison
from tests.faults.wire import Json, decode, encode

Topic = Literal["spans", "logs", "unlinked-logs"]

_SERVICES = ("cart", "checkout", "payment", "stock", "ship")
_WORDS = ("done", "naïve café", 'said "no"', "line\nbreak", "tab\there", "雪", "null\\0", "")
# What fails is another operation in each second, so that there are new problems throughout a run.
_VERBS = ("get", "put", "list", "buy", "sell", "pack", "ship", "weigh", "price", "stamp", "sort", "move", "hold")
_FIRST_MICROSECOND = time.time_ns() // 1000
"""The times of records: of today, because a record whose clock is more than a day off has the index of the day on which
its part opened, and one that comes twice around midnight would be in two of them."""
_ERROR, _ROOT = 1, 2


@dataclass(frozen=True, slots=True)
class Record:
    """A span or a log line; `body` is as Avro has it."""

    serial: int
    topic: Topic
    trace: str
    errored: bool
    body: Json


@dataclass(frozen=True, slots=True)
class Message:
    """What is published `at` seconds after the start: a record, or poison."""

    at: float
    topic: Topic
    key: bytes | None
    value: bytes | None
    record: Record | None = None
    poison: Poison | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """What the traffic is like; shares are of traces, or of messages for `duplicates`."""

    rate: float = 300
    """Messages a second."""
    seconds: float = 10
    errored: float = 0.1
    late: float = 0.05
    """Come back once more after their window has closed."""
    late_errors: float = 0.03
    """Err only then, and once more after that."""
    duplicates: float = 0.1
    spread: float = 0.4
    """Seconds over which a trace's records come, in any order."""
    window: float = 0.5
    """Seconds of silence that close a window."""
    hot_records: int = 60
    """Records of a trace that comes once a second, all at once: more than a part holds."""
    poison: bool = False
    logs_until: float = 1e9
    """Second after which no log line comes any more."""


def new_run() -> str:
    """Return what opens the trace ids of a run, unlike those of any other."""
    return f"f{uuid4().hex[:7]}"


def messages(seed: int, shape: Shape, *, run: str = "f0000000", spare: float = 0) -> list[Message]:
    """Make the messages of a run in the order of their sending, for some seconds more than the shape says.

    Faults may take longer than planned, and must meet traffic all the while. `run`, eight hex characters, opens every
    trace id: a second run of the same seed must not meet the first one's spans in Zipkin.
    """
    return sorted(_Maker(seed, shape, run, shape.seconds + spare).all(), key=lambda message: message.at)


class _Maker:
    def __init__(self, seed: int, shape: Shape, run: str, seconds: float) -> None:
        self._chance = random.Random(seed)
        self._run = run
        self._shape = shape
        self._seconds = seconds
        self._serial = 0

    def all(self) -> Iterator[Message]:
        shape, chance, seconds = self._shape, self._chance, self._seconds
        # A trace has 9 messages on the average, beside those that are repeated.
        for _ in range(round(shape.rate * seconds / (9 * (1 + shape.duplicates)))):
            start = chance.uniform(0, seconds)
            yield from self._repeated(self._trace(start, chance.randint(2, 9), chance.randint(0, 6)))
        for second in range(int(seconds)):
            yield from self._trace(second, shape.hot_records * 2 // 3, shape.hot_records // 3)
            yield from self._long_trace(second)
        for _ in range(round(2 * seconds)):
            yield self._unlinked(chance.uniform(0, seconds))
        if shape.poison:
            for number, kind in enumerate(KINDS, 1):
                yield from self._poisoned(shape.seconds * number / (len(KINDS) + 1), kind)

    def _trace(self, start: float, spans: int, logs: int) -> list[Message]:
        shape, chance = self._shape, self._chance
        trace = self._new_trace()
        errs = chance.random() < shape.errored
        culprit = chance.randrange(spans + logs) if errs else -1
        made: list[Message] = []
        root: str | None = None
        for number in range(spans + logs):
            at = start + chance.uniform(0, shape.spread)
            if number < spans:
                made.append(self._span(at, trace, root, errored=number == culprit))
                root = root or str(made[0].record.body["id"]) if made[0].record else None
            else:
                made.append(self._log(at, trace, errored=number == culprit))
        gone = start + shape.spread + shape.window
        if chance.random() < shape.late:
            made.append(self._log(gone + chance.uniform(1, 3), trace, errored=False))
        if chance.random() < shape.late_errors:
            made.append(self._span(gone + 1.5, trace, root, errored=True))
            made.append(self._log(gone + 3.5 + shape.window, trace, errored=True))
        return [message for message in made if message.topic != "logs" or message.at < shape.logs_until]

    def _long_trace(self, start: float) -> Iterator[Message]:
        """Make a trace that never rests, so that old offsets are needed for long and much is read again."""
        trace = self._new_trace()
        for number in range(20):
            yield self._span(start + number * self._shape.window * 0.7, trace, None, errored=number == 13)

    def _repeated(self, made: list[Message]) -> Iterator[Message]:
        for message in made:
            yield message
            if self._chance.random() < self._shape.duplicates:
                at = message.at + self._chance.uniform(0, self._shape.spread)
                yield Message(at, message.topic, message.key, message.value, message.record)

    def _new_trace(self) -> str:
        return f"{self._run}{self._chance.getrandbits(96):024x}"

    def _next(self) -> int:
        self._serial += 1
        return self._serial

    def _span(self, at: float, trace: str, parent: str | None, *, errored: bool) -> Message:
        chance, serial = self._chance, self._next()
        body: Json = {
            "flags": _ERROR * errored | _ROOT * (parent is None),
            "traceId": bytes.fromhex(trace),
            "id": f"{serial:016x}",
            "parentId": parent,
            "kind": chance.choice(["CLIENT", "SERVER", "PRODUCER", "CONSUMER", None]),
            "name": f"{_VERBS[int(at) % len(_VERBS)] if errored else 'get'} /{chance.choice(_SERVICES)}",
            "timestamp": _FIRST_MICROSECOND + serial,
            "duration": chance.randint(1, 1_000_000),
            "localEndpoint": {"serviceName": chance.choice(_SERVICES), "ipv4": "10.0.0.1", "ipv6": None, "port": 80},
            "remoteEndpoint": None,
            "annotations": [{"timestamp": _FIRST_MICROSECOND + serial, "value": "sent"}] if serial % 5 == 0 else [],
            "tags": {"serial": str(serial), "word": chance.choice(_WORDS)} | ({"error": "failed"} if errored else {}),
            "debug": None,
            "shared": None,
        }
        record = Record(serial, "spans", trace, errored, body)
        return Message(at, "spans", trace.encode(), encode("span", body), record)

    def _log(self, at: float, trace: str, *, errored: bool, topic: Topic = "logs") -> Message:
        chance, serial = self._chance, self._next()
        body: Json = {
            "flags": _ERROR * errored,
            "traceId": bytes.fromhex(trace),
            "id": f"faults-{trace[:8]}-{serial}",
            "spanId": None,
            "timestamp": _FIRST_MICROSECOND + serial,
            "service": chance.choice(_SERVICES),
            "level": "ERROR" if errored else "INFO",
            "logger": "faults",
            "message": f"line {serial}: {chance.choice(_WORDS)}",
            "exception": {"type": "OSError", "message": "gone", "stackTrace": "at line 1"} if errored else None,
            "fields": {"serial": str(serial)},
        }
        record = Record(serial, topic, trace, errored, body)
        key = trace.encode() if topic == "logs" else None
        return Message(at, topic, key, encode("log_record", body), record)

    def _unlinked(self, at: float) -> Message:
        return self._log(at, "0" * 32, errored=False, topic="unlinked-logs")

    def _poisoned(self, at: float, kind: Poison) -> Iterator[Message]:
        """Spoil a record; the one after it, under the same key, must not be held up."""
        make = self._span_alone if kind.topic == "spans" else self._log
        trace = self._new_trace()
        good = make(at, trace, errored=False)
        assert good.record
        assert good.value
        key, value = kind.spoil(trace.encode(), good.value, good.record.body)
        # Odd, and a record all the same.
        schema = "span" if kind.topic == "spans" else "log_record"
        odd = None if kind.letters or value is None else replace(good.record, body=decode(schema, value))
        yield Message(at, kind.topic, key, value, odd, kind)
        yield make(at + 0.01, trace, errored=False)

    def _span_alone(self, at: float, trace: str, *, errored: bool) -> Message:
        return self._span(at, trace, None, errored=errored)
