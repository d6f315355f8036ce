"""The pipeline through faults, the short set: fixed seeds, seconds of load; `make faults` is the long one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.local.ports import Ports, free_port
from pipeline.local.stack import Endpoints, Stack
from tests.faults.faults import FAULTS
from tests.faults.scenario import Plan, Result, run, run_until_caused
from tests.faults.servers import Servers
from tests.faults.special.gateway import run_gateway, run_gateway_without_kafka
from tests.faults.special.outage import run_outage
from tests.faults.traffic import Shape

LOAD = Shape(rate=300, seconds=6)


def hold(servers: Servers, folder: Path, *names: str, seed: int = 1) -> None:
    plan = Plan(seed, [FAULTS[name] for name in names], LOAD, forked=True)
    kept(run_until_caused(lambda: run(plan, servers, folder)))


def kept(result: Result) -> None:
    assert result.ok, "\n".join(map(str, result.checks))
    assert not result.not_caused


@pytest.fixture
def own_kafka(stack: Endpoints, own_stack: Path) -> Iterator[Servers]:
    """Give a Kafka that may die, beside the Zipkin and the Elasticsearch of all tests."""
    with Stack(own_stack, ports=Ports(kafka=free_port()), only=("kafka",)) as kafka:
        yield Servers(Endpoints(kafka.start().kafka, stack.zipkin, stack.elasticsearch), kafka)


# The longest first: at the end, the other processes of the tests would wait for it.
def test_the_broker_is_gone_for_a_minute_and_nothing_that_the_gateway_took_is_lost(
    own_kafka: Servers, tmp_path: Path
) -> None:
    kept(Result(run_gateway_without_kafka(1, own_kafka, tmp_path)))


def test_workers_die_before_and_after_their_commit_and_while_they_recover(stack: Endpoints, tmp_path: Path) -> None:
    hold(Servers(stack), tmp_path, "kill-before-commit", "kill-join-committed", "kill-join-recovering")


def test_a_worker_that_was_stopped_past_its_session_writes_nothing_any_more(stack: Endpoints, tmp_path: Path) -> None:
    hold(Servers(stack), tmp_path, "zombie-join-before-produce", "zombie-join-produced", "late-errors")


def test_workers_come_and_go_under_load(stack: Endpoints, tmp_path: Path) -> None:
    hold(Servers(stack), tmp_path, "terminate-worker", "scale", "duplicates")


def test_a_worker_that_hangs_between_two_assignments_does_not_hold_its_group(stack: Endpoints, tmp_path: Path) -> None:
    hold(Servers(stack), tmp_path, "worker-hangs-between")


def test_workers_that_group_errors_die_and_each_problem_is_told_once(stack: Endpoints, tmp_path: Path) -> None:
    hold(
        Servers(stack),
        tmp_path,
        "kill-alerts-before-commit",
        "kill-alerts-restoring",
        "kill-alerts-committed",
        "zombie-alerts-grouped",
    )


def test_a_sink_dies_before_and_after_its_target_has_answered(stack: Endpoints, tmp_path: Path) -> None:
    hold(
        Servers(stack),
        tmp_path,
        "kill-elasticsearch-sink-before-write",
        "kill-elasticsearch-sink-written",
        "kill-zipkin-sink-before-commit",
        "terminate-sink",
    )


def test_elasticsearch_refuses_for_a_while_whole_requests_and_single_documents(
    stack: Endpoints, tmp_path: Path
) -> None:
    hold(Servers(stack), tmp_path, "elasticsearch-429", "elasticsearch-items", "elasticsearch-cut")


def test_every_poison_is_one_dead_letter_and_holds_nothing_up(stack: Endpoints, tmp_path: Path) -> None:
    hold(Servers(stack), tmp_path, "poison", "late", "shuffled")


def test_the_broker_is_killed_and_comes_back(own_kafka: Servers, tmp_path: Path) -> None:
    hold(own_kafka, tmp_path, "kafka-kill")


def test_an_hours_outage_is_caught_up_with_one_topic_ahead_of_the_other(stack: Endpoints, tmp_path: Path) -> None:
    kept(Result(run_outage(1, Servers(stack), tmp_path, size=15_000)))


def test_the_gateway_dies_at_named_points_under_senders_that_repeat(stack: Endpoints, tmp_path: Path) -> None:
    kept(Result(run_gateway(1, Servers(stack), tmp_path, rounds=1)))
