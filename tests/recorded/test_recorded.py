"""What an earlier version has written is read, and written again in the same spelling: nothing of it may change.

The product's own code makes each record anew from what was recorded before it, and is held against the bytes.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from confluent_kafka import Message

from pipeline.analysis.redaction import Redactor
from pipeline.cli.input_file import InputFile, Item
from pipeline.formats.log_record import parse_log
from pipeline.formats.zipkin_json import parse_span
from pipeline.kafka.compacted import Newest
from pipeline.kafka.offsets import GroupOffset
from pipeline.kafka.topic_specs import specs
from pipeline.model import dead_letters, splice
from pipeline.model.dead_letters import Origin, redriven
from pipeline.model.problems import ALERT, OCCURRENCE, PROBLEM, Alert
from pipeline.model.replay_markers import FOR_EVER, complete_until, end_headers, is_end, origin_of
from pipeline.settings import names_of
from sinks.alerting.alertmanager import AlertmanagerSink
from sinks.alerting.settings import AlertmanagerSettings, WebhookSettings
from sinks.alerting.webhook import WebhookSink
from sinks.base.contract import Batch, Outcome, OutgoingDeadLetter, Report, SourceMessage
from sinks.base.decoding import decode, record_kinds
from sinks.elasticsearch.encoder import Encoder
from sinks.elasticsearch.settings import ElasticsearchSettings
from streams.alerts.occurrence import occurrence
from streams.alerts.problems import Changes, ProblemLimits, Problems
from streams.alerts.rules import Rules
from streams.alerts.settings import AlertSettings
from streams.dead_letters import resolver
from streams.dead_letters.dead_letter import DeadLetter
from streams.dead_letters.resolutions import RESOLUTION, Owner, Resolutions
from streams.dead_letters.resolver import Resolver
from streams.dead_letters.verdict import Disposition, Verdict, judge
from streams.join.journal import Entry, Ledger
from streams.join.ownership import Committed
from streams.join.partition import JoinPartition, Output, Target
from streams.join.replayed import ReplayedPartition
from streams.join.settings import JoinSettings
from streams.join.window import LOGS, SPANS, WindowLimits
from streams.replay import copy
from streams.replay.copy import Copied, Copier, progress_of
from streams.replay.jobs import JOB as JOB_CODEC
from streams.replay.jobs import Jobs, Stored
from streams.replay.plan import Beyond, Plan, ScanBounds
from tests.kit.http_stub import Request, stub
from tests.kit.sink_targets import metrics
from tests.recorded.recording import (
    JOB,
    NAMES,
    PARTITIONS,
    SETTINGS,
    Json,
    Rereader,
    Sent,
    Written,
    committed,
    documents,
    error_traces,
    errors,
    headers_of,
    is_trace,
    key_of,
    marks,
    message_at,
    messages,
    outgoing,
    place,
    problems,
    rows,
    sent,
    topics,
    traces,
    value_of,
)
from tracelink.errors import InvalidRecord, Reason
from tracelink.kafka.messages import RecordEncoder
from tracelink.kafka.topics import TopicNames
from tracelink.model.codec import LOG_RECORD, SPAN, Codec
from tracelink.model.records import ErrorRule
from tracelink.settings import KafkaSettings

_JOURNAL = NAMES.journal("tracelink-join")
_JOB_JOURNAL = JOB.journal("tracelink-join")
_LETTERS = [*messages(NAMES.dead_letters), *messages(JOB.dead_letters)]
_ENDS = [
    one
    for topic in (JOB.spans, JOB.logs, JOB.unlinked_logs, JOB.traces)
    for one in messages(topic)
    if one.value() is None
]
_CODECS: list[tuple[Codec[Any], list[Message]]] = [
    (OCCURRENCE, errors()),
    (PROBLEM, problems()),
    (ALERT, messages(NAMES.alerts)),
    (RESOLUTION, marks()),
    (JOB_CODEC, [one for one in messages(NAMES.jobs) if key_of(one) == "again"]),
]
_RULE = ErrorRule()
_STEP = 250
_OF_HTTP = {"host", "content-length", "accept-encoding"}


def by_text(found: Iterable[object]) -> list[object]:
    """Return things in one order: that of their topic goes by when a worker came to them."""
    return sorted(found, key=str)


# Names


def test_the_topics_have_the_recorded_names_and_clocks() -> None:
    live = JoinSettings.load(topic_prefix=NAMES.prefix)
    replay = JoinSettings.load(topic_prefix=NAMES.prefix, replay="again")
    asked = {one.name: one.required.get("message.timestamp.type") for one in (*specs(live), *specs(replay))}
    clocks = {one.topic(): one.timestamp()[0] for topic in topics() for one in messages(topic)}
    # The trends came after the recording.
    assert set(asked) == {*topics(), NAMES.trends}
    assert {topic: 2 if asked[topic] == "LogAppendTime" else 1 for topic in topics()} == clocks


def test_the_groups_have_the_recorded_names() -> None:
    replay: Json = {"replay": "again", "index_suffix": "-again"}
    assert list(dict.fromkeys(row["group"] for row in rows("committed"))) == [
        JoinSettings.load().group,
        AlertSettings.load().alerts_group,
        ElasticsearchSettings.load().group("elasticsearch"),
        JOB.job_group("copy"),
        JoinSettings.load(replay="again").group,
        ElasticsearchSettings.load(**replay).group("elasticsearch"),
    ]


# Records


@pytest.mark.parametrize("row", rows("sent"), ids=lambda row: f"{row['kind']}-{row['identity']}")
def test_a_line_of_a_file_becomes_the_recorded_message(row: Json) -> None:
    made = RecordEncoder(NAMES)
    message = (
        made.span(parse_span(row["value"], _RULE))
        if row["kind"] == "span"
        else made.log(parse_log(row["value"], row["identity"], _RULE))
    )
    assert (message.key, message.value, []) in map(sent, messages(message.topic))


@pytest.mark.parametrize("digest", dict.fromkeys(row["identity"].partition("-")[0] for row in rows("sent")))
def test_the_records_of_a_file_have_the_recorded_identities(digest: str, tmp_path: Path) -> None:
    recorded = [row for row in rows("sent") if row["identity"].startswith(digest)]
    values = [row["value"] for row in recorded]
    lines = [json.dumps(values)] if recorded[0]["kind"] == "span" else [json.dumps(one) + "\n" for one in values]
    file = tmp_path / "records"
    file.write_text("".join(lines))
    with closing(InputFile(file)) as opened:
        items = [one for one in opened.items() if isinstance(one, Item)]
    assert [(one.identity, one.value) for one in items] == [(row["identity"], row["value"]) for row in recorded]


@pytest.mark.parametrize("message", traces(), ids=place)
def test_a_trace_is_made_of_its_decoded_records_again(message: Message) -> None:
    value = value_of(message)
    decoded, head = splice.decode(value), splice.head(value)
    bad = [SPAN.header + one.body for one in decoded.bad]
    trace = decoded.trace
    assert value == splice.splice(
        flags=2 * trace["flags"],
        trace_id=trace["traceId"],
        name=trace["name"],
        opened=trace["opened"],
        closed=trace["closed"],
        reason=head.reason,
        spans=[*map(SPAN.encode, trace["spans"]), *bad],
        logs=map(LOG_RECORD.encode, trace["logs"]),
    )
    assert (key_of(message), trace["reason"]) == (trace["traceId"].hex(), "IDLE")


@pytest.mark.parametrize(
    ("codec", "message"),
    [pytest.param(codec, one, id=place(one)) for codec, some in _CODECS for one in some],
)
def test_a_record_is_decoded_and_encoded_again(codec: Codec[Any], message: Message) -> None:
    value = value_of(message)
    assert codec.encode(codec.decode(value)) == value


# The join


def limits() -> WindowLimits:
    return JoinSettings.load(idle_gap=SETTINGS["idle_gap"], root_grace="0").limits()


def joined(number: int, make: type[JoinPartition], inputs: tuple[str, str]) -> JoinPartition:
    """Join the recorded inputs of a partition, until all has gone out."""
    found = make(
        number,
        topics=(NAMES.spans, NAMES.logs),
        limits=limits(),
        ledger=Ledger(600_000),
        positions=(0, 0),
        allowance=1000,
    )
    for kind, topic in zip((SPANS, LOGS), inputs, strict=True):
        found.receive(kind, cast("Sequence[Any]", messages(topic, number)), 0, 1 << 60)
        found.reach_end(kind)
    for now in range(0, 20_000, _STEP):
        found.advance(now)
    return found


def live(number: int) -> JoinPartition:
    return joined(number, JoinPartition, (NAMES.spans, NAMES.logs))


def replayed(number: int) -> JoinPartition:
    return joined(number, ReplayedPartition, (JOB.spans, JOB.logs))


def sent_to(target: Target, output: Output) -> list[object]:
    return by_text(outgoing(message) for message in output.messages if message.target is target)


def buried(topic: str, number: int) -> list[object]:
    """Return the dead letters that the join of a partition has sent to a topic."""
    letters = [(one, DeadLetter.of((topic, 0), one)) for one in messages(topic)]
    return by_text(
        sent(one)
        for one, letter in letters
        if letter.headers.sink is None
        and letter.headers.partition == number
        and letter.headers.topic in {NAMES.spans, NAMES.logs}
    )


@pytest.mark.parametrize("number", PARTITIONS)
def test_the_join_puts_out_the_recorded_traces_and_dead_letters(number: int) -> None:
    output = live(number).pending
    assert sent_to(Target.TRACES, output) == by_text(map(sent, filter(is_trace, messages(NAMES.traces, number))))
    errored = filter(is_trace, messages(NAMES.error_traces, number))
    assert sent_to(Target.ERROR_TRACES, output) == by_text(map(sent, errored))
    assert sent_to(Target.DEAD_LETTERS, output) == buried(NAMES.dead_letters, number)


@pytest.mark.parametrize("number", PARTITIONS)
def test_the_join_of_a_replay_puts_out_the_recorded_traces_and_their_end(number: int) -> None:
    output = replayed(number).pending
    assert sent_to(Target.TRACES, output) == by_text(map(sent, messages(JOB.traces, number)))
    assert sent_to(Target.ERROR_TRACES, output) == by_text(map(sent, messages(JOB.error_traces, number)))
    assert sent_to(Target.DEAD_LETTERS, output) == buried(JOB.dead_letters, number)


@pytest.mark.parametrize("message", [*messages(_JOURNAL), *messages(_JOB_JOURNAL)], ids=place)
def test_a_record_of_the_journal_is_decoded_and_encoded_again(message: Message) -> None:
    value = value_of(message)
    assert Entry.decode(value).encode() == value


@pytest.mark.parametrize("number", PARTITIONS)
@pytest.mark.parametrize(("join", "topic"), [(live, _JOURNAL), (replayed, _JOB_JOURNAL)])
def test_the_journal_names_the_parts_that_the_join_puts_out(
    join: Callable[[int], JoinPartition], topic: str, number: int
) -> None:
    recorded = [Entry.decode(value_of(one)) for one in messages(topic, number)]
    partition = join(number)
    (made,) = partition.entries()
    assert by_text(made.parts) == by_text(part for entry in recorded for part in entry.parts)
    assert made.positions == recorded[-1].positions


@pytest.mark.parametrize("number", PARTITIONS)
@pytest.mark.parametrize(("join", "names", "topic"), [(live, NAMES, _JOURNAL), (replayed, JOB, _JOB_JOURNAL)])
def test_the_join_commits_the_recorded_offsets_and_what_lies_beside_them(
    join: Callable[[int], JoinPartition],
    names: TopicNames,
    topic: str,
    number: int,
) -> None:
    partition, ledger, journal = join(number), Ledger(600_000), messages(topic, number)
    for one in journal:
        ledger.learn(one.offset() or 0, Entry.decode(value_of(one)))
    low, last = partition.low(), journal[-1].offset()
    start = ledger.start(low, Entry.decode(value_of(journal[-1])).watermark, last or 0)
    metadata = Committed(low, start, last, partition.times()).metadata()
    found = committed(names.job_group("join") if names.job else "tracelink-join")
    recorded = [found[names.spans, number], found[names.logs, number]]
    assert recorded == [GroupOffset(offset, metadata) for offset in low]
    assert Committed.read(low, metadata) == Committed(low, start, last, partition.times())


# Alerts


def redactor() -> Redactor:
    return AlertSettings.load().redactor()


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Rules:
    return Rules.parse(SETTINGS["rules"].encode(), tmp_path_factory.getbasetemp() / "rules.toml")


def test_errored_traces_become_the_recorded_occurrences(rules: Rules) -> None:
    made: list[Sent] = []
    for message in error_traces():
        found = occurrence(splice.decode(value_of(message)).trace, rules.fingerprint, redactor().redact)
        assert found is not None
        made.append((found["fingerprint"].encode(), OCCURRENCE.encode(found), []))
    assert by_text(made) == by_text(map(sent, errors()))


def grouped(rules: Rules) -> Iterator[Changes]:
    """Group the recorded occurrences as they came, and let time pass until all is forgotten."""
    settings = AlertSettings.load(quiet_after=SETTINGS["quiet_after"], known_for=SETTINGS["known_for"])
    known, quiet = round(settings.known_for * 1000), round(settings.quiet_after * 1000)
    found = Problems(rules.match, ProblemLimits(known_for=known, quiet_after=quiet))
    for message in errors():
        arrived = message.timestamp()[1]
        found.advance(arrived)
        yield found.drain()
        found.observe(OCCURRENCE.decode(value_of(message)), arrived)
        yield found.drain()
    for now in range(arrived, arrived + 2 * known, _STEP):
        found.advance(now)
        yield found.drain()


def test_occurrences_become_the_recorded_problems(rules: Rules) -> None:
    states = [state for changes in grouped(rules) for state in changes.states()]
    made: list[Sent] = [(key.encode(), None if state is None else PROBLEM.encode(state), []) for key, state in states]
    assert made == list(map(sent, messages(NAMES.problems)))


def test_occurrences_raise_the_recorded_alerts(rules: Rules) -> None:
    alerts = [alert for changes in grouped(rules) for alert in changes.alerts]
    made: list[Sent] = [(one["problem"]["fingerprint"].encode(), ALERT.encode(one), []) for one in alerts]
    assert made == list(map(sent, messages(NAMES.alerts)))
    assert {one["event"] for one in alerts} == {"NEW", "RATE", "RESOLVED", "BACK"}


# Dead letters


def letter_of(message: Message) -> DeadLetter:
    return DeadLetter.of((message.topic() or "", message.partition() or 0), message)


@pytest.mark.parametrize("message", _LETTERS, ids=place)
def test_the_headers_of_a_dead_letter_are_read_and_written_again(message: Message) -> None:
    letter = letter_of(message)
    origin = Origin(
        letter.headers.topic, letter.headers.partition or 0, letter.headers.offset or 0, letter.headers.timestamp or 0
    )
    error = InvalidRecord(Reason(letter.headers.reason), letter.headers.detail)
    made = dead_letters.headers(error, origin, sink=letter.headers.sink, kind=letter.headers.kind)
    made += [] if letter.headers.cut_from is None else [("tracelink.cut-from-bytes", b"%d" % letter.headers.cut_from)]
    made += redriven([("tracelink.redriven", b"%d" % letter.headers.redriven)]) if letter.headers.redriven else []
    assert made == headers_of(message)


@pytest.mark.parametrize("message", [one for one in _LETTERS if letter_of(one).headers.kind is None], ids=place)
def test_a_dead_letter_names_the_message_that_it_was(message: Message) -> None:
    letter = letter_of(message)
    source = message_at(letter.headers.topic, letter.headers.partition, letter.headers.offset)
    payload = source.value()
    assert (letter.key, letter.headers.timestamp) == (source.key(), source.timestamp()[1])
    assert letter.payload == (payload if letter.headers.cut_from is None else (payload or b"")[: 64 * 1024])
    assert letter.headers.cut_from in {None, len(payload or b"")}
    assert redriven(headers_of(source)) == [one for one in headers_of(message) if one[0] == "tracelink.redriven"]


def test_the_recorded_letters_have_all_that_a_letter_can_have() -> None:
    letters = [letter_of(message) for message in _LETTERS]
    assert {letter.headers.reason for letter in letters} == set(Reason)
    assert {letter.headers.sink for letter in letters} == {None, "alerts", "elasticsearch"}
    assert {letter.headers.kind for letter in letters} == {None, "span", "log"}
    assert {letter.headers.redriven for letter in letters} == {0, 1}
    assert {letter.headers.cut_from for letter in letters} == {None, 4 * 1024 * 1024 + 1}


def cut_out(kind: str) -> Message:
    (found,) = [one for one in _LETTERS if letter_of(one).headers.kind == kind]
    return found


def read(message: Message) -> SourceMessage:
    """Return a message as a sink reads it."""
    origin = Origin(message.topic() or "", message.partition() or 0, message.offset() or 0, message.timestamp()[1])
    return SourceMessage(origin, message.key(), message.value() or b"", redriven(headers_of(message)))


def buried_by_sink(letter: OutgoingDeadLetter) -> Sent:
    redact = ElasticsearchSettings.load().redactor().redact
    return letter.message.key, letter.payload, letter.headers("elasticsearch", redact)


def test_what_a_sink_cannot_decode_becomes_the_recorded_letters() -> None:
    batch = decode(map(read, messages(NAMES.traces)), record_kinds(NAMES))
    recorded = [one for one in messages(NAMES.dead_letters) if letter_of(one).headers.sink == "elasticsearch"]
    expected = [one for one in recorded if letter_of(one).headers.reason != Reason.REFUSED]
    assert by_text(map(buried_by_sink, batch.dead_letters)) == by_text(map(sent, expected))


def test_a_line_that_elasticsearch_refuses_becomes_the_recorded_letter() -> None:
    message = cut_out("log")
    letter = letter_of(message)
    source = message_at(letter.headers.topic, letter.headers.partition, letter.headers.offset)
    ((part,), report) = decode([read(source)], record_kinds(NAMES)).parts, Report([Outcome.WRITTEN])
    (line,) = part.trace["logs"]
    report.refuse_log(part.message, line, InvalidRecord(Reason.REFUSED, letter.headers.detail))
    assert list(map(buried_by_sink, report.dead_letters)) == [sent(message)]


def letter_of_mark(mark: Message) -> Message:
    source, name = Owner.parse(mark.key() or b"")
    return message_at((JOB if source.job else NAMES).dead_letters, *name)


@pytest.mark.parametrize("message", marks(), ids=place)
def test_a_mark_is_that_of_its_letter(message: Message) -> None:
    letter = letter_of(letter_of_mark(message))
    source, name = Owner.parse(message.key() or b"")
    found = Resolutions()
    found.take(message.key() or b"", value_of(message))
    assert found.of(source, letter) == RESOLUTION.decode(value_of(message))
    assert found.has(letter)
    assert source.key(name) == message.key()


@pytest.mark.parametrize("message", marks(), ids=place)
def test_a_redrive_sends_the_recorded_message_and_mark(message: Message, monkeypatch: pytest.MonkeyPatch) -> None:
    mark, letter = RESOLUTION.decode(value_of(message)), letter_of(letter_of_mark(message))
    source, _ = Owner.parse(message.key() or b"")
    verdict = judge(letter, Resolutions(), source, NAMES, at_most=3)
    if mark["action"] == "DISCARDED":
        verdict = Verdict(letter.name, Disposition.DISCARDED, count=mark["count"])
    made: list[Written] = []
    monkeypatch.setattr(resolver, "Transactions", keeping(made))
    monkeypatch.setattr(resolver, "time", SimpleNamespace(time_ns=lambda: mark["time"] * 1_000_000))
    Resolver(KafkaSettings.load(), source).resolve([(letter, verdict)])
    written = {topic: list(map(_sent, some)) for (topic, _), some in made[0].sent.items()}
    assert written.pop(NAMES.resolutions) == [sent(message)]
    again = [one for one in messages(letter.headers.topic) if redriven(headers_of(one)) and one.key() == letter.key]
    assert written == ({letter.headers.topic: list(map(sent, again))} if mark["action"] == "REDRIVEN" else {})


def keeping(made: list[Written]) -> Callable[..., Written]:
    """Return what makes Transactions that are kept in a list."""

    def make(*arguments: Any) -> Written:  # noqa: ANN401
        made.append(Written(*arguments))
        return made[-1]

    return make


def _sent(dated: tuple[int | None, Sent]) -> Sent:
    return dated[1]


# Replays


class RecordedJobs(Jobs):
    """Reads what was recorded, and keeps what it is to write."""

    def __init__(self) -> None:
        super().__init__(KafkaSettings.load())
        self.written: list[dict[bytes, bytes | None]] = []

    def _newest(self) -> Newest:
        return Newest.of(messages(NAMES.jobs))

    def _produce(self, records: dict[bytes, bytes | None]) -> int:
        self.written.append(records)
        return 0


def job() -> Stored:
    return RecordedJobs().get("again")


def test_the_recorded_job_is_read_with_its_traces() -> None:
    stored = job()
    assert stored.keys == frozenset(one.key() or b"" for one in messages(JOB.traces) if is_trace(one))
    assert (stored.job["state"], stored.job["traces"], stored.job["gap"]) == ("COPIED", 2, 1000)
    assert stored.selection().keys == stored.keys


def test_a_job_is_written_as_it_was() -> None:
    jobs = RecordedJobs()
    begun, copied = (one for one in messages(NAMES.jobs) if key_of(one) == "again")
    jobs.now()
    jobs.write(Stored(JOB_CODEC.decode(value_of(begun)), job().keys))
    jobs.update(JOB_CODEC.decode(value_of(copied)))
    recorded = {one.key(): one.value() for one in messages(NAMES.jobs)}
    assert jobs.written == [
        {b"/now": recorded[b"/now"]},
        {b"again/0": recorded[b"again/0"], b"again": begun.value()},
        {b"again": copied.value()},
    ]


def copier(monkeypatch: pytest.MonkeyPatch) -> tuple[Copied, Written]:
    """Copy the recorded inputs by the recorded job; returns what the copier says and what it has written."""
    stored, made = job(), list[Written]()
    monkeypatch.setattr(copy, "Transactions", keeping(made))
    monkeypatch.setattr(copy, "Reader", Rereader)
    reaches = {(one["topic"], one["partition"]): ScanBounds(one["head"], one["tail"]) for one in stored.job["inputs"]}
    beyond = {number: Beyond() for number in PARTITIONS}
    until = stored.job["completeUntil"]
    plan = Plan(stored.selection(), stored.ranges(), reaches, beyond, NAMES.unlinked_logs, until)
    monkeypatch.setattr(copy, "group_offsets", lambda *asked: dict.fromkeys(asked[2], GroupOffset(-1001, None)))
    return Copier(KafkaSettings.load(), "again", plan).run(), made[0]


def test_a_replay_copies_the_recorded_messages_with_their_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    _, written = copier(monkeypatch)
    recorded: dict[tuple[str, int], list[tuple[int | None, Sent]]] = {
        (topic, number): [(None if is_end(one) else one.timestamp()[1], sent(one)) for one in messages(topic, number)]
        for topic in (JOB.spans, JOB.logs, JOB.unlinked_logs)
        for number in PARTITIONS
    }
    assert written.sent == recorded


def test_a_replay_commits_the_recorded_offsets_and_what_lies_beside_them(monkeypatch: pytest.MonkeyPatch) -> None:
    _, written = copier(monkeypatch)
    made = {(one.topic, one.partition): GroupOffset(one.offset, one.metadata) for one in written.committed}
    assert made == committed(JOB.job_group("copy"))


def test_how_far_the_recorded_copy_is_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    copied, _ = copier(monkeypatch)
    stored = job()
    assert progress_of(stored.offset_ranges(), committed(JOB.job_group("copy"))) == copied
    assert (copied.records, copied.size) == (stored.job["records"], stored.job["bytes"])


@pytest.mark.parametrize("message", _ENDS, ids=place)
def test_an_end_marker_is_read_and_written_again(message: Message) -> None:
    until = FOR_EVER if message.topic() == JOB.traces else job().job["completeUntil"]
    assert is_end(message)
    assert complete_until(message) == until
    assert sent(message) == (None, None, end_headers(until))


@pytest.mark.parametrize(
    "message", [one for topic in (JOB.spans, JOB.logs) for one in messages(topic) if not is_end(one)], ids=place
)
def test_a_copy_names_the_message_that_it_was(message: Message) -> None:
    live_topic = NAMES.prefix + (message.topic() or "").removeprefix(JOB.prefix)
    source = message_at(live_topic, message.partition(), origin_of(message))
    assert (source.key(), source.value(), source.timestamp()[1]) == (
        message.key(),
        message.value(),
        message.timestamp()[1],
    )


# Elasticsearch


def elasticsearch(**settings: str) -> dict[tuple[str, str], tuple[int, bytes]]:
    """Return what the sink writes of all that was recorded: version and source by index and id."""
    chosen = ElasticsearchSettings.load(**settings)
    names = names_of(chosen)
    taken = [*messages(names.traces), *messages(names.unlinked_logs)]
    taken += [] if names.job else messages(names.problems)
    batch = decode((read(one) for one in taken if not is_end(one)), record_kinds(names))
    found: dict[tuple[str, str], tuple[int, bytes]] = {}
    for document in Encoder(chosen).documents(batch, Report([])):
        action, source = document.lines.splitlines()
        ((_, where),) = orjson.loads(action).items()
        found[where["_index"], where["_id"]] = (where.get("version", 1), _without_later_fields(source))
    return found


def _without_later_fields(source: bytes) -> bytes:
    """Return a document without the fields that came after the recording."""
    document = orjson.loads(source)
    return orjson.dumps({name: value for name, value in document.items() if name not in {"operations", "tags"}})


def recorded_documents(kind: str) -> dict[tuple[str, str], tuple[int, bytes]]:
    return {where: (row["version"], orjson.dumps(row["source"])) for where, row in documents(kind).items()}


@pytest.mark.parametrize("kind", ["tracelink-logs-", "tracelink-traces-", "tracelink-errors"])
def test_messages_become_the_recorded_documents(kind: str) -> None:
    refused = LOG_RECORD.decode(value_of(cut_out("log")))["id"]
    made = {where: document for where, document in elasticsearch().items() if where[0].startswith(kind)}
    recorded = {
        where: document for where, document in recorded_documents(kind).items() if not where[0].endswith("-again")
    }
    assert {where: document for where, document in made.items() if where[1] != refused} == recorded


def test_messages_of_a_replay_become_the_recorded_documents_under_its_suffix() -> None:
    made = elasticsearch(replay="again", index_suffix="-again")
    recorded = {where: one for where, one in recorded_documents("").items() if where[0].endswith("-again")}
    assert {where[0].partition("-20")[0] for where in recorded} == {"tracelink-logs", "tracelink-traces"}
    assert {where: made[where] for where in recorded} == recorded


# Webhooks and Alertmanager


def raised(message: Message) -> tuple[Alert, Batch]:
    """Return a recorded alert, and the batch that a sink makes of it."""
    batch = decode([read(message)], record_kinds(NAMES))
    return batch.alerts[0].alert, batch


def shown(request: Request) -> Json:
    """Return a request as it was recorded: its headers without those of HTTP itself."""
    headers = {name: value for name, value in request.headers.items() if name not in _OF_HTTP}
    return {"method": request.method, "path": request.path, "headers": headers, "body": request.body.decode()}


@contextmanager
def receiving() -> Iterator[tuple[str, list[Request]]]:
    """Take requests, and give the address and what has come."""
    requests: list[Request] = []

    def take(request: Request) -> tuple[int, object]:
        requests.append(request)
        return 200, "ok"

    with stub(take) as url:
        yield url, requests


def now_released(row: Json) -> Json:
    """Return a recorded request with the version of today, which its User-Agent names."""
    name = row["headers"]["user-agent"].partition("/")[0]
    return {**row, "headers": {**row["headers"], "user-agent": f"{name}/{version('tracelink-pipeline')}"}}


@pytest.mark.parametrize("template", ["json", "slack"])
@pytest.mark.parametrize("message", messages(NAMES.alerts), ids=place)
def test_a_webhook_gets_the_recorded_request(message: Message, template: str) -> None:
    alert, batch = raised(message)
    (row,) = [one for one in rows(f"posts to {template}") if one["headers"]["idempotency-key"] == alert["id"]]
    secret = SETTINGS["webhook_secret"] if template == "json" else None
    settings = {"webhook_template": template, "webhook_secret": secret, "allow_networks": "127.0.0.0/8"}
    with receiving() as (url, requests):
        chosen = WebhookSettings.load(webhook_url=url + row["path"], **settings)
        WebhookSink(chosen, metrics(), clock=lambda: int(row["headers"]["x-tracelink-timestamp"])).write(batch)
    assert list(map(shown, requests)) == [now_released(row)]


@pytest.mark.parametrize("row", rows("posts to json"), ids=lambda row: row["headers"]["idempotency-key"])
def test_the_recorded_signature_is_that_of_the_time_and_the_body(row: Json) -> None:
    signed = f"{row['headers']['x-tracelink-timestamp']}.{row['body']}".encode()
    expected = hmac.new(SETTINGS["webhook_secret"].encode(), signed, hashlib.sha256).hexdigest()
    assert row["headers"]["x-tracelink-signature"] == f"sha256={expected}"


def test_alertmanager_gets_the_recorded_requests() -> None:
    clock = [0.0]
    with receiving() as (url, requests):
        chosen = AlertmanagerSettings.load(alertmanager_url=url, quiet_after=SETTINGS["quiet_after"])
        sink = AlertmanagerSink(chosen, metrics(), clock=lambda: clock[0])
        for message in messages(NAMES.alerts):
            alert, batch = raised(message)
            clock[0] = max(alert["time"], alert["problem"]["arrived"]) / 1000
            sink.write(batch)
    assert list(map(shown, requests)) == list(map(now_released, rows("posts to alertmanager")))
