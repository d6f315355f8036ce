"""The command `tracelink replay`, as a user types it."""

import json
import random
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from pipeline.cli.root import main
from pipeline.cli.times import shown
from pipeline.local.stack import Endpoints
from streams.replay import copy
from streams.replay.copy import Copied, Copier
from streams.replay.jobs import Jobs
from streams.replay.replay import Asked, Replays
from streams.replay.status import Observer
from streams.worker.sessions import Stopped
from tests.kit.kafka import publish, read_all
from tests.kit.records import key
from tests.kit.replay_traffic import FAR, GAP, PARTITIONS, START, Inputs, copies, random_traffic
from tests.kit.waiting import wait_for
from tracelink.errors import UserError

BEGIN, END = shown(START - FAR), shown(START + FAR)
ALL = ("--from", BEGIN, "--to", END)


@pytest.fixture
def inputs(stack: Endpoints, topic_prefix: str) -> Inputs:
    return Inputs(stack.kafka, topic_prefix)


def run(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(main, ["replay", *arguments], input=given)


def on(inputs: Inputs, *arguments: str, given: str | None = None) -> Result:
    """Run `tracelink replay ARGUMENTS` on a test's topics."""
    gap = ["--idle-gap", str(GAP / 1000)] if arguments[0] not in {"list", "status", "delete"} else []
    return run(*arguments, *gap, *inputs.options, given=given)


def said(result: Result) -> dict[str, Any]:
    """Return the JSON object that a command has printed."""
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def refused(result: Result) -> str:
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("Error: ")
    return result.stderr.removeprefix("Error: ").strip()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "Select what to replay: --from MOMENT, or --trace-id ID."),
        (("--to", "now"), "Select what to replay"),
        (("--errored",), "Select what to replay"),
        (("--resume", "j", "--from", "1h"), "--resume keeps the selection of the job"),
        (("--resume", "j", "--to", "1h"), "--resume keeps the selection of the job"),
        (("--resume", "j", "--trace-id", "1"), "--resume keeps the selection of the job"),
        (("--resume", "j", "--partition", "1"), "--resume keeps the selection of the job"),
        (("--resume", "j", "--all-partitions"), "--resume keeps the selection of the job"),
        (("--resume", "j", "--job", "k"), "--resume keeps the selection of the job"),
        (("--resume", "j", "--dry-run"), "--resume keeps the selection of the job"),
        (("--from", "1h", "--sink", "zipkin"), "need --run"),
        (("--from", "1h", "--alerts"), "need --run"),
        (("--from", "1h", "--run", "--sink", "alertmanager"), "'alertmanager' is not one of"),
        (("--from", "1h", "--job", "a.b"), "'a.b' is not a job name"),
        (("--from", "1h", "--job", "-"), "is not a job name"),
        (("--from", "tomorrow"), "'tomorrow' is not a time"),
        (("--from", "1h", "--to", "s1"), "'s1' is not a time"),
        (("--from", "1h", "--rate", "0"), "--rate"),
        (("status",), "Missing argument 'JOB'"),
        (("delete",), "Missing argument 'JOB'"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(arguments: tuple[str, ...], why: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert why in result.stderr


def test_moments_ids_and_files_that_are_wrong_are_said(inputs: Inputs, tmp_path: Path) -> None:
    inputs.put_span(1, 0)
    assert refused(on(inputs, "--from", END, "--to", BEGIN)).endswith(f"is not before --to {BEGIN}.")
    assert refused(on(inputs, "--from", "s0-1")) == (
        f"{inputs.names.spans}[0] has no record at offset 1: it has offsets 0 up to, but not including, 1."
    )
    assert refused(on(inputs, "--from", f"l{PARTITIONS}-0")) == f"{inputs.names.logs} has no partition {PARTITIONS}."
    assert refused(on(inputs, "--trace-id", "xyz")).startswith("--trace-id: 'xyz' is not a trace id")
    (tmp_path / "ids").write_text("1\nxyz\n")
    assert refused(on(inputs, "--trace-ids", str(tmp_path / "ids"))).startswith(f"{tmp_path / 'ids'}:2: 'xyz'")
    assert refused(on(inputs, "--trace-ids", str(tmp_path / "none"))).endswith("none: No such file or directory.")
    assert refused(on(inputs, "--trace-ids", "-", given="1\n\nxyz\n")).startswith("standard input:3: 'xyz'")


def test_a_job_that_is_not_there_is_said_with_where_to_look(inputs: Inputs) -> None:
    for arguments in (("--resume", "none"), ("status", "none"), ("delete", "none")):
        assert refused(on(inputs, *arguments)) == (
            "There is no replay job none. List the jobs with: tracelink replay list"
        )
    assert on(inputs, "list").output == "There are no replay jobs.\n"


def test_topics_that_are_not_there_are_said(stack: Endpoints, topic_prefix: str) -> None:
    where = ("--kafka-bootstrap-servers", stack.kafka, "--topic-prefix", topic_prefix)
    assert refused(run("list", *where)).startswith(f"Kafka has no topic {topic_prefix}replays. Create the topics with:")
    assert refused(run(*ALL, *where)).startswith(f"Kafka has no topic {topic_prefix}")


def test_a_dry_run_counts_just_what_is_copied_and_makes_nothing(inputs: Inputs) -> None:
    random_traffic(inputs, random.Random(6), traces=15, span=15_000)
    inputs.forget(inputs.names.spans, 0, 4)
    selections: tuple[tuple[str, ...], ...] = (
        ALL,
        ("--from", shown(START + 3000), "--to", shown(START + 8000), "--partition", "0"),
    )
    for number, selected in enumerate(selections):
        tried = said(on(inputs, *selected, "--dry-run", "--json"))
        assert on(inputs, "list", "--json").output.count("\n") == number
        copied = said(on(inputs, *selected, "--job", f"j{number}", "--json"))
        assert {name: tried[name] for name in ("from", "to", "records", "bytes", "cut")} == {
            name: copied[name] for name in ("from", "to", "records", "bytes", "cut")
        }
        job = inputs.job(f"j{number}")
        rows = [row for some in job.values() for row in some]
        assert (tried["records"], tried["bytes"]) == (len(rows), sum(len(row[1] or b"") for row in rows))
        unlinked = inputs.names.of_job(f"j{number}").unlinked_logs
        linked = [row for (topic, _), some in job.items() for row in some if topic != unlinked]
        assert tried["traces"] == len({row[0] for row in linked if row[0]})
        assert tried["cut"] > 0 or number
        assert (copied["state"], copied["through"]) == ("copied", False)


def test_jobs_are_listed_shown_and_deleted_with_all_that_is_theirs(inputs: Inputs) -> None:
    inputs.put_span(1, 0)
    inputs.put_log(1, 10)
    inputs.put_span(2, 20)
    printed = on(inputs, *ALL, "--job", "first").output
    assert "Job first: copied 3 records, 12 bytes." in printed
    assert "Or both in one command: tracelink replay --resume first --idle-gap=1.0" in printed
    again = refused(on(inputs, *ALL, "--job", "first"))
    assert again.startswith("There is a replay job first already. Resume it: tracelink replay --resume first;")
    selected = said(on(inputs, "--trace-id", "1", "--to", END, "--all-partitions", "--job", "second", "--json"))
    assert (selected["records"], selected["traces"], selected["asked"]) == (2, 1, "1 trace ids")
    lines = on(inputs, "list", "--json").output.splitlines()
    assert [json.loads(line)["job"] for line in lines] == ["first", "second"]
    table = on(inputs, "list").output
    assert "first" in table
    assert "100 %" in table
    shown_as_json = said(on(inputs, "status", "first", "--json"))
    assert shown_as_json == json.loads(lines[0])
    copied = {name: shown_as_json[name] for name in ("state", "records", "read", "toRead", "traces", "cut")}
    assert copied == {"state": "copied", "records": 3, "read": 3, "toRead": 3, "traces": None, "cut": 0}
    assert shown_as_json["stages"] == [{"stage": "join", "done": 0, "total": 3, "running": False}]
    assert "copied   100 %: 3 records, 12 bytes, of 3 messages to read" in on(inputs, "status", "first").output
    assert on(inputs, "delete", "second").output == "Deleted the job second with 7 topics.\n"
    prefix = inputs.names.of_job("second").prefix
    wait_for(
        "the topics to go", lambda: not [one for one in inputs.admin.list_topics().topics if one.startswith(prefix)]
    )
    groups = [one.group_id for one in inputs.admin.list_consumer_groups().result().valid or []]
    assert inputs.names.of_job("first").job_group("copy") in groups
    assert not [one for one in groups if one.startswith(prefix)]
    newest = {message.key(): message.value() for message in read_all(inputs.servers, inputs.names.jobs)}
    assert {name for name, value in newest.items() if value is None} == {b"second", b"second/0", b"second/windows"}
    assert refused(on(inputs, "--resume", "second")).startswith("There is no replay job second.")


def test_a_job_that_runs_is_not_deleted_and_one_that_was_deleted_in_part_is(inputs: Inputs) -> None:
    inputs.put_span(1, 0)
    on(inputs, *ALL, "--job", "j")
    names = inputs.names.of_job("j")
    member = Consumer({"bootstrap.servers": inputs.servers, "group.id": names.job_group("join")})
    member.subscribe([names.spans])

    def is_assigned() -> bool:
        member.poll(0.1)
        return bool(member.assignment())

    wait_for("the assignment", is_assigned)
    assert said(on(inputs, "status", "j", "--json"))["stages"][0]["running"]
    assert refused(on(inputs, "delete", "j")) == "The job j still runs: join. End these processes first."
    member.commit(offsets=[TopicPartition(names.spans, 0, 1)], asynchronous=False)
    member.close()
    for future in inputs.admin.delete_topics([names.spans, names.logs, names.traces]).values():
        future.result(20)
    # The broker may show them longer than the controller.
    wait_for("the topics to be gone", lambda: names.logs not in inputs.admin.list_topics(timeout=10).topics)
    assert on(inputs, "list", "--json").exit_code == 0
    refused(on(inputs, "--resume", "j"))
    assert on(inputs, "delete", "j").output == "Deleted the job j with 4 topics.\n"


def test_a_group_that_is_gone_by_itself_is_deleted(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs.put_span(1, 0)
    on(inputs, *ALL, "--job", "j")
    gone = inputs.names.of_job("j").job_group("join")
    monkeypatch.setattr(Observer, "groups", lambda *_: {gone: False})
    assert on(inputs, "delete", "j").output == "Deleted the job j with 7 topics.\n"


def test_to_delete_a_job_ends_its_copier(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy, "_COMMIT_EVERY", 0.0)
    monkeypatch.setattr(copy, "_FIRST_SLICE", 1)
    for time in range(20):
        inputs.put_span(1, time)
    made = Replays(inputs.settings, Event(), lambda *_: None)
    _, plan = made.create("j", Asked(BEGIN, END))
    # The topics stay: to find out that they are gone takes a copier a minute.
    monkeypatch.setattr("streams.replay.replay._finish", lambda _: None)
    monkeypatch.setattr(AdminClient, "delete_topics", lambda *_, **__: {})
    deleted: list[str] = []

    def on_progress(now: Copied) -> None:
        if now.read and not deleted:
            deleted.extend(made.delete("j"))

    copier = Copier(inputs.settings, "j", plan, on_progress=on_progress)
    with pytest.raises(UserError, match="this one has ended"):
        copier.run()
    assert len(deleted) == 7


def test_a_moment_may_be_a_record(inputs: Inputs) -> None:
    for time in (0, 5000, 10_000):
        inputs.put_span(time + 1, time)
        inputs.put_log(time + 1, time + 2000)
    found = said(on(inputs, "--from", "s0-1", "--to", "l0-2", "--dry-run", "--json"))
    assert (found["from"], found["to"]) == (shown(START + 5000), shown(START + 12_000))
    assert found["records"] == 3


@pytest.mark.parametrize("ids", [["ab54A98CEB1F0AD2"], ["0000000000000000ab54a98ceb1f0ad2", "Ab54a98ceb1f0ad2"]])
def test_ids_of_both_lengths_and_cases_name_the_same_trace(inputs: Inputs, ids: list[str]) -> None:
    sent = b"0000000000000000ab54a98ceb1f0ad2"
    publish(inputs.servers, inputs.names.spans, [(sent, b"span"), (key(1), b"other")])
    found = said(on(inputs, *(word for one in ids for word in ("--trace-id", one)), "--dry-run", "--json"))
    assert (found["records"], found["traces"]) == (1, 1)


def test_more_ids_than_fit_one_record_outlast_an_interrupt(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy, "_COMMIT_EVERY", 0.0)
    monkeypatch.setattr(copy, "_FIRST_SLICE", 1)
    for trace in range(1, 21):
        inputs.put_span(trace, trace * 2 * GAP)
    keys = frozenset(map(key, range(2, 100_004, 2)))
    stopping = Event()
    made = Replays(inputs.settings, stopping, lambda _what, done, _total: stopping.set() if done else None)
    stored, plan = made.create("j", Asked(BEGIN, END, keys, all_partitions=True))
    with pytest.raises(Stopped):
        made.copy(stored, plan, None)
    assert {message.key() for message in read_all(inputs.servers, inputs.names.jobs)} == {
        b"j",
        b"j/0",
        b"j/1",
        b"j/windows",
    }
    assert Jobs(inputs.settings).get("j").keys == keys
    assert said(on(inputs, "--resume", "j", "--json"))["records"] == 10
    wanted = [message for message in inputs.records() if message.key() in keys]
    assert inputs.job("j") == copies(inputs, "j", wanted)
