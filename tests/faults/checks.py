"""What must hold after a run, whatever happened in it: one named check a promise."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from tests.faults.batch_join import Cuts, join
from tests.faults.manifest import Fate, Manifest
from tests.faults.outcome import Document, Outcome, Stored
from tests.faults.traffic import Message, Record
from tests.faults.wire import Json, Part, head, read_part

_SHOWN = 5
_NO_TRACE = "0" * 32
# Kept by no window's rule, or not seen in time: the batch cannot tell these parts.
_PRESSURE = "PRESSURE"

_LONGEST_IN_ZIPKIN = 32_766
"""Bytes of a text."""


@dataclass(frozen=True, slots=True)
class Check:
    """A promise, what is against it (nothing where it was kept), and what was looked at."""

    name: str
    against: tuple[str, ...] = ()
    looked_at: str = ""

    @property
    def ok(self) -> bool:
        return not self.against

    def __str__(self) -> str:
        if self.ok:
            return f"ok    {self.name}: {self.looked_at}"
        more = f" (+{len(self.against) - _SHOWN} more)" if len(self.against) > _SHOWN else ""
        return f"FAIL  {self.name}: {'; '.join(self.against[:_SHOWN])}{more}"


class Checker:
    """Holds what was sent against what there is."""

    def __init__(self, manifest: Manifest, outcome: Outcome, prefix: str, cuts: Cuts) -> None:
        self._manifest = manifest
        self._outcome = outcome
        self._prefix = prefix
        self._cuts = cuts

    def all(self, *, same_parts: bool = True, zipkin: bool = True) -> list[Check]:
        """Make every check; `same_parts` and `zipkin` are false where a fault excuses these."""
        return [
            self.inputs(),
            self.lines(),
            self.spans(),
            self.bodies(),
            self.topic_holds_each_once(),
            self.flags(),
            self.error_traces(),
            self.dead_letters(),
            *([self.parts()] if same_parts else []),
            self.zipkin(complete=zipkin),
        ]

    # What the brokers hold is what went in: it settles the fate of messages that nobody has answered for.

    @cached_property
    def _messages(self) -> dict[Stored, Message]:
        """The message behind each stored one: told by its bytes, which no two of them share."""
        sent = {
            (self._prefix + one.message.topic, one.message.key, one.message.value): one for one in self._manifest.sent
        }
        return {
            stored: sent[stored.topic, stored.key, stored.value].message
            for stored in self._outcome.inputs
            if (stored.topic, stored.key, stored.value) in sent
        }

    @cached_property
    def _records(self) -> dict[int, Record]:
        return {message.record.serial: message.record for message in self._messages.values() if message.record}

    def inputs(self) -> Check:
        """Everything acknowledged is in the inputs, and nothing that was not sent or was refused."""
        held = Counter((one.topic, one.key, one.value) for one in self._outcome.inputs)
        fates: dict[tuple[str, bytes | None, bytes | None], Counter[Fate]] = defaultdict(Counter)
        for one in self._manifest.sent:
            fates[self._prefix + one.message.topic, one.message.key, one.message.value][one.fate] += 1
        against = []
        for identity in held.keys() | fates.keys():
            there, told = held[identity], fates[identity]
            least = told[Fate.ACKNOWLEDGED]
            if not least <= there <= least + told[Fate.UNKNOWN]:
                against.append(f"{identity[0]} {identity[1]!r}: {there} times, acknowledged {least}")
        against += [
            f"{one.message.poison.name}: {one.fate}"
            for one in self._manifest.sent
            if one.message.poison
            and one.message.poison.refused != (one.fate is Fate.REFUSED)
            and one.fate is not Fate.UNKNOWN
        ]
        counts = ", ".join(f"{number} {fate}" for fate, number in self._manifest.counts().items())
        return Check("the inputs hold what was acknowledged", tuple(against), f"{len(self._outcome.inputs)} ({counts})")

    # Elasticsearch

    @cached_property
    def _buried(self) -> Counter[int]:
        """Records in dead letters of Elasticsearch's sink, by serial: alone, or within a whole part."""
        found: Counter[int] = Counter()
        for letter in self._outcome.dead_letters:
            if _header(letter, "sink") == "elasticsearch":
                found.update(self._serials(letter.value or b""))
        return found

    def _serials(self, payload: bytes) -> Iterable[int]:
        is_part = payload.startswith(head("span", "log_record", "trace"))
        for piece in set(read_part(payload).records) if is_part else (payload,):
            if piece in self._by_bytes:
                yield self._by_bytes[piece].serial

    @cached_property
    def _by_bytes(self) -> dict[bytes, Record]:
        return {
            one.message.value: one.message.record
            for one in self._manifest.sent
            if one.message.record and one.message.value
        }

    def lines(self) -> Check:
        """Each log line is one document, or a dead letter."""
        found = Counter(
            document.source.get("labels", {}).get("serial", document.id) for document in self._outcome.lines
        )
        wanted = {str(record.serial) for record in self._records.values() if record.topic != "spans"}
        against = [f"line {serial} is lost" for serial in wanted - found.keys() if not self._buried[int(serial)]]
        against += [f"line {serial} is there and nobody sent it" for serial in found.keys() - wanted]
        against += [f"line {serial} is there {number} times" for serial, number in found.items() if number > 1]
        return Check("each log line is in Elasticsearch once", tuple(against), f"{len(wanted)} lines")

    def spans(self) -> Check:
        """Each span is once in each part in Elasticsearch that has it, however often it came in, or a dead letter."""
        found = Counter(
            int(span["id"], 16)
            for part in self._outcome.parts
            for span in part.source.get("spans", ())
            if _is_hex(span["id"])
        )
        in_parts = {(part.trace, part.name): set(part.records) for part in self._parts}
        parts = Counter(
            self._by_bytes[piece].serial for pieces in in_parts.values() for piece in pieces if piece in self._by_bytes
        )
        wanted = {
            serial: parts[serial]
            for serial, record in self._records.items()
            if record.topic == "spans" and _is_hex(record.body["id"])
        }
        found.update({serial: number for serial, number in self._buried.items() if serial in wanted})
        against = [
            f"span {serial} is there {found[serial]} times and is in {number} parts"
            for serial, number in wanted.items()
            if found[serial] != number
        ]
        against += [f"span {serial} is there and nobody sent it" for serial in found.keys() - wanted.keys()]
        return Check("each span is in Elasticsearch once", tuple(against), f"{len(wanted)} spans")

    def bodies(self) -> Check:
        """What is in Elasticsearch is what was sent, word for word."""
        against = []
        for document in self._outcome.lines:
            record = self._records.get(int(document.source.get("labels", {}).get("serial", -1)))
            if record and (difference := _line_differs(document, record)):
                against.append(f"line {record.serial}: {difference}")
        for part in self._outcome.parts:
            for span in part.source.get("spans", ()):
                record = self._records.get(int(span["id"], 16)) if _is_hex(span["id"]) else None
                if record and span != _as_zipkin(record.body):
                    against.append(f"span {record.serial}: {span} instead of {_as_zipkin(record.body)}")
        looked_at = f"{len(self._outcome.lines)} lines, {len(self._outcome.parts)} parts"
        return Check("bodies are equal", tuple(against), looked_at)

    # The topics

    @cached_property
    def _parts(self) -> list[Part]:
        return [read_part(message.value or b"") for message in self._outcome.traces]

    def topic_holds_each_once(self) -> Check:
        """The parts of a trace add up to its records: none is missing, none twice, none in another trace's."""
        wanted: Counter[tuple[str, bytes]] = Counter()
        for stored, message in self._messages.items():
            goes_on = message.topic != "unlinked-logs" and not (message.poison and "join" in message.poison.letters)
            if goes_on:
                wanted[(stored.key or b"").decode(), stored.value or b""] += 1
        found = Counter((part.trace, piece) for part in self._parts for piece in part.records)
        against = [
            f"trace {trace}: a record {_times(found[trace, piece])} instead of {_times(number)}"
            for (trace, piece), number in wanted.items()
            if found[trace, piece] != number
        ]
        against += [f"trace {trace} has a record that is not its own" for trace, _ in found.keys() - wanted.keys()]
        names = Counter((part.trace, part.name) for part in self._parts)
        against += [
            f"part {name} of {trace} is there {number} times" for (trace, name), number in names.items() if number > 1
        ]
        return Check("the parts add up to the traces", tuple(against), f"{len(names)} parts, {found.total()} records")

    @cached_property
    def _errored(self) -> dict[str, int]:
        """Errored traces, and the serial of a record that makes them so."""
        return {
            record.trace: record.serial
            for record in self._records.values()
            if record.errored and record.trace != _NO_TRACE
        }

    def flags(self) -> Check:
        """The flags of a trace's parts together say whether it erred: in the topic, and in Elasticsearch."""
        traces = {record.trace for record in self._records.values() if record.topic != "unlinked-logs"}
        topic = {part.trace for part in self._parts if part.flags & 1}
        elasticsearch = {
            str(part.source["trace"]["id"]) for part in self._outcome.parts if part.source["trace"]["errored"]
        }
        refused = {
            read_part(letter.value or b"").trace
            for letter in self._outcome.dead_letters
            if (letter.value or b"").startswith(head("span", "log_record", "trace"))
        }
        wanted = self._errored.keys() & traces
        against = [
            f"{trace} erred (record {self._errored[trace]}), and the topic does not say so" for trace in wanted - topic
        ]
        against += [f"{trace} did not err, and the topic says so" for trace in topic - wanted]
        against += [f"{trace} erred, and Elasticsearch does not say so" for trace in wanted - elasticsearch - refused]
        against += [f"{trace} did not err, and Elasticsearch says so" for trace in elasticsearch - wanted]
        return Check("flags are right", tuple(against), f"{len(wanted)} of {len(traces)} traces erred")

    def error_traces(self) -> Check:
        """There is one record in error-traces for each errored trace."""
        found = Counter((message.key or b"").decode() for message in self._outcome.error_traces)
        against = [f"{trace} is told {_times(found[trace])}" for trace in self._errored if found[trace] != 1]
        against += [f"{trace} is told and did not err" for trace in found.keys() - self._errored.keys()]
        return Check("each errored trace is in error-traces once", tuple(against), f"{found.total()} records")

    def dead_letters(self) -> Check:
        """Each poison message has one dead letter of each that must write one, and nothing else has any."""
        wanted: Counter[tuple[str, bytes | None]] = Counter()
        for message in self._messages.values():
            for writer in message.poison.letters if message.poison else ():
                wanted[writer, message.value] += 1
        found = Counter((_header(letter, "sink") or "join", letter.value) for letter in self._outcome.dead_letters)
        against = [
            f"{writer}: {_times(found[writer, value])} instead of {_times(number)}: {(value or b'')[:40]!r}"
            for (writer, value), number in wanted.items()
            if found[writer, value] != number
        ]
        against += [
            f"{writer} buried what is no poison: {(value or b'')[:40]!r}"
            for writer, value in found.keys() - wanted.keys()
        ]
        # A key, and no value: their letters cannot be told by it.
        return Check("each invalid message is one dead letter", tuple(against), f"{wanted.total()} dead letters")

    def parts(self) -> Check:
        """The parts are those that a batch join over the same inputs makes."""
        good = {
            stored
            for stored, message in self._messages.items()
            if not (message.poison and "join" in message.poison.letters)
        }
        wanted = {
            name: Counter(stored.value for stored in records)
            for name, records in join(self._outcome.spans, self._outcome.logs, good, self._cuts).items()
        }
        found = {(part.trace, part.name): Counter(part.records) for part in self._parts}
        pressed = {part.trace for part in self._parts if part.reason == _PRESSURE}
        against = [
            f"{trace} {name}: {sum(found[trace, name].values()) if (trace, name) in found else 'no'} records "
            f"instead of {sum(records.values())}"
            for (trace, name), records in wanted.items()
            if trace not in pressed and found.get((trace, name)) != records
        ]
        return Check("the parts are those of an undisturbed run", tuple(against), f"{len(wanted)} parts")

    def zipkin(self, *, complete: bool) -> Check:
        """Zipkin has each span once; it may lack some only where it or its storage was disturbed."""
        found = {
            (document.source["traceId"], int(document.source["id"], 16), document.source.get("kind"))
            for document in self._outcome.zipkin
        }
        wanted = {
            (record.trace, record.serial, record.body["kind"])
            for record in self._records.values()
            if record.topic == "spans" and _is_hex(record.body["id"])
        }
        against = [f"{one} is there and nobody sent it" for one in found - wanted]
        if complete:
            against += [f"{one} is lost" for one in wanted - found]
        against += [
            f"span {record.serial} has the tags {document.source['tags']} and was sent with {record.body['tags']}"
            for document in self._outcome.zipkin
            if (record := self._records.get(int(document.source["id"], 16)))
            and _differ_in_zipkin(document.source["tags"], record.body["tags"])
        ]
        repeated = len(self._outcome.zipkin) - len(found)
        if repeated:
            against.append(f"{repeated} spans are there twice")
        lacking = f", {len(wanted - found)} lacking" if wanted - found else ""
        return Check("each span is in Zipkin once", tuple(against), f"{len(found)} spans{lacking}")


def _header(letter: Stored, name: str) -> str | None:
    return next((value.decode() for key, value in letter.headers if key == f"tracelink.{name}"), None)


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _is_hex(text: object) -> bool:
    return isinstance(text, str) and not text.strip("0123456789abcdef")


def _as_zipkin(body: Json) -> Json:
    """Return a span as Zipkin's API has it: what is null, empty or zero is left out."""
    shown = {name: value for name, value in body.items() if value and name not in {"flags", "traceId"}}
    shown["localEndpoint"] = {name: value for name, value in body["localEndpoint"].items() if value}
    return shown | {"traceId": body["traceId"].hex()}


def _line_differs(document: Document, record: Record) -> str | None:
    """Say in which field a log line's document is not what was sent."""
    body, source = record.body, document.source
    exception: Mapping[str, str] = body["exception"] or {}
    unindexed = {one["name"]: one["value"] for one in source.get("unindexed", ())}
    seen = {
        "id": (document.id, body["id"]),
        "message": (source.get("message"), body["message"]),
        "level": (source["log"].get("level"), body["level"]),
        "logger": (source["log"].get("logger"), body["logger"]),
        "service": (source["service"].get("name"), body["service"]),
        "labels": (source.get("labels", {}) | unindexed, body["fields"]),
        "time": (datetime.fromisoformat(source["@timestamp"]).timestamp(), body["timestamp"] / 1_000_000),
        "trace": (source.get("trace", {}).get("id", _NO_TRACE), record.trace),
        "error": (
            source.get("error", {}),
            {
                key: value
                for key, value in (
                    ("type", exception.get("type")),
                    ("message", exception.get("message")),
                    ("stack_trace", exception.get("stackTrace")),
                )
                if value
            },
        ),
    }
    return next(
        (f"{name} is {found!r} and was {sent!r}" for name, (found, sent) in seen.items() if found != sent), None
    )


def failed(checks: Collection[Check]) -> list[Check]:
    return [check for check in checks if not check.ok]


def _differ_in_zipkin(stored: dict[str, str], sent: dict[str, str]) -> bool:
    """Return True if a span's tags are not those that were sent; Zipkin gets the beginning of a very long text."""
    long = {name for name, text in sent.items() if len(text.encode()) > _LONGEST_IN_ZIPKIN}
    if not long:
        return stored != sent
    rest = {name: text for name, text in stored.items() if name not in long and name != "tracelink.changed"}
    begun = all(
        len(stored.get(name, "")) > _LONGEST_IN_ZIPKIN // 2 and sent[name].startswith(stored[name].removesuffix("…"))
        for name in long
    )
    return (
        not begun
        or "tracelink.changed" not in stored
        or rest != {name: sent[name] for name in sent if name not in long}
    )
