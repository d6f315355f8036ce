"""The replay jobs in their compacted topic: a record for each job, and further records with its selected trace ids."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypedDict

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, KafkaError, Message, Producer

from pipeline.kafka.admin import connect, no_such_job
from pipeline.kafka.compacted import Newest
from pipeline.kafka.join_windows import as_settings, given_windows, key_of, refuse_other_windows, windows_in
from pipeline.kafka.offsets import OffsetLookup, OffsetRange
from pipeline.kafka.reader import Reader
from pipeline.model.join_windows import BEFORE, JoinWindows, Recorded
from streams.join.settings import JoinSettings
from streams.replay.plan import Range, Selection
from tracelink.errors import InvalidRecord, UserError
from tracelink.kafka.client import PARTITIONER, client_log, client_properties
from tracelink.kafka.topics import PartitionId, TopicNames
from tracelink.model.codec import Codec, load_schema
from tracelink.settings import KafkaSettings

_log = logging.getLogger(__name__)

_KEYS_AT_ONCE = 50_000
_KEY_BYTES = 16
_TIMEOUT = 30.0


class Input(TypedDict):
    """See replay_job.avsc."""

    topic: str
    partition: int
    head: int
    start: int
    end: int
    tail: int
    limit: int


class Job(TypedDict):
    """See replay_job.avsc."""

    name: str
    created: int
    completeUntil: int
    state: str
    asked: str
    begin: int
    end: int
    gap: int
    traces: int | None
    numbers: list[int] | None
    inputs: list[Input]
    records: int
    bytes: int
    cut: int


JOB: Codec[Job] = Codec(load_schema("replay_job"))


@dataclass(frozen=True, slots=True)
class Stored:
    """A job, the keys of its selected traces (None for all), and its windows (None in a job of an older version)."""

    job: Job
    keys: frozenset[bytes] | None
    windows: JoinWindows | None = None

    def selection(self) -> Selection:
        """Return the job's selection."""
        job = self.job
        numbers = None if job["numbers"] is None else frozenset(job["numbers"])
        return Selection(job["begin"], job["end"], job["gap"], self.keys, numbers)

    def ranges(self) -> dict[PartitionId, Range]:
        """Return the job's range in each input."""
        return {
            (one["topic"], one["partition"]): Range(one["start"], one["end"], one["limit"])
            for one in self.job["inputs"]
        }

    def offset_ranges(self) -> dict[PartitionId, OffsetRange]:
        """Return the offset range to read of each input."""
        return {(one["topic"], one["partition"]): OffsetRange(one["head"], one["tail"]) for one in self.job["inputs"]}


class Jobs:
    """Reads and writes the topic; raises UserError."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._topic = TopicNames(settings.topic_prefix).jobs

    def read(self) -> dict[str, Stored]:
        """Return the jobs by name, the oldest first."""
        newest = self._newest()
        found: dict[str, Stored] = {}
        for key, value in newest.items():
            if b"/" in key:
                continue
            try:
                job = JOB.decode(value)
            except InvalidRecord as error:
                _log.warning("a job in %s is invalid and is skipped: %s: %s", self._topic, key, error)
                continue
            parts = [newest.get(one, b"") for one in _parts_of(job)]
            keys = frozenset(_keys(b"".join(parts)))
            found[job["name"]] = Stored(job, None if job["traces"] is None else keys, _windows(newest, job))
        return dict(sorted(found.items(), key=lambda one: one[1].job["created"]))

    def get(self, name: str) -> Stored:
        """Return a job; raises UserError if it does not exist or is incomplete."""
        found = self.read().get(name)
        if found is None:
            raise no_such_job(name)
        if found.keys is not None and len(found.keys) != found.job["traces"]:
            raise UserError(f"The job {name} was not written completely. Delete it: tracelink replay delete {name}")
        return found

    def now(self) -> int:
        """Return the broker time, in milliseconds since the epoch: the clock of the inputs' timestamps."""
        return self._produce({b"/now": None})

    def write(self, stored: Stored) -> None:
        """Write a new job, its trace ids first."""
        job = stored.job
        packed = b"".join(map(bytes.fromhex, map(bytes.decode, sorted(stored.keys or ()))))
        size = _KEYS_AT_ONCE * _KEY_BYTES
        parts = {key: packed[number * size : (number + 1) * size] for number, key in enumerate(_parts_of(job))}
        if stored.windows is not None:
            parts[_windows_of(job)] = Recorded(0, 0, stored.windows).encode()
        self._produce({**parts, job["name"].encode(): JOB.encode(job)})

    def update(self, job: Job) -> None:
        """Replace the record of a job; its trace ids stay."""
        self._produce({job["name"].encode(): JOB.encode(job)})

    def delete(self, job: Job) -> None:
        """Delete a job, its trace ids and its windows."""
        self._produce(dict.fromkeys([job["name"].encode(), *_parts_of(job), _windows_of(job)]))

    def windows(self) -> list[Recorded]:
        """Return the history of the join's windows."""
        return windows_in(self._newest())

    def record(self, recorded: Recorded) -> None:
        """Add windows to the history."""
        self._produce({key_of(recorded): recorded.encode()})

    def _newest(self) -> Newest:
        whole = OffsetLookup(connect(self._settings)).whole(self._topic)
        with Reader(self._settings, f"{self._topic}.list", whole) as reader:
            return Newest.of(reader.messages())

    def _produce(self, records: dict[bytes, bytes | None]) -> int:
        """Write records; returns the broker time of the last one, in milliseconds since the epoch."""
        failed: list[KafkaError] = []
        times = [0]

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                failed.append(error)
            elif message.timestamp()[0] == TIMESTAMP_LOG_APPEND_TIME:
                times.append(message.timestamp()[1])

        properties = client_properties(
            self._settings,
            # Duplicates do no harm, and an idempotent producer takes half a second to start.
            promised={"acks": "all", "max.in.flight.requests.per.connection": 1, "partitioner": PARTITIONER},
            defaults={"message.max.bytes": 4 * 1024 * 1024, "compression.type": "lz4"},
        )
        producer = Producer(dict(properties), logger=client_log(__name__))
        for key, value in records.items():
            producer.produce(self._topic, value, key, on_delivery=delivered)
        if producer.flush(_TIMEOUT) or failed:
            why = failed[0].str() if failed else "Kafka does not answer"
            raise UserError(f"Cannot write to {self._topic}: {why}.")
        if not times[1:]:
            raise UserError(f"{self._topic} does not use LogAppendTime. Correct it with: tracelink topics apply")
        return max(times)


def with_windows_of_job(settings: JoinSettings) -> JoinSettings:
    """Return settings with the windows for which a job was copied; raises UserError if they give others."""
    names = TopicNames(settings.topic_prefix)
    if settings.replay is None or names.jobs not in OffsetLookup(connect(settings)).topics():
        return settings
    stored = Jobs(settings).read().get(settings.replay)
    if stored is None:
        return settings
    given = given_windows(settings)
    windows = windows_to_join(stored, given)
    refuse_other_windows(settings.replay, windows, given)
    return settings.model_copy(update=as_settings(windows))


def windows_to_join(stored: Stored, given: Mapping[str, int]) -> JoinWindows:
    """Return the windows to join a job with: its own; a job of an older version has its gap alone."""
    if stored.windows is not None:
        return stored.windows
    return replace(BEFORE, **{**given, "idle_gap": stored.job["gap"]})


def _parts_of(job: Job) -> list[bytes]:
    """Return the keys of the records with a job's trace ids, which may be too many for one message."""
    count = -(-(job["traces"] or 0) // _KEYS_AT_ONCE)
    return [f"{job['name']}/{number}".encode() for number in range(count)]


def _windows_of(job: Job) -> bytes:
    """Return the key of the record with a job's windows."""
    return f"{job['name']}/windows".encode()


def _windows(newest: Mapping[bytes, bytes], job: Job) -> JoinWindows | None:
    found = newest.get(_windows_of(job))
    return None if found is None else Recorded.decode(found).windows


def _keys(packed: bytes) -> Iterator[bytes]:
    for at in range(0, len(packed), _KEY_BYTES):
        yield packed[at : at + _KEY_BYTES].hex().encode()
