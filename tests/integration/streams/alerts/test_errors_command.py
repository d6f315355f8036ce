"""`tracelink errors`, as its user runs it, on a real Kafka."""

import json
import re
from typing import Any, cast

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.cli.root import main
from pipeline.local.stack import Endpoints
from pipeline.model.problems import PROBLEM, Problem
from streams.alerts.problems import ProblemLimits, Problems
from streams.alerts.rule import Rule
from streams.alerts.shown import ago, plain
from tests.kit.kafka import publish
from tests.kit.problem_examples import HOUR, MINUTE, SECOND, START, matching, occurrence
from tests.kit.terminal import in_terminal
from tests.kit.waiting import wait_for

A, B, C = (letter * 16 for letter in "abc")


class Topic:
    """The topic of problems of a test."""

    def __init__(self, kafka: str, prefix: str) -> None:
        self.kafka = kafka
        self.prefix = prefix
        self.name = f"{prefix}problems"
        self.flags = ("--kafka-bootstrap-servers", kafka, "--topic-prefix", prefix)
        new = NewTopic(self.name, 2, 1, config={"cleanup.policy": "compact"})
        admin = AdminClient({"bootstrap.servers": kafka})
        admin.create_topics([new])[self.name].result(30)
        # The broker may show it later than the controller.
        wait_for("the topic", lambda: admin.list_topics(self.name, timeout=10).topics[self.name].error is None)

    def write(self, *problems: Problem) -> None:
        publish(self.kafka, self.name, [(one["fingerprint"].encode(), PROBLEM.encode(one)) for one in problems])

    def forget(self, fingerprint: str) -> None:
        publish(self.kafka, self.name, [(fingerprint.encode(), None)])

    def errors(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["errors", *arguments, *self.flags])

    def listed(self, *arguments: str) -> list[dict[str, Any]]:
        done = self.errors("--json", *arguments)
        assert done.exit_code == 0, done.output
        return [json.loads(line) for line in done.stdout.splitlines()]

    def fingerprints(self, *arguments: str) -> list[str]:
        return [one["fingerprint"] for one in self.listed(*arguments)]


@pytest.fixture
def topic(stack: Endpoints, topic_prefix: str) -> Topic:
    return Topic(stack.kafka, topic_prefix)


def problem(fingerprint: str = A, time: int = START, rule: Rule | None = None, **fields: object) -> Problem:
    problems = Problems(matching({fingerprint: rule or Rule()}), ProblemLimits())
    problems.observe(occurrence(fingerprint, time), time)
    (state,) = problems.drain().problems[fingerprint]
    return cast("Problem", {**(state or {}), **fields})


def test_those_that_fire_are_listed_the_newest_first(topic: Topic) -> None:
    topic.write(problem(A), problem(C, START + HOUR), problem(B, START + MINUTE))
    topic.write(problem("d" * 16, status="QUIET"))
    assert topic.fingerprints() == [C, B, A]
    assert topic.fingerprints("--limit", "2") == [C, B]
    assert topic.fingerprints("--all") == [C, B, A, "d" * 16]


def test_the_newest_record_of_a_problem_is_its_state(topic: Topic) -> None:
    topic.write(problem(A, count=1), problem(B), problem(A, count=7), problem(C))
    topic.forget(B)
    topic.forget(C)
    topic.write(problem(C, count=2))
    assert [(one["fingerprint"], one["count"]) for one in topic.listed()] == [(A, 7), (C, 2)]


def test_json_has_the_fields_of_the_schema_in_its_order(topic: Topic) -> None:
    written = problem(A, message="one\nline\x1b[2J ümläut")
    topic.write(written)
    done = topic.errors("--json")
    assert "\x1b" not in done.stdout
    (line,) = done.stdout.splitlines()
    assert json.loads(line) == written
    assert list(json.loads(line)) == [field["name"] for field in PROBLEM.schema["fields"]]


def test_the_table_tells_what_is_needed_to_look_further(topic: Topic) -> None:
    topic.write(
        problem(A, count=1234), problem(B, status="QUIET"), problem(C, START + 1, Rule("late", muted_until=2**50))
    )
    done = topic.errors()
    assert done.exit_code == 0, done.output
    (row,) = [line for line in done.stdout.splitlines() if "● firing" in line]
    words = re.split(r"\s{2,}", row.strip())
    assert words[:2] + words[3:] == [
        "● firing", "1,234", "error", f"{2**127 + 1:032x}", "payment", "POST /pay", "CardDeclined: card declined",
        "payment, shop",
    ]  # fmt: skip
    assert re.fullmatch(r"\d+d ago|now", words[2])
    assert "2 firing, 1 resolved (--all shows them)" in done.stdout
    assert sum("muted" in line for line in done.stdout.splitlines()) == 1
    assert sum(" resolved  " in line for line in topic.errors("--once", "--all").stdout.splitlines()) == 1
    assert "1 older not shown" in topic.errors("--limit", "1").stdout


def test_an_empty_topic_is_told(topic: Topic) -> None:
    done = topic.errors("--once")
    assert (done.exit_code, topic.listed()) == (0, [])
    assert "0 firing, 0 resolved" in done.stdout


def test_texts_of_services_are_neither_markup_nor_commands_to_the_terminal(topic: Topic) -> None:
    topic.write(
        problem(A, service="[red]pay[/red]\x1b[2J", message="[b]two\nlines\x9b1m\u202e[/", services=["[b]\x07"])
    )
    done = topic.errors()
    assert "[red]pay[/red] [2J" in done.stdout
    assert "CardDeclined: [b]two lines 1m [/" in done.stdout
    assert not {"\x1b", "\x9b", "\x07", "\u202e"} & set(done.stdout)


def test_what_a_transaction_has_not_committed_is_not_shown(topic: Topic) -> None:
    producer = Producer({"bootstrap.servers": topic.kafka, "transactional.id": topic.name})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic.name, PROBLEM.encode(problem(A)), A)
    producer.flush(30)
    assert topic.fingerprints() == []
    producer.commit_transaction(30)
    assert topic.fingerprints() == [A]


def test_a_record_that_is_no_problem_is_left_out(topic: Topic, caplog: pytest.LogCaptureFixture) -> None:
    publish(topic.kafka, topic.name, [(b"x", b"no Avro")])
    topic.write(problem(A))
    assert topic.fingerprints() == [A]
    (told,) = caplog.messages
    assert f"{topic.name}[" in told


def test_missing_topics_are_told_with_their_remedy(stack: Endpoints, topic_prefix: str) -> None:
    where = ("--kafka-bootstrap-servers", stack.kafka, "--topic-prefix", topic_prefix)
    done = CliRunner().invoke(main, ["errors", *where])
    assert done.exit_code == 1
    assert f"has no topic {topic_prefix}problems" in done.stderr
    assert f"tracelink topics apply --topic-prefix {topic_prefix}" in done.stderr


def test_the_list_on_a_terminal_keeps_up_and_ends_in_good_order(topic: Topic) -> None:
    topic.write(problem(A))
    with in_terminal("errors", *topic.flags) as terminal:
        wait_for("the first problem", lambda: "1 firing" in terminal.text())
        topic.write(problem(B, START + SECOND, operation="GET /later"))
        wait_for("the second problem", lambda: "2 firing" in terminal.text() and "GET /later" in terminal.text())
        terminal.press(b"\x03")
        assert terminal.wait() == 0
        assert "Traceback" not in terminal.text()


def test_times_are_told_in_their_largest_unit() -> None:
    told = [ago(START - past, START) for past in (-SECOND, 999, SECOND, 90 * SECOND, 5 * HOUR, 49 * HOUR)]
    assert told == ["now", "now", "1s ago", "1m ago", "5h ago", "2d ago"]


def test_a_long_text_is_cut() -> None:
    assert plain("x" * 201) == "x" * 199 + "…"
    assert plain(None) == plain(" \t\n") == ""
