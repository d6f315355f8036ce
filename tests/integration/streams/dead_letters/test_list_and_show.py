"""`tracelink dead-letters list` and `show`, on a real Kafka."""

import json
import time
from pathlib import Path

import pytest

from pipeline.cli.times import shown
from pipeline.kafka.offsets import OffsetRange
from pipeline.local.stack import Endpoints
from pipeline.settings import ReplayedSettings
from streams.dead_letters.dead_letter import Filters, Name
from streams.dead_letters.topic import DeadLettersTopic
from tests.kit.dead_letter_examples import Pipeline, letter
from tests.kit.records import key, span_message
from tests.kit.terminal import in_terminal
from tracelink.errors import Reason

HOUR = 3_600_000


@pytest.fixture
def pipeline(stack: Endpoints, topic_prefix: str) -> Pipeline:
    return Pipeline(stack.kafka, topic_prefix)


def test_each_filter_leaves_what_it_names(pipeline: Pipeline) -> None:
    live, now = pipeline.live, time.time_ns() // 1_000_000
    old = pipeline.bury(letter(topic=live.spans, reason=Reason.KEY), timestamp=now - 2 * HOUR)
    refused = pipeline.bury(letter(topic=live.traces, reason=Reason.REFUSED, sink="zipkin"), partition=1, timestamp=now)
    other = pipeline.bury(letter(topic=live.logs), timestamp=now + 1)
    assert pipeline.open() == [old, refused, other]
    assert pipeline.open("--reason", "key") == [old]
    assert pipeline.open("--reason", "key", "--reason", "body") == [old, other]
    assert pipeline.open("--sink", "zipkin") == [refused]
    assert pipeline.open("--from", "1h") == [refused, other]
    assert pipeline.open("--to", "1h") == [old]
    assert pipeline.open("--from", shown(now - 2 * HOUR), "--to", shown(now - 2 * HOUR + 1)) == [old]
    assert pipeline.open("--topic", "logs") == pipeline.open("--topic", live.logs) == [other]
    assert pipeline.open("--partition", "3", "--offset", "4711") == [old, refused, other]
    assert pipeline.open("--partition", "2") == pipeline.open("--offset", "1") == []
    assert pipeline.open(refused, other) == [refused, other]
    assert pipeline.open("--reason", "body", other) == [other]
    assert pipeline.open("--limit", "1") == [other]


def test_the_newest_is_last_whatever_partition_it_lies_on(pipeline: Pipeline) -> None:
    now = time.time_ns() // 1_000_000
    names = [pipeline.bury(letter(), partition=number % 2, timestamp=now + number) for number in range(6)]
    assert pipeline.open() == names
    assert pipeline.open("--limit", "2") == names[-2:]


def test_json_has_all_that_is_known_of_a_letter(pipeline: Pipeline) -> None:
    name = pipeline.bury(
        letter(b"12345", key=b"\xff\x00", topic=pipeline.live.traces, sink="zipkin", kind="span", redriven="2")
    )
    (found,) = pipeline.listed()
    assert found["letter"] == name
    assert (found["reason"], found["sink"], found["kind"], found["redriven"]) == ("body", "zipkin", "span", 2)
    assert (found["topic"], found["partition"], found["offset"]) == (pipeline.live.traces, 3, 4711)
    assert (found["keyHex"], found["bytes"], found["settled"]) == ("ff00", 5, None)
    assert "key" not in found


def test_the_table_counts_by_reason_and_obeys_no_payload(pipeline: Pipeline) -> None:
    nasty = "\x1b[2J[red]\u202e password=hunter2hunter2"
    pipeline.bury(letter(topic=pipeline.live.spans, detail=nasty, sink="\x1b[2J"))
    pipeline.bury(letter(topic=pipeline.live.spans, reason=Reason.KEY))
    pipeline.bury(letter(topic=pipeline.live.spans))
    done = pipeline.run("list", "--limit", "2")
    assert done.exit_code == 0
    assert "spans[3]@4711" in done.stdout
    assert "3 open dead letters: 2 body, 1 key; 1 older not shown (--limit)." in done.stdout
    full = pipeline.run("list").stdout
    assert not {"\x1b", "\u202e"} & set(full)
    assert "hunter2" not in full
    assert "[redacted]" in full


def test_a_terminal_of_80_columns_has_room_for_what_matters(pipeline: Pipeline) -> None:
    name = pipeline.bury(letter(topic=pipeline.live.spans, detail="a detail"))
    with in_terminal("dead-letters", "list", COLUMNS="80", **pipeline.environment) as terminal:
        assert terminal.wait() == 0
        (row,) = [line for line in terminal.text().splitlines() if "4711" in line]
        assert name in row
        assert "spans[3]@4711" in row
        assert "a detail" in row


def test_no_letters_are_told(pipeline: Pipeline) -> None:
    assert pipeline.run("list").stdout == "No open dead letters.\n"


def test_show_points_at_the_byte_that_is_wrong(pipeline: Pipeline) -> None:
    message = span_message(1, name="a name")
    at = message.index(b"a name")
    name = pipeline.bury(letter(message[:at] + b"\xff" + message[at + 1 :], key=key(1), topic=pipeline.live.spans))
    done = pipeline.run("show", name)
    assert done.exit_code == 0
    assert f"Wrong at byte {at}, in name" in done.stdout
    assert "^^" in done.stdout
    (found,) = [json.loads(line) for line in pipeline.run("show", "--offset", "4711", "--json").stdout.splitlines()]
    assert [fault["at"] for fault in found["faults"]] == [at]
    assert found["headers"]["tracelink.reason"] == "body"
    assert {"path": "id", "start": 27, "end": 44, "value": message[28:44].decode()} in found["fields"]
    assert "payloadHex" not in found


def test_raw_shows_and_writes_what_is_otherwise_redacted(pipeline: Pipeline, tmp_path: Path) -> None:
    message = span_message(1, tags={"password": "hunter2hunter2"})
    name = pipeline.bury(letter(message, key=key(1), topic=pipeline.live.spans))
    assert "hunter2" not in pipeline.run("show", name).output
    assert "hunter2" not in pipeline.run("show", name, "--json").output
    file = tmp_path / "letter.avro"
    done = pipeline.run("show", name, "--raw", "--output", str(file))
    assert "hunter2" in done.stdout
    assert file.read_bytes() == message
    refused = pipeline.run("show", name, "--output", str(file))
    assert (refused.exit_code, "--raw" in refused.stderr) == (2, True)
    other = pipeline.bury(letter())
    assert pipeline.run("show", name, other, "--raw", "--output", str(file)).exit_code == 1


def test_a_letter_that_is_not_there_is_told(pipeline: Pipeline) -> None:
    name = pipeline.bury(letter())
    for command in ("list", "show"):
        done = pipeline.run(command, name, "1-99")
        assert done.exit_code == 1
        assert "Not found: 1-99" in done.stderr
        assert "Traceback" not in done.output
    assert pipeline.run("show", "--sink", "none").exit_code == 1
    assert pipeline.run("show").exit_code == 2
    assert pipeline.run("show", "3_17").exit_code == 2


def test_missing_topics_and_jobs_are_told_with_their_remedy(
    stack: Endpoints, topic_prefix: str, pipeline: Pipeline
) -> None:
    done = pipeline.run("list", "--replay", "nowhere")
    assert (done.exit_code, "no replay job nowhere" in done.stderr) == (1, True)
    done = pipeline.run("list", "--topic-prefix", f"{topic_prefix}none.", "--kafka-bootstrap-servers", stack.kafka)
    assert (done.exit_code, "tracelink topics apply" in done.stderr) == (1, True)


def test_letters_of_a_replay_job_are_its_own(stack: Endpoints, topic_prefix: str) -> None:
    job = Pipeline(stack.kafka, topic_prefix, job="j")
    name = job.bury(letter())
    assert job.open() == []
    assert job.open("--replay", "j") == [name]
    assert job.run("show", name, "--replay", "j").exit_code == 0


def test_what_retention_has_passed_is_stepped_over(pipeline: Pipeline) -> None:
    first, second = pipeline.bury(letter()), pipeline.bury(letter())
    pipeline.pass_retention(1)
    assert pipeline.open() == [second]
    done = pipeline.run("list", first, second)
    assert (done.exit_code, f"Not found: {first}." in done.stderr) == (1, True)


def test_only_the_offsets_that_are_asked_for_are_read(pipeline: Pipeline) -> None:
    now = time.time_ns() // 1_000_000
    for number in range(10):
        pipeline.bury(letter(), timestamp=now + number)
    topic = DeadLettersTopic(
        ReplayedSettings.load(kafka_bootstrap_servers=pipeline.kafka, topic_prefix=pipeline.live.prefix)
    )
    where = (pipeline.names.dead_letters, 0)

    def offset_range(filters: Filters) -> OffsetRange | None:
        return topic.offset_ranges(topic.query(filters)).get(where)

    assert offset_range(Filters(letters=(Name(0, 3), Name(0, 5)))) == (3, 6)
    assert offset_range(Filters(letters=(Name(0, 3), Name(1, 0)))) == (3, 4)
    assert offset_range(Filters(letters=(Name(1, 0),))) is None
    assert offset_range(Filters(since=shown(now + 7))) == (7, 10)
    assert offset_range(Filters()) == (0, 10)
    pipeline.pass_retention(4)
    assert offset_range(Filters(letters=(Name(0, 3), Name(0, 5)))) == (4, 6)
