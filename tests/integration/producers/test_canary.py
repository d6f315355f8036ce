"""A canary through real servers: it comes to every stage, and where a stage is missing it says which."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen
from uuid import uuid4

import pytest

from pipeline.local.stack import Endpoints
from producers.canary.settings import CANARY_STAGES
from tests.kit.kafka_topics import create
from tests.kit.live import delete_indices
from tests.kit.pipeline import pipeline_environment
from tests.kit.processes import Process, metrics, running
from tests.kit.sink_targets import NOWHERE
from tests.kit.waiting import wait_for

LAST_SUCCESS = "tracelink_canary_last_success_timestamp_seconds"


@pytest.fixture(scope="module")
def environment(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Run all but the Zipkin sink; gives their variables."""
    name, logs = f"t{uuid4().hex[:8]}", tmp_path_factory.mktemp("canary")
    variables = pipeline_environment(stack, f"{name}.", f"{name}-") | {
        "TRACELINK_IDLE_GAP": "0.3",
        "TRACELINK_ALLOWANCE": "0.3",
    }
    create(stack.kafka, f"{name}.", join_group=f"{name}.join")
    commands = {"join": ("join",), "alerts": ("alerts",), "elasticsearch": ("sink", "elasticsearch")}
    with ExitStack() as processes:
        started = [
            processes.enter_context(
                running(*command, log=logs / f"{log}.log", **variables | {"TRACELINK_SINK_GROUP": f"{name}.es"})
            )
            for log, command in commands.items()
        ]
        for process in started:
            process.wait_until_ready()
        yield variables
    delete_indices(stack.elasticsearch, f"{name}-")


def outcome(process: Process) -> tuple[int, dict[str, Any]]:
    """Return the exit code of `tracelink canary --once --json`, and what it printed."""
    code = process.wait()
    return code, json.loads(process.output().splitlines()[-1])


def test_a_canary_comes_to_every_stage(environment: dict[str, str], tmp_path: Path) -> None:
    group = {"TRACELINK_SINK_GROUP": environment["TRACELINK_SINK_GROUP"] + ".zipkin"}
    with (
        running("sink", "zipkin", log=tmp_path / "zipkin.log", **environment | group),
        running("canary", "--once", "--json", log=tmp_path / "canary.log", **environment) as canary,
    ):
        code, found = outcome(canary)
    assert code == 0, found
    assert found["ok"] is True
    assert found["stages"].keys() == set(CANARY_STAGES)
    seconds = {stage: one["seconds"] for stage, one in found["stages"].items()}
    # The join waits for its gap; a problem is counted once its trace is joined.
    assert 0.3 <= seconds["joined"] <= seconds["grouped"] < 30


def test_where_a_sink_is_missing_or_a_store_hangs_the_canary_says_so_and_fails_in_time(
    environment: dict[str, str], tmp_path: Path
) -> None:
    begun = time.monotonic()
    soon = environment | {"TRACELINK_CANARY_WITHIN": "4.8"}  # less than a request may take
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hangs = {"TRACELINK_ZIPKIN_URL": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        with (
            running("canary", "--once", "--json", log=tmp_path / "missing.log", **soon) as missing,
            running("canary", "--once", "--json", log=tmp_path / "hangs.log", **soon | hangs) as hanging,
        ):
            outcomes = [outcome(missing), outcome(hanging)]
    assert time.monotonic() - begun < 15
    for (code, found), why in zip(outcomes, ("0 of 2 spans", "no answer yet"), strict=True):
        assert (code, found["ok"]) == (1, False)
        assert {stage: one["missing"] for stage, one in found["stages"].items() if "missing" in one} == {"zipkin": why}


def test_canaries_are_sent_again_and_again_and_tell_how_they_fare_at_the_stages_that_are_used(
    environment: dict[str, str], tmp_path: Path
) -> None:
    used = environment | {"TRACELINK_CANARY_EVERY": "0.5", "TRACELINK_CANARY_STAGES": "joined, grouped"}
    with (
        running("canary", log=tmp_path / "canary.log", **used) as process,
        running("canary", "--once", log=tmp_path / "once.log", **used) as single,
    ):
        url = process.wait_until_ready()
        wait_for("the next canary", lambda: metrics(url)["tracelink_canary_probes_total"] >= 2)
        found = metrics(url)
        assert process.stop() == 0
        assert single.wait() == 0, single.output()
        lines = single.output().splitlines()
    assert abs(found[f'{LAST_SUCCESS}{{stage="joined"}}'] - time.time()) < 30
    assert 0.3 <= found['tracelink_canary_freshness_seconds{stage="grouped"}'] < 30
    assert found['tracelink_canary_missed_probes_total{stage="joined"}'] == 0
    assert f'{LAST_SUCCESS}{{stage="zipkin"}}' not in found
    assert [line.split()[:2] for line in lines[1:]] == [["✓", "joined"], ["✓", "grouped"]]


def test_while_kafka_is_away_canaries_are_missed_and_the_process_says_why(tmp_path: Path) -> None:
    away = {
        "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": NOWHERE.removeprefix("http://"),
        "TRACELINK_CANARY_EVERY": "0.2",
        "TRACELINK_CANARY_WITHIN": "0.5",
    }

    def refusal(url: str) -> str:
        try:
            urlopen(f"{url}/readyz", timeout=5)  # noqa: S310 - our own address
        except HTTPError as error:
            return error.read().decode()
        return ""

    with running("canary", log=tmp_path / "canary.log", **away) as process:
        url = wait_for("its address", process._url) or ""  # noqa: SLF001 - it is never ready
        wait_for("two to be missed", lambda: metrics(url)['tracelink_canary_missed_probes_total{stage="zipkin"}'] >= 2)
        assert "joined, grouped, elasticsearch, zipkin: Kafka at" in refusal(url)
        assert "does not answer" in refusal(url)
        assert metrics(url)[f'{LAST_SUCCESS}{{stage="zipkin"}}'] == 0
        assert process.stop(seconds=5) == 0
        assert "Traceback" not in process.output()
