"""The join as a process, against a real Kafka."""

import signal
from pathlib import Path

import pytest
from confluent_kafka import Producer

from pipeline.local.stack import Endpoints
from pipeline.model.splice import decode
from tests.kit.kafka import publish, read_all, read_until
from tests.kit.kafka_topics import create
from tests.kit.processes import metrics, running
from tests.kit.records import key, log_message, span_message
from tests.kit.waiting import wait_for

FAST = {"TRACELINK_IDLE_GAP": "0.5", "TRACELINK_ALLOWANCE": "0.2", "TRACELINK_SESSION_TIMEOUT": "2"}


@pytest.fixture
def environment(stack: Endpoints, topic_prefix: str) -> dict[str, str]:
    create(stack.kafka, topic_prefix, join_group=f"{topic_prefix}join")
    return FAST | {
        "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": stack.kafka,
        "TRACELINK_TOPIC_PREFIX": topic_prefix,
        "TRACELINK_JOIN_GROUP": f"{topic_prefix}join",
        "TRACELINK_INSTANCE_ID": "a",
    }


def test_spans_and_logs_of_a_trace_come_out_as_one(
    stack: Endpoints, topic_prefix: str, environment: dict[str, str], tmp_path: Path
) -> None:
    with running("join", log=tmp_path / "join.log", **environment) as join:
        url = join.wait_until_ready()
        publish(stack.kafka, f"{topic_prefix}spans", [(key(1), span_message(1, root=True)), (key(2), span_message(2))])
        publish(stack.kafka, f"{topic_prefix}logs", [(key(1), log_message(1, errored=True)), (b"no id", b"?")])
        found = {
            message.key(): decode(message.value() or b"").trace
            for message in read_until(stack.kafka, f"{topic_prefix}traces", 2)
        }
        assert (len(found[key(1)]["spans"]), len(found[key(1)]["logs"]), found[key(1)]["flags"]) == (1, 1, 3)
        assert (len(found[key(2)]["spans"]), len(found[key(2)]["logs"]), found[key(2)]["flags"]) == (1, 0, 0)
        (errored,) = read_all(stack.kafka, f"{topic_prefix}error-traces")
        assert errored.key() == key(1)
        (letter,) = read_until(stack.kafka, f"{topic_prefix}dead-letters", 1)
        assert (letter.key(), letter.value()) == (b"no id", b"?")
        assert dict(letter.headers() or [])["tracelink.reason"] == b"key"

        def balanced() -> bool:
            seen = metrics(url)

            def total(name: str) -> float:
                return sum(value for sample, value in seen.items() if sample.startswith(f"{name}{{"))

            return total("tracelink_join_records_total") == 4 == (
                total("tracelink_join_joined_records_total")
                + total("tracelink_join_dead_letters_total")
                + total("tracelink_join_open_records")
            ) and not total("tracelink_join_open_records")

        wait_for("the books to balance", balanced)
        assert join.stop(signal.SIGTERM) == 0


def test_a_worker_whose_name_another_takes_ends_and_says_so(environment: dict[str, str], tmp_path: Path) -> None:
    with running("join", log=tmp_path / "first.log", **environment) as first:
        first.wait_until_ready()
        with running("join", log=tmp_path / "second.log", **environment) as second:
            second.wait_until_ready()
            assert first.wait() == 1
            assert "Another worker has the instance id 'a'" in first.output()
            assert "--instance-id" in first.output()
            assert "Traceback" not in first.output()
            assert second.stop() == 0


def test_fences_that_are_no_second_worker_end_none(
    stack: Endpoints, topic_prefix: str, environment: dict[str, str], tmp_path: Path
) -> None:
    with running("join", log=tmp_path / "join.log", **environment) as join:
        for number in range(1, 4):
            join.wait_until_ready()
            publish(stack.kafka, f"{topic_prefix}spans", [(key(number), span_message(number))])
            wait_for(
                "the trace",
                lambda: key(number) in {one.key() for one in read_until(stack.kafka, f"{topic_prefix}traces", number)},  # noqa: B023 - called at once
            )
            # As a broker does with a transaction that was open for too long, which is no member of the group.
            Producer({"bootstrap.servers": stack.kafka, "transactional.id": f"{topic_prefix}join.a"}).init_transactions(
                20
            )
            publish(stack.kafka, f"{topic_prefix}spans", [(key(9), span_message(9))])
            wait_for("the fence", lambda: join.output().count("fenced (") == number)  # noqa: B023 - called at once
        join.wait_until_ready()
        assert join.stop(signal.SIGTERM) == 0


def test_topics_that_are_missing_refuse_the_start_with_the_command_that_makes_them(
    stack: Endpoints, topic_prefix: str, tmp_path: Path
) -> None:
    environment = {"TRACELINK_KAFKA_BOOTSTRAP_SERVERS": stack.kafka, "TRACELINK_TOPIC_PREFIX": topic_prefix}
    with running("join", log=tmp_path / "join.log", **environment) as join:
        assert join.wait() == 1
        assert "tracelink topics apply" in join.output()
        assert "Traceback" not in join.output()
