"""`tracelink verify` with the real servers: what is missing, exactly, and nothing else."""

from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka import TopicPartition

from pipeline.cli.root import main
from pipeline.local.stack import Endpoints
from pipeline.model.replay_markers import end_headers
from sinks.base.contract import OutgoingDeadLetter
from tests.kit.http import http_request
from tests.kit.http_stub import Request, stub
from tests.kit.sink_examples import ERRORED, YEAR_3000, log, new_trace_id, span, trace_message
from tests.kit.sink_targets import NOWHERE
from tests.kit.terminal import in_terminal
from tests.kit.verify_setting import HOUR, MINUTE, START, Setting, counts
from tracelink.errors import InvalidRecord, Reason
from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.model.records import NO_TRACE, Flag, LogRecord, Span


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take what Zipkin shows for all that it has: the tests wait for what is to be there."""
    monkeypatch.setattr("sinks.verify.zipkin._SETTLING", 0.0)


@pytest.fixture
def setting(stack: Endpoints, topic_prefix: str, index_prefix: str) -> Setting:
    return Setting(stack, topic_prefix, index_prefix)


def spans(trace_id: bytes, number: int = 2, **fields: object) -> list[Span]:
    return [span(trace_id, f"{one + 1:016x}", **fields) for one in range(number)]


def lone(text: str = "alone") -> LogRecord:
    return log(NO_TRACE, message=text)


def test_what_was_written_has_no_holes_in_any_partition_or_hour(setting: Setting) -> None:
    traces = [new_trace_id() for _ in range(4)]
    messages = [
        setting.put_part(spans(one), [log(one), log(one)], at=number * HOUR, partition=number % 2)
        for number, one in enumerate(traces)
    ]
    setting.write(*messages, setting.put_line(lone(), at=HOUR, partition=1))
    for one in traces:
        setting.wait_for_zipkin(one, 2)
    found = setting.found()
    assert found["totals"] == counts(parts=4, spans=8, lines=9)
    assert found["holes"] == found["commands"] == []
    rows = {(row["topic"].removeprefix(setting.names.prefix), row["partition"], row["hour"]) for row in found["rows"]}
    assert rows == {
        ("traces", 0, "2026-01-01T00:00:00.000Z"),
        ("traces", 1, "2026-01-01T01:00:00.000Z"),
        ("traces", 0, "2026-01-01T02:00:00.000Z"),
        ("traces", 1, "2026-01-01T03:00:00.000Z"),
        ("unlinked-logs", 1, "2026-01-01T01:00:00.000Z"),
    }
    result = setting.verify()
    assert result.exit_code == 0
    assert result.stdout.endswith("No gaps.\n")
    assert "traces[" not in result.stdout
    assert "traces[1] 2026-01-01 03h 1 2 2 - - - - - -" in " ".join(setting.verify("--all").stdout.split())


def test_documents_that_are_gone_are_holes_where_they_were(setting: Setting) -> None:
    whole, no_part, no_lines = (new_trace_id() for _ in range(3))
    setting.write(
        setting.put_part(spans(whole), [log(whole)]),
        setting.put_part(spans(no_part), [log(no_part)], at=MINUTE, partition=1),
        setting.put_part(spans(no_lines), [log(no_lines), log(no_lines)], at=HOUR + 7, partition=1),
        only="elasticsearch",
    )
    setting.delete("traces", no_part)
    setting.delete("logs", no_lines)
    found = setting.found("--only", "elasticsearch")
    assert {(row["partition"], row["hour"]): row["missing_parts"] for row in found["rows"]} == {
        (0, "2026-01-01T00:00:00.000Z"): 0,
        (1, "2026-01-01T00:00:00.000Z"): 1,
        (1, "2026-01-01T01:00:00.000Z"): 0,
    }
    assert found["totals"] == counts(parts=3, spans=6, lines=4, missing_parts=1, missing_lines=2)
    ids = sorted([no_part.hex(), no_lines.hex()])
    command = (
        f"tracelink replay --trace-id {ids[0]} --trace-id {ids[1]} "
        "--from 2026-01-01T00:01:00.000Z --to 2026-01-01T01:00:05.008Z --sink elasticsearch --run"
    )
    assert found["commands"] == [command]
    (gap,) = found["holes"]
    assert gap == {
        "from": "2026-01-01T00:01:00.000Z",
        "to": "2026-01-01T01:00:05.008Z",
        "kind": ["elasticsearch"],
        "trace_ids": ids,
        "complete": True,
        "lines_without_trace": 0,
        "command": command,
    }
    result = setting.verify("--only", "elasticsearch")
    assert result.exit_code == 1
    assert result.stdout.endswith(f"To fill the gaps:\n  {command}\n")
    assert "traces[1]" in result.stdout
    assert "traces[0]" not in result.stdout


def test_an_index_that_is_gone_is_all_its_documents(setting: Setting) -> None:
    one = new_trace_id()
    setting.write(setting.put_part(spans(one), [log(one)]), setting.put_line(lone(), at=3), only="elasticsearch")
    assert setting.found("--only", "elasticsearch")["holes"] == []
    for kind in ("logs", "traces"):
        url = f"{setting.stack.elasticsearch}/{setting.index_prefix}{kind}-2026.01.01"
        assert http_request("DELETE", url).status == 200
    found = setting.found("--only", "elasticsearch")
    assert found["totals"] == counts(parts=1, spans=2, lines=2, missing_parts=1, missing_lines=2)
    # No id selects a line without a trace.
    assert found["commands"] == [
        "tracelink replay --from 2026-01-01T00:00:00.000Z --to 2026-01-01T00:00:05.001Z --sink elasticsearch --run"
    ]


def test_spans_that_zipkin_has_not_are_holes_and_shared_ones_are_none(setting: Setting) -> None:
    whole_id, half_id, none_id = (new_trace_id() for _ in range(3))
    short_id = bytes(8) + new_trace_id()[:8]
    shared = [
        span(whole_id, "00000000000000a1", kind="CLIENT"),
        span(whole_id, "00000000000000a1", kind="SERVER", shared=True, localEndpoint={"serviceName": "pay"}),
        span(whole_id, "00000000000000a1", kind="SERVER", shared=True, localEndpoint={"serviceName": "pay"}),
        span(whole_id, "b2", kind=None),
    ]
    halves = spans(half_id, 6)
    setting.write(
        setting.put_part(shared),
        setting.put_part(halves[:3]),
        setting.put_part(spans(short_id, flags=int(Flag.SHORT_ID))),
        only="zipkin",
    )
    setting.put_part(halves[3:], at=HOUR)
    setting.put_part(spans(none_id), at=HOUR)
    setting.put_part(logs=[log(none_id)], at=HOUR)  # nothing for Zipkin
    setting.wait_for_zipkin(whole_id, 3)
    setting.wait_for_zipkin(half_id, 3)
    setting.wait_for_zipkin(short_id, 2)
    found = setting.found("--only", "zipkin")
    # The one that was sent twice is one span.
    assert found["totals"] == counts(parts=6, spans=13, lines=1, missing_spans=5)
    (gap,) = found["holes"]
    assert gap["kind"] == ["zipkin"]
    assert gap["trace_ids"] == sorted([half_id.hex(), none_id.hex()])
    assert gap["command"].endswith("--from 2026-01-01T01:00:00.000Z --to 2026-01-01T01:00:05.001Z --sink zipkin --run")


def test_a_kind_of_a_shared_span_that_is_gone_is_a_hole(setting: Setting) -> None:
    one = new_trace_id()
    client, server = span(one, "a1", kind="CLIENT"), span(one, "a1", kind="SERVER", shared=True)
    setting.write(setting.put_part([client]), only="zipkin")
    setting.put_part([server])
    setting.wait_for_zipkin(one, 1)
    assert setting.found("--only", "zipkin")["totals"]["missing_spans"] == 1


def test_what_shows_late_is_no_hole(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.verify.zipkin._SETTLING", 0.05)
    one = new_trace_id()
    setting.put_part([span(one, "a1")])
    asked: list[str] = []

    def answer(request: Request) -> tuple[int, object]:
        if request.path == "/health":
            return 200, {}
        asked.append(request.path)
        return 200, [[{"traceId": one.hex(), "id": "00000000000000a1", "kind": "SERVER"}]] if len(asked) > 1 else []

    with stub(answer) as url:
        assert setting.found("--only", "zipkin", "--zipkin-url", url)["holes"] == []
    assert len(asked) == 2


def test_a_zipkin_that_merges_ids_of_two_lengths_is_understood(setting: Setting) -> None:
    whole = new_trace_id()
    short = bytes(8) + whole[8:]
    setting.put_part([span(whole, "a1")])
    setting.put_part([span(short, "a2")])

    def answer(request: Request) -> tuple[int, object]:
        found = [{"traceId": whole.hex(), "id": f"{one:0>16}", "kind": "SERVER"} for one in ("a1", "a2", "a3")]
        return 200, {} if request.path == "/health" else [found]

    with stub(answer) as url:
        assert setting.found("--only", "zipkin", "--zipkin-url", url)["holes"] == []


def test_a_trace_that_zipkin_cannot_show_whole_is_not_judged(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.verify.zipkin._MOST_SPANS", 4)
    large, small, gone = new_trace_id(), new_trace_id(), new_trace_id()
    for one, number in ((large, 6), (small, 2), (gone, 2)):
        setting.put_part(spans(one, number))

    def answer(request: Request) -> tuple[int, object]:
        if request.path == "/health":
            return 200, {}
        have, room = {large.hex(): 6, small.hex(): 2}, 4
        found = []
        for one in request.path.partition("=")[2].split(","):
            # The storage cuts its answer without a word.
            number = min(room, have.get(one, 0))
            found.append([{"traceId": one, "id": f"{n + 1:016x}", "kind": "SERVER"} for n in range(number)])
            room -= number
        return 200, found

    with stub(answer) as url:
        result = setting.verify("--only", "zipkin", "--zipkin-url", url, "--json")
        found = setting.found("--only", "zipkin", "--zipkin-url", url)
    assert found["totals"]["missing_spans"] == 2
    assert found["holes"][0]["trace_ids"] == [gone.hex()]
    assert found["unseen"] == 2
    assert "Not verified: 2 spans of large traces" in result.stderr


@pytest.mark.parametrize(
    "broken", [(400, b"Incomplete annotation at END_OBJECT"), (200, b'[[{"traceId":"a"}]]\0\0')], ids=["400", "NUL"]
)
def test_a_trace_that_breaks_zipkins_answer_is_not_judged_and_no_replay_is_printed_for_it(
    setting: Setting, broken: tuple[int, bytes]
) -> None:
    odd, sound, gone = sorted(new_trace_id() for _ in range(3))
    for one in (odd, sound, gone):
        setting.put_part(spans(one, 2))

    def answer(request: Request) -> tuple[int, object]:
        if request.path == "/health":
            return 200, {}
        asked = request.path.partition("=")[2].split(",")
        if odd.hex() in asked:
            return broken
        have = [{"traceId": sound.hex(), "id": f"{n + 1:016x}", "kind": "SERVER"} for n in range(2)]
        return 200, [have] if sound.hex() in asked else []

    with stub(answer) as url:
        result = setting.verify("--only", "zipkin", "--zipkin-url", url)
        found = setting.found("--only", "zipkin", "--zipkin-url", url)
    assert found["unreadable"] == 2
    assert [one["trace_ids"] for one in found["holes"]] == [[gone.hex()]]
    assert "Not verified: 2 spans of traces that Zipkin has stored and cannot show" in result.stderr
    assert odd.hex() not in result.stdout


def test_a_server_that_answers_wrongly_is_told_from_one_that_is_down(setting: Setting) -> None:
    setting.put_part(spans(new_trace_id()))
    with stub(lambda request: (200, {}) if request.path == "/health" else (500, b"out of disk")) as url:
        wrong = setting.verify("--only", "zipkin", "--zipkin-url", url)
    down = setting.verify("--only", "zipkin", "--zipkin-url", NOWHERE)
    assert "out of disk" in wrong.stderr
    assert "Is it running?" not in wrong.stderr
    assert "Is it running?" in down.stderr


def test_where_both_stores_have_holes_no_sink_is_named(setting: Setting) -> None:
    setting.put_part(spans(new_trace_id()))
    found = setting.found()
    assert found["holes"][0]["kind"] == ["elasticsearch", "zipkin"]
    assert "--sink" not in found["commands"][0]


def test_what_is_dead_is_no_hole(setting: Setting) -> None:
    one, other = new_trace_id(), new_trace_id()
    line = log(one, id="")  # no document can have it
    refused = log(one, timestamp=YEAR_3000)  # the dates of Elasticsearch end in 2262
    broken = SPAN.header + b"\xff" * 20
    setting.write(
        setting.put_part([span(one, "a1"), span(one, "not hex")], [line, refused, log(one)], extra_spans=[broken]),
        setting.put(setting.names.traces, b"no part", 5000),
        setting.put(setting.names.unlinked_logs, b"no line", 5000),
        setting.put_line(log(NO_TRACE, timestamp=YEAR_3000)),
        setting.put_part([span(other, "a1")], [log(other)], at=MINUTE),
    )
    setting.wait_for_zipkin(one, 1)
    setting.wait_for_zipkin(other, 1)
    # The bad span, both broken messages; of Elasticsearch three lines; of Zipkin a span.
    found = setting.found()
    assert found["holes"] == []
    assert found["totals"] == counts(parts=2, spans=3, lines=5, dead_letters=7)
    assert "traces[0]" in setting.verify().stdout


def test_a_part_that_was_refused_as_a_whole_is_no_hole_and_its_lines_still_are(setting: Setting) -> None:
    one = new_trace_id()
    message = setting.put_part(spans(one), [log(one)])
    setting.put_letter(OutgoingDeadLetter(message, message.value, InvalidRecord(Reason.REFUSED, "no")), "elasticsearch")
    found = setting.found("--only", "elasticsearch")
    assert found["totals"] == counts(parts=1, spans=2, lines=1, missing_lines=1, dead_letters=1)


def test_a_dead_letter_of_another_sink_or_place_excuses_nothing(setting: Setting) -> None:
    one = new_trace_id()
    message, other = setting.put_part(spans(one)), setting.put_part([span(new_trace_id())])
    setting.put_letter(OutgoingDeadLetter(message, message.value, InvalidRecord(Reason.REFUSED, "no")), "zipkin")
    setting.put_letter(
        OutgoingDeadLetter(other, SPAN.encode(span(one)), InvalidRecord(Reason.REFUSED, "no"), "span"), "zipkin"
    )
    line = OutgoingDeadLetter(other, LOG_RECORD.encode(log(one)), InvalidRecord(Reason.REFUSED, "no"), "log")
    setting.put_letter(line, "elasticsearch")
    assert setting.found("--only", "elasticsearch")["totals"]["missing_parts"] == 2


def test_what_is_not_kept_is_no_hole(setting: Setting) -> None:
    plain, failed = new_trace_id(), new_trace_id()
    keep = {"keep_share": "0", "keep_log_level": "WARN"}
    messages = [
        setting.put_part(spans(plain), [log(plain), log(plain, level="WARN")]),
        setting.put_part(spans(failed, flags=ERRORED), [log(failed)]),
    ]
    setting.write(*messages, only="elasticsearch", **keep)
    setting.write(*messages, only="zipkin", keep_share="0")
    setting.wait_for_zipkin(failed, 2)
    flags = ("--keep-share", "0", "--keep-log-level", "WARN")
    found = setting.found(*flags)
    assert found["holes"] == []
    assert found["totals"] == counts(parts=2, spans=4, lines=3, not_kept=3)
    assert setting.found("--only", "zipkin", *flags)["totals"]["not_kept"] == 2
    assert setting.found()["totals"] == counts(
        parts=2, spans=4, lines=3, missing_parts=1, missing_lines=1, missing_spans=2
    )


def test_what_the_sink_has_still_to_come_to_is_no_hole(setting: Setting) -> None:
    first, second, third = (new_trace_id() for _ in range(3))
    setting.put_part(spans(first), [log(first)])
    setting.put_part(spans(second), [log(second)], at=1)
    setting.put_part(spans(third), [log(third)], at=2, partition=1)
    setting.put_line(lone(), at=3)
    assert setting.found(sink="es")["totals"]["pending"] == 0  # the group has never committed
    setting.commit("es", setting.names.traces, 1)
    found = setting.found(sink="es")
    assert found["totals"] == counts(
        parts=3, spans=6, lines=4, missing_parts=1, missing_lines=1, missing_spans=2, pending=3
    )
    assert found["holes"][0]["trace_ids"] == [first.hex()]
    setting.commit("es", setting.names.traces, 1, partition=1)
    setting.commit("es", setting.names.unlinked_logs, 1)
    assert setting.found(sink="es")["totals"]["pending"] == 1


def test_only_the_stretch_counts(setting: Setting) -> None:
    before, into, after = (new_trace_id() for _ in range(3))
    setting.put_part(spans(before), at=-5001)
    setting.put_part(spans(into), at=-5000)
    setting.put_part(spans(after), at=6 * HOUR)
    for at in (-1, 0, 6 * HOUR - 1, 6 * HOUR, 5):
        setting.put_line(lone(), at=at)
    found = setting.found("--only", "elasticsearch")
    assert found["holes"][0]["trace_ids"] == [into.hex()]
    assert found["totals"] == counts(parts=1, spans=2, lines=3, missing_parts=1, missing_lines=3)


def test_holes_far_apart_are_a_replay_each_with_the_flags_of_the_command(setting: Setting) -> None:
    first, sound, last = (new_trace_id() for _ in range(3))
    setting.put_part(spans(first))
    setting.write(setting.put_part(spans(sound), at=HOUR), only="elasticsearch")
    setting.put_part(spans(last), at=2 * HOUR)
    found = setting.found("--only", "elasticsearch", "--index-prefix", setting.index_prefix)
    assert found["commands"] == [
        f"tracelink replay --trace-id {one.hex()} "
        f"--from 2026-01-01T{hour}:00:00.000Z --to 2026-01-01T{hour}:00:05.001Z "
        f"--sink elasticsearch --index-prefix={setting.index_prefix} --run"
        for one, hour in ((first, "00"), (last, "02"))
    ]


def test_few_holes_among_many_traces_go_to_a_file(setting: Setting, tmp_path: Any) -> None:  # noqa: ANN401 - pytest's
    gone = [new_trace_id() for _ in range(21)]
    for one in gone:
        setting.put_part([span(one)])
    setting.write(*[setting.put_part([span(new_trace_id())]) for _ in range(200)], only="elasticsearch")
    assert "with --missing FILE the replay selects only these" in setting.verify("--only", "elasticsearch").stdout
    path = tmp_path / "ids.txt"
    result = setting.verify("--only", "elasticsearch", "--missing", str(path))
    assert result.exit_code == 1
    assert f"  tracelink replay --trace-ids {path} --from 2026-01-01T00:00:00.000Z --to" in result.stdout
    assert path.read_text().splitlines() == sorted(one.hex() for one in gone)


def test_where_retention_has_passed_the_begin_it_says_so(setting: Setting) -> None:
    for number in range(3):
        setting.put_part(spans(new_trace_id()), at=number * HOUR)
    where = TopicPartition(setting.names.traces, 0, 2)
    setting.admin.delete_records([where])[where].result(20)
    result = setting.verify("--only", "elasticsearch")
    assert "output before 2026-01-01T02:00:05.000Z has been deleted" in result.stderr
    assert "`tracelink replay --from 2026-01-01T00:00:00.000Z` joins them again" in result.stderr
    assert setting.found("--only", "elasticsearch")["available_since"] == "2026-01-01T02:00:05.000Z"


def test_a_moment_may_be_a_record(setting: Setting) -> None:
    setting.put_part(spans(new_trace_id()), at=MINUTE)
    setting.put(setting.names.spans, SPAN.encode(span(new_trace_id())), HOUR)
    found = setting.found("--only", "elasticsearch", "--to", "s0-0")
    assert found["totals"]["parts"] == 1
    assert "has no record at offset 7" in setting.verify("--to", "s0-7").output


def test_a_store_that_is_away_is_said_and_the_other_can_be_asked_alone(setting: Setting) -> None:
    one = new_trace_id()
    setting.write(setting.put_part(spans(one)), only="elasticsearch")
    away = setting.verify("--zipkin-url", NOWHERE)
    assert away.exit_code == 1
    assert away.output.startswith("Error: Zipkin at http://127.0.0.1:1 does not answer")
    assert "Is it running?" in away.output
    assert setting.verify("--zipkin-url", NOWHERE, "--only", "elasticsearch").exit_code == 0
    away = setting.verify("--elasticsearch-url", NOWHERE, "--only", "elasticsearch")
    assert "Error: Elasticsearch at http://127.0.0.1:1 does not answer" in away.output


@pytest.mark.parametrize("status", [404, 500])
def test_a_zipkin_that_answers_no_questions_has_no_holes_told(setting: Setting, status: int) -> None:
    setting.put_part(spans(new_trace_id()))
    with stub(lambda request: (200 if request.path == "/health" else status, {})) as url:
        result = setting.verify("--only", "zipkin", "--zipkin-url", url)
    assert result.exit_code == 1
    assert f"returned no traces; it responded {status}" in result.output
    assert "replay" not in result.output


def test_a_shard_that_is_away_is_no_hole(setting: Setting) -> None:
    setting.put_part(spans(new_trace_id()))
    down = {"docs": [{"error": {"type": "no_shard_available_action_exception"}}]}
    with stub(lambda request: (200, down if "_mget" in request.path else {})) as url:
        result = setting.verify("--only", "elasticsearch", "--elasticsearch-url", url)
    assert "cannot look up" in result.output
    assert "no_shard_available" in result.output


def test_mistakes_are_said(setting: Setting) -> None:
    assert "is not before --to" in setting.verify("--from", "2026-01-02").output
    assert "is not a time" in setting.verify("--from", "yesterday").output
    gone = setting.verify("--topic-prefix", f"{setting.names.prefix}none.")
    assert "Kafka has no topic" in gone.output
    setting.put_part(spans(new_trace_id()))
    failed = setting.verify("--only", "elasticsearch", "--missing", "/none/ids.txt")
    assert "--missing: cannot write '/none/ids.txt'" in failed.output


def test_help_has_examples_and_no_secret_is_repeated(setting: Setting) -> None:
    assert (
        "tracelink verify --from 6h --json | jq -r .commands[]" in CliRunner().invoke(main, ["verify", "--help"]).output
    )
    setting.put_part(spans(new_trace_id()))
    url = setting.stack.elasticsearch.replace("://", "://someone:secret@")
    result = setting.verify("--only", "elasticsearch", "--elasticsearch-url", url)
    assert "tracelink replay" in result.output
    assert "secret" not in result.output


def test_a_terminal_sees_the_table_without_the_bar(setting: Setting, stack: Endpoints) -> None:
    setting.put_part(spans(new_trace_id()))
    environment = {
        "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": stack.kafka,
        "TRACELINK_ELASTICSEARCH_URL": stack.elasticsearch,
        "TRACELINK_TOPIC_PREFIX": setting.names.prefix,
        "TRACELINK_INDEX_PREFIX": setting.index_prefix,
    }
    arguments = ("verify", "--from", "2026-01-01", "--to", "2026-01-02", "--only", "elasticsearch")
    with in_terminal(*arguments, **environment) as terminal:
        assert terminal.wait() == 1
        assert "comparing" in terminal.text()
        assert "To fill the gaps:" in terminal.text()


def test_a_replays_own_topics_and_groups_can_be_looked_at(setting: Setting) -> None:
    job = setting.names.of_job("again")
    setting.create(job.spans, job.traces, job.unlinked_logs, job.dead_letters)
    live, again, line = new_trace_id(), new_trace_id(), lone()
    setting.put_part(spans(live))
    setting.put(job.traces, trace_message(spans(again), opened=START), 5000)
    setting.put(job.unlinked_logs, LOG_RECORD.encode(line), 7)
    for topic in (job.traces, job.unlinked_logs):
        setting.put(topic, None, 8, headers=end_headers())
    found = setting.found("--replay", "again")
    assert found["totals"] == counts(parts=1, spans=2, lines=1, missing_parts=1, missing_lines=1, missing_spans=2)
    assert found["holes"][0]["trace_ids"] == [again.hex()]
    assert {row["topic"] for row in found["rows"]} == {job.traces, job.unlinked_logs}
    setting.commit_as(job.job_group("sink-zipkin"), job.traces, 0)
    found = setting.found("--replay", "again")
    assert found["totals"] == counts(parts=1, spans=2, lines=1, missing_parts=1, missing_lines=1, pending=1)
