"""`tracelink dead-letters redrive` and `discard`, on a real Kafka: each letter once, whatever happens in between."""

import json
import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from pipeline.failpoints import Failpoint
from pipeline.kafka.admin import connect
from pipeline.kafka.transactions import Transactions
from pipeline.local.stack import Endpoints
from streams.dead_letters.dead_letter import Name
from streams.dead_letters.resolutions import RESOLUTION, Owner
from streams.dead_letters.resolver import Resolver
from streams.dead_letters.verdict import Disposition, Verdict
from tests.kit.children import Child
from tests.kit.dead_letter_examples import Pipeline, letter
from tests.kit.kafka import publish, read_all, read_until
from tests.kit.processes import running
from tests.kit.records import key, log_message, span_message
from tests.kit.terminal import Terminal, in_terminal
from tests.kit.waiting import wait_for
from tracelink.errors import Reason, UserError
from tracelink.settings import KafkaSettings


@pytest.fixture
def pipeline(stack: Endpoints, topic_prefix: str) -> Pipeline:
    return Pipeline(stack.kafka, topic_prefix)


def settings_of(pipeline: Pipeline) -> KafkaSettings:
    return KafkaSettings.load(kafka_bootstrap_servers=pipeline.kafka, topic_prefix=pipeline.live.prefix)


# Redriving


def test_a_letter_goes_back_untouched_and_once(pipeline: Pipeline) -> None:
    name = pipeline.bury(letter(b"\x00payload", key=key(7), topic=pipeline.live.spans))
    assert pipeline.redrive(name)["sent"] == 1
    again = pipeline.redrive(name)
    assert (again["sent"], again["settled"]) == (0, 1)
    (message,) = read_all(pipeline.kafka, pipeline.live.spans)
    assert (message.key(), message.value()) == (key(7), b"\x00payload")
    assert message.headers() == [("tracelink.redriven", b"1")]
    assert pipeline.open() == []
    (listed,) = pipeline.listed("--all")
    assert (listed["settled"]["action"], listed["settled"]["count"]) == ("REDRIVEN", 1)


def test_each_letter_goes_to_the_topic_that_it_belongs_to(pipeline: Pipeline) -> None:
    live = pipeline.live
    pipeline.bury(letter(b"whole", topic=live.traces))
    pipeline.bury(letter(b"span", topic=live.traces, kind="span"), partition=1)
    pipeline.bury(letter(b"log", topic=live.traces, kind="log"))
    pipeline.bury(letter(b"line", key=None, topic=live.unlinked_logs, kind="log"))
    pipeline.bury(letter(None, key=None, topic=live.logs))
    summary = pipeline.redrive("--all")
    assert summary["topics"] == {live.spans: 1, live.logs: 2, live.traces: 1, live.unlinked_logs: 1}
    assert pipeline.messages(live.traces) == [(b"k", b"whole")]
    assert pipeline.messages(live.spans) == [(b"k", b"span")]
    assert pipeline.messages(live.unlinked_logs) == [(None, b"line")]
    assert sorted(pipeline.messages(live.logs), key=str) == [(None, None), (b"k", b"log")]


def test_a_key_goes_to_the_partition_that_it_came_from(pipeline: Pipeline) -> None:
    sent = [(key(number), span_message(number)) for number in range(20)]
    publish(pipeline.kafka, pipeline.live.logs, sent)
    for one, message in sent:
        pipeline.bury(letter(message, key=one, topic=pipeline.live.spans))
    pipeline.redrive("--all")
    where = [
        {message.key(): message.partition() for message in read_all(pipeline.kafka, topic)}
        for topic in (pipeline.live.logs, pipeline.live.spans)
    ]
    assert where[0] == where[1]


def test_a_letter_of_a_replay_job_goes_to_the_live_topics(stack: Endpoints, topic_prefix: str) -> None:
    job = Pipeline(stack.kafka, topic_prefix, job="j")
    name = job.bury(letter(b"of the job", topic=job.names.traces))
    live = Pipeline(stack.kafka, topic_prefix)
    same_place = live.bury(letter(b"live", topic=job.live.traces))
    assert name == same_place
    assert job.redrive(name, "--replay", "j")["topics"] == {job.live.traces: 1}
    assert live.open() == [same_place]
    assert job.open("--replay", "j") == []
    assert job.redrive(name, "--replay", "j")["settled"] == 1
    assert job.messages(job.live.traces) == [(b"k", b"of the job")]


def test_what_cannot_go_out_is_refused_and_the_rest_goes(pipeline: Pipeline) -> None:
    cut = pipeline.bury(letter(b"part", topic=pipeline.live.spans, reason=Reason.SIZE, cut_from_bytes="5000000"))
    astray = pipeline.bury(letter(topic=pipeline.live.error_traces))
    often = pipeline.bury(letter(b"often", topic=pipeline.live.spans, redriven="3"))
    good = pipeline.bury(letter(b"good", topic=pipeline.live.spans))
    summary = pipeline.redrive(cut, astray, often, good, "1-99", code=1)
    assert {one["letter"]: one["outcome"] for one in summary["refused"]} == {
        cut: "cut", astray: "no_way_back", often: "too_often", "1-99": "missing",
    }  # fmt: skip
    assert pipeline.messages(pipeline.live.spans) == [(b"k", b"good")]
    assert pipeline.open() == sorted([cut, astray, often])
    shown = pipeline.run("redrive", cut, often)
    assert shown.exit_code == 1
    assert f"{cut} is refused: only 4 of 5000000 bytes are here" in shown.stdout
    assert f"{often} is refused: it has come back 3 times" in shown.stdout
    assert pipeline.redrive(often, "--at-most", "4")["sent"] == 1
    (message,) = [one for one in read_all(pipeline.kafka, pipeline.live.spans) if one.value() == b"often"]
    assert message.headers() == [("tracelink.redriven", b"4")]


def test_a_message_that_comes_back_without_its_header_is_stopped(pipeline: Pipeline) -> None:
    for count in (1, 2, 3):
        name = pipeline.bury(letter(b"poison", topic=pipeline.live.traces, kind="span"))
        assert pipeline.redrive(name)["sent"] == 1
        assert RESOLUTION.decode(pipeline.resolutions()[name.encode()] or b"")["count"] == count
    back = pipeline.bury(letter(b"poison", topic=pipeline.live.traces, kind="span"))
    (refused,) = pipeline.redrive(back, code=1)["refused"]
    assert (refused["outcome"], refused["count"]) == ("too_often", 4)
    assert len(pipeline.messages(pipeline.live.spans)) == 3


def test_many_alike_are_no_loop(pipeline: Pipeline) -> None:
    long_ago = time.time_ns() // 1_000_000 - 3_600_000
    names = [pipeline.bury(letter(None, key=None, topic=pipeline.live.spans), timestamp=long_ago) for _ in range(8)]
    assert pipeline.redrive(*names[:5])["sent"] == 5
    assert pipeline.redrive("--all")["sent"] == 3


def test_a_message_that_kafka_refuses_is_alone_with_that(pipeline: Pipeline) -> None:
    topic = ConfigResource(
        ResourceType.TOPIC,
        pipeline.live.spans,
        incremental_configs=[ConfigEntry("max.message.bytes", "2000", incremental_operation=AlterConfigOpType.SET)],
    )
    admin = connect(settings_of(pipeline))
    admin.incremental_alter_configs([topic])[topic].result(20)
    wait_for(
        "the change to be seen",
        lambda: admin.describe_configs([topic])[topic].result(10)["max.message.bytes"].value == "2000",
    )
    sent = [b"one", os.urandom(50_000), b"two"]
    names = [pipeline.bury(letter(payload, topic=pipeline.live.spans)) for payload in sent]
    summary = pipeline.redrive(*names, code=1)
    (refused,) = summary["refused"]
    assert (refused["letter"], refused["outcome"], summary["sent"]) == (names[1], "not_taken", 2)
    assert [value for _, value in pipeline.messages(pipeline.live.spans)] == [b"one", b"two"]
    assert pipeline.open() == [names[1]]


# Asking


def asks(terminal: Terminal) -> bool:
    return "Redrive them?" in terminal.text()


def test_nothing_named_is_refused_and_so_is_a_filter_that_nobody_can_confirm(pipeline: Pipeline) -> None:
    pipeline.bury(letter(topic=pipeline.live.spans))
    for command in ("redrive", "discard"):
        for arguments in ((), ("--yes",), ("--all",), ("--reason", "body"), ("--all", "--reason", "body", "--yes")):
            done = pipeline.run(command, *arguments)
            assert done.exit_code == 2, arguments
            assert "Traceback" not in done.output
    assert len(pipeline.open()) == 1
    assert pipeline.messages(pipeline.live.spans) == []


def test_a_dry_run_says_what_goes_where_and_does_nothing(pipeline: Pipeline) -> None:
    name = pipeline.bury(letter(topic=pipeline.live.spans))
    done = pipeline.run("redrive", "--all", "--dry-run")
    assert done.exit_code == 0
    assert f"{name} goes to {pipeline.live.spans}" in done.stdout
    assert f"1 to go to {pipeline.live.spans}." in done.stdout
    named = pipeline.run("redrive", name, "--dry-run", "--json")
    assert (named.exit_code, json.loads(named.stdout)["dryRun"]) == (0, True)
    assert f"{name} is discarded" in pipeline.run("discard", "--all", "--dry-run").stdout
    assert pipeline.open() == [name]
    assert pipeline.messages(pipeline.live.spans) == []


def test_on_a_terminal_it_asks_and_does_what_it_is_told(pipeline: Pipeline) -> None:
    pipeline.bury(letter(topic=pipeline.live.spans))
    for answer, code, left in ((b"n\n", 1, 1), (b"y\n", 0, 0)):
        with in_terminal("dead-letters", "redrive", "--reason", "body", **pipeline.environment) as terminal:
            wait_for("the question", partial(asks, terminal))
            assert f"1 to go to {pipeline.live.spans}." in terminal.text()
            terminal.press(answer)
            assert terminal.wait() == code
        assert len(pipeline.open()) == left


# Once, whatever happens


def child(pipeline: Pipeline, folder: Path, *arguments: str) -> Child:
    return Child("redrive", ("dead-letters", "redrive", *arguments), pipeline.environment, folder)


def test_one_that_is_killed_before_it_commits_has_sent_nothing_and_the_next_sends_it_once(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    names = [pipeline.bury(letter(b"%d" % number, topic=pipeline.live.spans)) for number in range(5)]
    redriving = child(pipeline, tmp_path, *names)
    try:
        redriving.start(Failpoint.BEFORE_COMMIT)
        assert redriving.wait(60)
        assert redriving.ends == [-9]
        assert pipeline.open() == names
        redriving.start()
        assert redriving.wait(60)
        assert redriving.ends == [-9, 0]
    finally:
        redriving.kill()
    assert sorted(value or b"" for _, value in pipeline.messages(pipeline.live.spans)) == [b"0", b"1", b"2", b"3", b"4"]
    assert pipeline.open() == []
    assert pipeline.redrive(*names)["settled"] == 5


def test_one_that_ends_right_behind_a_commit_has_marked_what_it_sent(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Transactions.commit

    def commit_and_die(self: Transactions, *arguments: Any) -> None:  # noqa: ANN401 - whatever it takes
        commit(self, *arguments)
        raise KeyboardInterrupt

    names = [pipeline.bury(letter(b"%d" % number, topic=pipeline.live.spans)) for number in range(3)]
    with monkeypatch.context() as dying:
        dying.setattr(Transactions, "commit", commit_and_die)
        assert pipeline.run("redrive", *names).exit_code == 130
    assert len(pipeline.messages(pipeline.live.spans)) == 3
    assert pipeline.open() == []
    assert pipeline.redrive(*names)["settled"] == 3


def test_one_that_is_killed_in_the_middle_leaves_the_rest_to_the_next(pipeline: Pipeline, tmp_path: Path) -> None:
    names = [pipeline.bury(letter(b"%d" % number, topic=pipeline.live.spans)) for number in range(4)]
    with running(
        "dead-letters", "redrive", *names, "--rate", "0.5", log=tmp_path / "log", **pipeline.environment
    ) as process:
        read_until(pipeline.kafka, pipeline.live.spans, 1)
        process.kill()
    assert 0 < len(pipeline.messages(pipeline.live.spans)) < 4
    pipeline.redrive(*names)
    assert sorted(value or b"" for _, value in pipeline.messages(pipeline.live.spans)) == [b"0", b"1", b"2", b"3"]


def test_ctrl_c_ends_it_in_good_order_and_says_what_is_done(pipeline: Pipeline, tmp_path: Path) -> None:
    names = [pipeline.bury(letter(b"%d" % number, topic=pipeline.live.spans)) for number in range(4)]
    with running(
        "dead-letters", "redrive", *names, "--rate", "0.2", log=tmp_path / "log", **pipeline.environment
    ) as process:
        read_until(pipeline.kafka, pipeline.live.spans, 1)
        assert process.stop(signal.SIGINT) == 130
        assert f"Before it ended: 1 sent to {pipeline.live.spans}." in process.output()
        assert "Traceback" not in process.output()
    assert pipeline.redrive(*names)["sent"] == 3


def test_whoever_comes_second_takes_over_and_the_first_is_told(pipeline: Pipeline) -> None:
    one = letter(b"once", name=Name(0, 0), topic=pipeline.live.spans)
    verdict = Verdict(one.name, Disposition.SENT, pipeline.live.spans, 1)
    with Resolver(settings_of(pipeline), Owner()) as first:
        first.resolve([(one, verdict)])
        with Resolver(settings_of(pipeline), Owner()) as second:
            with pytest.raises(UserError, match="Another redrive or discard has begun"):
                first.resolve([(one, verdict)])
            assert len(pipeline.messages(pipeline.live.spans)) == 1
            second.resolve([(one, verdict)])
    assert len(pipeline.messages(pipeline.live.spans)) == 2


def test_two_at_once_send_each_letter_once(pipeline: Pipeline, tmp_path: Path) -> None:
    names = [
        pipeline.bury(letter(b"%d" % number, topic=pipeline.live.spans), partition=number % 2) for number in range(40)
    ]
    command = ("dead-letters", "redrive", *names, "--rate", "20")
    with (
        running(*command, log=tmp_path / "first.log", **pipeline.environment) as first,
        running(*command, log=tmp_path / "second.log", **pipeline.environment) as second,
    ):
        assert sorted((first.wait(seconds=60), second.wait(seconds=60))) in ([0, 0], [0, 1])
        assert "Traceback" not in first.output() + second.output()
    assert sorted(int(value or b"") for _, value in pipeline.messages(pipeline.live.spans)) == list(range(40))
    assert pipeline.open() == []


# Discarding, and forgetting


def test_a_discarded_letter_is_neither_listed_nor_redriven(pipeline: Pipeline) -> None:
    name = pipeline.bury(letter(topic=pipeline.live.spans))
    assert pipeline.discard(name)["discarded"] == 1
    assert pipeline.discard("--all")["settled"] == 1
    assert pipeline.open() == []
    assert pipeline.redrive(name)["settled"] == 1
    assert pipeline.messages(pipeline.live.spans) == []
    (listed,) = pipeline.listed("--all")
    assert listed["settled"]["action"] == "DISCARDED"


def test_what_was_cut_can_be_discarded(pipeline: Pipeline) -> None:
    name = pipeline.bury(letter(topic=pipeline.live.spans, cut_from_bytes="5000000"))
    assert pipeline.discard(name)["discarded"] == 1
    assert pipeline.open() == []


def test_marks_of_letters_that_retention_has_passed_are_forgotten_and_others_are_not(pipeline: Pipeline) -> None:
    names = [pipeline.bury(letter(topic=pipeline.live.spans)) for _ in range(3)]
    other = pipeline.bury(letter(topic=pipeline.live.spans), partition=1)
    pipeline.discard("--all")
    pipeline.pass_retention(2)
    publish(pipeline.kafka, pipeline.live.resolutions, [(b"deleted/0-7", pipeline.resolutions()[names[0].encode()])])
    assert pipeline.run("discard", "--all", "--dry-run").exit_code == 0
    assert None not in pipeline.resolutions().values()
    assert pipeline.discard("--all")["marksForgotten"] == 3
    resolutions = pipeline.resolutions()
    assert {name for name, value in resolutions.items() if value is None} == {b"0-0", b"0-1", b"deleted/0-7"}
    assert {name for name, value in resolutions.items() if value is not None} == {names[2].encode(), other.encode()}
    assert pipeline.discard("--all")["marksForgotten"] == 0


# From end to end


def test_poison_is_buried_shown_redriven_and_counted_when_it_comes_back(pipeline: Pipeline, tmp_path: Path) -> None:
    fast = {"TRACELINK_IDLE_GAP": "0.5", "TRACELINK_ALLOWANCE": "0.2", "TRACELINK_INSTANCE_ID": "a"}
    live = pipeline.live
    with running("join", log=tmp_path / "join.log", **pipeline.environment, **fast) as join:
        join.wait_until_ready()
        publish(pipeline.kafka, live.spans, [(key(1), log_message(1)), (key(2), span_message(2))])
        read_until(pipeline.kafka, live.dead_letters, 1)
        (found,) = pipeline.listed()
        assert (found["reason"], found["topic"], found["key"]) == ("schema", live.spans, key(1).decode())
        shown = pipeline.run("show", found["letter"]).stdout
        assert "that of a log record, but a span is expected" in shown
        assert pipeline.redrive(found["letter"])["topics"] == {live.spans: 1}
        read_until(pipeline.kafka, live.dead_letters, 2)
        (back,) = pipeline.listed()
        assert back["letter"] != found["letter"]
        # Whether the join has carried the header on or not.
        assert pipeline.redrive(back["letter"])["sent"] == 1
        resolution = RESOLUTION.decode(pipeline.resolutions()[back["letter"].encode()] or b"")
        assert resolution["count"] == 2
        read_until(pipeline.kafka, live.dead_letters, 3)
        (third,) = pipeline.listed()
        (refused,) = pipeline.redrive(third["letter"], "--at-most", "2", code=1)["refused"]
        assert refused["outcome"] == "too_often"
        assert pipeline.discard(third["letter"])["discarded"] == 1
        assert pipeline.open() == []
        assert join.stop() == 0
