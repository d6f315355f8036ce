"""One trace with a million spans, beside ordinary traffic.

Its spans are alike but for their ids, which are consecutive numbers: so they are counted in arrays of bytes instead of
being held.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import urllib3
from confluent_kafka import KafkaError, Producer
from confluent_kafka import Message as KafkaMessage

from tests.faults.batch_join import Cuts
from tests.faults.checks import Check, Checker
from tests.faults.manifest import Load, Manifest
from tests.faults.outcome import Outcome, Stored, as_stored, documents, zipkin_spans
from tests.faults.scenario import Tell
from tests.faults.servers import Servers
from tests.faults.setting import CUTS, Setting, setting
from tests.faults.special.memory import MIB, peak, processes
from tests.faults.traffic import Shape, messages, new_run
from tests.faults.verdict import drain, equations_hold, no_process_gives_up, traces_of
from tests.faults.wire import Json, Part, encode, read_part
from tests.kit.kafka import reading
from tests.kit.waiting import wait_for
from tracelink.kafka.client import PARTITIONER

_CUTS = Cuts(CUTS.idle_gap, CUTS.max_age, 20_000)
_PLACE = "feedfeedfeedfeed"
_PATIENCE = 60.0
_TICK = 0.1
_MOST = 255


def run_hot(
    seed: int,
    servers: Servers,
    folder: Path,
    tell: Tell = lambda _: None,
    *,
    size: int = 1_000_000,
    seconds: float = 10.0,
    rate: float = 300.0,
    most_memory: int = 400 * MIB,
) -> list[Check]:
    """Send a trace of `size` spans as fast as the brokers take them, into `seconds` of traffic like any other.

    `most_memory` bounds what a worker may have at any time.
    """
    planned = messages(seed, Shape(rate=rate, seconds=seconds), run=new_run())
    hot = _Hot(f"f{uuid4().hex[1:]}", size)
    with setting(servers, folder, TRACELINK_MAX_TRACE_RECORDS=str(_CUTS.max_records)) as place:
        load = Load(servers.endpoints.kafka, place.prefix, planned)
        load.start()
        hot.publish(servers.endpoints.kafka, f"{place.prefix}spans")
        tell(f"{size} spans of one trace sent")
        manifest = load.finish(seconds)
        tell(f"{len(manifest.sent)} other messages sent, draining")
        drained = drain(place)
        memory = _memory(place, most_memory)
        tell("reading what there is")
        ordinary = _collect(place, manifest, hot)
        checks = Checker(manifest, ordinary, place.prefix, _CUTS).all()
        return [drained, *checks, *_hot_checks(place, hot), memory, equations_hold(place), no_process_gives_up(place)]


class _Counts:
    """How often each of the numbers from 1 to `size` was seen; and how much that was none of them."""

    def __init__(self, size: int) -> None:
        self._seen = bytearray(size)
        self._strange = 0

    def add(self, number: int | None) -> None:
        if number is None or not 1 <= number <= len(self._seen):
            self._strange += 1
        elif self._seen[number - 1] < _MOST:
            self._seen[number - 1] += 1

    def against(self) -> tuple[str, ...]:
        """Say what is not there exactly once."""
        often = Counter(self._seen)
        found = [f"{often[times]} spans are there {times} times" for times in sorted(often) if times != 1]
        return (*found, *([f"{self._strange} spans are there and nobody sent them"] if self._strange else []))


class _Hot:
    """The trace: its spans by number, and what became of them in the topics."""

    def __init__(self, trace: str, size: int) -> None:
        self.trace = trace
        self.size = size
        self.sent = _Counts(size)
        self.joined = _Counts(size)
        self.wanted = _Cutter(_CUTS)
        self.parts: Counter[tuple[str, str, int]] = Counter()
        """Name, reason of closing and number of records of each part."""
        self._head, _, self._tail = encode("span", _span(trace, _PLACE)).partition(_PLACE.encode())

    @property
    def key(self) -> bytes:
        return self.trace.encode()

    def number(self, span: bytes) -> int | None:
        """Tell a span's number from its bytes; None where they are not exactly those that were sent."""
        middle = span[len(self._head) : len(self._head) + len(_PLACE)]
        return int(middle, 16) if span == self._head + middle + self._tail else None

    def publish(self, servers: str, topic: str) -> None:
        failed: list[KafkaError] = []
        producer = Producer(
            {
                "bootstrap.servers": servers,
                "partitioner": PARTITIONER,
                "enable.idempotence": True,
                "linger.ms": 5,
                "delivery.report.only.error": True,
                "on_delivery": lambda error, _: failed.append(error),
            }
        )
        for number in range(1, self.size + 1):  # Zipkin takes no id of zeros
            value = self._head + f"{number:016x}".encode() + self._tail
            while not _produced(producer, topic, value, self.key):
                producer.poll(0.1)
        assert producer.flush(_PATIENCE) == 0
        assert not failed

    def note_input(self, partition: int, offset: int, time: int, value: bytes) -> None:
        self.sent.add(self.number(value))
        self.wanted.add(f"s{partition}-{offset}", time)

    def note_part(self, part: Part) -> None:
        self.parts[part.name, part.reason, len(part.records)] += 1
        for span in part.records:
            self.joined.add(self.number(span))


def _produced(producer: Producer, topic: str, value: bytes, key: bytes) -> bool:
    try:
        producer.produce(topic, value, key)
    except BufferError:
        return False
    return True


def _span(trace: str, name: str) -> Json:
    return {
        "flags": 0,
        "traceId": bytes.fromhex(trace),
        "id": name,
        "parentId": None,
        "kind": "SERVER",
        "name": "get /hot",
        "timestamp": 1_790_000_000_000_000,
        "duration": 5,
        "localEndpoint": {"serviceName": "hot", "ipv4": None, "ipv6": None, "port": None},
        "remoteEndpoint": None,
        "annotations": [],
        "tags": {},
        "debug": None,
        "shared": None,
    }


class _Cutter:
    """The batch join's rule for one trace whose records come in order; it remembers the parts' sizes only."""

    def __init__(self, cuts: Cuts) -> None:
        self.parts: dict[str, int] = {}
        self._cuts = cuts
        self._name = ""
        self._first = self._last = 0

    def add(self, origin: str, time: int) -> None:
        cuts = self._cuts
        over = time > self._last + cuts.idle_gap or time > self._first + cuts.max_age
        if not self._name or over or self.parts[self._name] >= cuts.max_records:
            self._name, self._first = origin, time
            self.parts[origin] = 0
        self.parts[self._name] += 1
        self._last = time


def _each(servers: str, topic: str) -> Iterator[KafkaMessage]:
    """Read what a topic holds now, one message after another; each partition's in order."""
    with reading(servers, topic) as consumer:
        unread = {one.partition for one in consumer.assignment()}
        heard = time.monotonic()
        while unread:
            got = consumer.consume(1000, _TICK)
            heard = time.monotonic() if got else heard
            assert time.monotonic() - heard < _PATIENCE, f"{topic} does not come to its end"
            for message in got:
                error = message.error()
                if error is None:
                    yield message
                else:
                    assert error.code() == KafkaError._PARTITION_EOF, error  # noqa: SLF001 - confluent-kafka's name
                    unread.discard(message.partition() or 0)


def _collect(place: Setting, manifest: Manifest, hot: _Hot) -> Outcome:
    """Read everything; the hot trace is counted, and all else returned."""
    endpoints = place.servers.endpoints

    def others(topic: str) -> list[Stored]:
        found = (as_stored(message) for message in _each(endpoints.kafka, place.prefix + topic))
        return [one for one in found if not _is_hot(topic, one, hot, latest)]

    latest: dict[int, int] = defaultdict(int)
    elsewhere: Json = {"bool": {"must_not": {"term": {"trace.id": hot.trace}}}}
    with urllib3.PoolManager() as http:
        return Outcome(
            spans=others("spans"),
            logs=others("logs"),
            unlinked_logs=others("unlinked-logs"),
            traces=others("traces"),
            error_traces=others("error-traces"),
            errors=[],
            problems=[],
            alerts=[],
            dead_letters=others("dead-letters"),
            lines=list(documents(http, endpoints.elasticsearch, f"{place.indices}logs-*")),
            parts=list(documents(http, endpoints.elasticsearch, f"{place.indices}traces-*", elsewhere)),
            zipkin=list(zipkin_spans(http, endpoints.elasticsearch, sorted(traces_of(manifest)))),
        )


def _is_hot(topic: str, one: Stored, hot: _Hot, latest: dict[int, int]) -> bool:
    """Tell whether a message is the hot trace's, and count it then."""
    if topic == "spans":
        latest[one.partition] = max(latest[one.partition], one.time)
    if one.key != hot.key or topic not in {"spans", "traces"}:
        return False
    if topic == "spans":
        hot.note_input(one.partition, one.offset, latest[one.partition], one.value or b"")
    else:
        hot.note_part(read_part(one.value or b""))
    return True


def _hot_checks(place: Setting, hot: _Hot) -> list[Check]:
    looked_at = f"{hot.size} spans"
    with urllib3.PoolManager() as http:
        searchable = _in_elasticsearch(http, place, hot)
        shown = _in_zipkin(http, place.servers.endpoints.elasticsearch, hot)
    return [
        Check("each span of the hot trace is in the input once", hot.sent.against(), looked_at),
        Check("its parts add up to it", hot.joined.against(), looked_at),
        _parts(hot),
        Check("each of its spans is in Elasticsearch once", searchable.against(), looked_at),
        Check("each of its spans is in Zipkin once", shown.against(), looked_at),
    ]


def _parts(hot: _Hot) -> Check:
    """A part that holds as much as it may is FULL, no other is, and there is none but those that must be."""
    found = {name: size for name, _, size in hot.parts}
    wanted = hot.wanted.parts
    against = [f"{name} is there {times} times" for (name, _, _), times in hot.parts.items() if times > 1]
    against += [
        f"{name} has {found.get(name)} records instead of {size}"
        for name, size in wanted.items()
        if found.get(name) != size
    ]
    against += [f"{name} must not be" for name in found.keys() - wanted.keys()]
    against += [
        f"{name} with {size} records is {reason}"
        for name, reason, size in hot.parts
        if (reason == "FULL") != (size == _CUTS.max_records)
    ]
    reasons = Counter(reason for _, reason, _ in hot.parts)
    if not reasons["FULL"]:
        against.append("none is FULL")
    return Check("its parts are FULL", tuple(against), str(dict(reasons)))


def _in_elasticsearch(http: urllib3.PoolManager, place: Setting, hot: _Hot) -> _Counts:
    """Count the spans in the documents, one of which may have megabytes: so they are fetched one by one."""
    url = f"{place.servers.endpoints.elasticsearch}/{place.indices}traces-*/_search"
    query: Json = {"query": {"term": {"trace.id": hot.trace}}, "_source": False, "size": 10_000}
    counts = _Counts(hot.size)
    for hit in http.request("POST", url, json=query).json()["hits"]["hits"]:
        address = f"{place.servers.endpoints.elasticsearch}/{hit['_index']}/_doc/{hit['_id']}"
        for span in http.request("GET", address).json()["_source"]["spans"]:
            counts.add(int(span["id"], 16))
    return counts


def _in_zipkin(http: urllib3.PoolManager, elasticsearch: str, hot: _Hot) -> _Counts:
    query: Json = {"term": {"traceId": hot.trace}}

    def stored() -> bool:
        """Zipkin has answered for all of them, and may still be about to store some."""
        http.request("POST", f"{elasticsearch}/zipkin-span-*/_refresh")
        answer = http.request("POST", f"{elasticsearch}/zipkin-span-*/_count", json={"query": query}).json()
        return int(answer["count"]) >= hot.size

    with suppress(AssertionError):  # counted below
        wait_for("Zipkin to have stored all", stored)
    counts = _Counts(hot.size)
    for document in documents(http, elasticsearch, "zipkin-span-*", query):
        counts.add(int(document.source["id"], 16))
    return counts


def _memory(place: Setting, most: int) -> Check:
    peaks = [peak(process) for process in processes(place, "join")]
    against = tuple(f"a worker had {size / MIB:.0f} MiB" for size in peaks if size > most)
    shown = ", ".join(f"{size / MIB:.0f}" for size in sorted(peaks))
    return Check(f"a worker never has more than {most / MIB:.0f} MiB", against, f"at most {shown} MiB")
