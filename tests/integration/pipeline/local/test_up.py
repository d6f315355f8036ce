"""`tracelink up` as a user runs it, on the servers of the tests."""

import os
import signal
from pathlib import Path

import pytest

from pipeline.local.ports import Ports
from pipeline.local.stack import Endpoints, ServerStatus, Stack
from tests.kit.pipeline import pipeline_environment, processes_of, up
from tests.kit.processes import metrics, ready, running
from tests.kit.terminal import in_terminal
from tests.kit.waiting import wait_for

_STAGES = {"join", "alerts", "trends", "sink-zipkin", "sink-elasticsearch", "gateway", "page"}
_START_SECONDS = 90.0


@pytest.fixture
def environment(stack: Endpoints, topic_prefix: str, index_prefix: str) -> dict[str, str]:
    return pipeline_environment(stack, topic_prefix, index_prefix)


def test_ctrl_c_ends_every_process(tmp_path: Path, environment: dict[str, str]) -> None:
    with up(tmp_path / "stack", **environment) as (process, found):
        assert set(found["metrics"]) == _STAGES
        for url in found["metrics"].values():
            assert any(name.startswith("tracelink_") for name in metrics(url.removesuffix("/metrics")))
        assert found["environment"]["TRACELINK_TOPIC_PREFIX"] == environment["TRACELINK_TOPIC_PREFIX"]
        assert found["environment"]["OTEL_TRACES_EXPORTER"] == "tracelink"
        assert len(processes_of(environment)) == 1 + len(_STAGES)
        assert process.stop(signal.SIGINT) == 0
        assert processes_of(environment) == []
        assert {path.stem for path in (tmp_path / "stack" / "logs").iterdir()} == _STAGES


def test_a_stage_that_is_killed_comes_back(tmp_path: Path, environment: dict[str, str]) -> None:
    with up(tmp_path / "stack", **environment) as (process, found):
        url = found["metrics"]["sink-zipkin"].removesuffix("/metrics")
        (sink,) = [one for one in processes_of(environment) if "zipkin" in one.cmdline()]
        sink.kill()
        wait_for("the notice", lambda: "ended by SIGKILL" in process.output())
        wait_for("its return", lambda: ready(url))
        assert process.stop(signal.SIGTERM) == 0
        assert processes_of(environment) == []


def test_a_second_pipeline_on_the_same_directory_is_refused(tmp_path: Path, environment: dict[str, str]) -> None:
    with (
        up(tmp_path / "stack", **environment),
        running("up", "--dir", str(tmp_path / "stack"), log=tmp_path / "second.log", **environment) as second,
    ):
        assert second.wait() == 1
        assert "already uses" in second.output()
        assert "--dir OTHER" in second.output()


def test_a_wrong_setting_of_a_stage_is_said_before_anything_starts(tmp_path: Path, environment: dict[str, str]) -> None:
    wrong = environment | {"TRACELINK_IDLE_GAP": "soon"}
    with running("up", "--dir", str(tmp_path / "stack"), log=tmp_path / "up.log", **wrong) as process:
        assert process.wait() == 1
        assert process.output().startswith("Error: TRACELINK_IDLE_GAP")
        assert not (tmp_path / "stack").exists()


def test_a_terminal_that_closes_takes_every_process_along(tmp_path: Path, environment: dict[str, str]) -> None:
    with in_terminal("up", "--dir", str(tmp_path / "stack"), **environment) as terminal:
        wait_for("ready", lambda: "The pipeline is ready" in terminal.text(), seconds=_START_SECONDS)
        assert len(processes_of(environment)) == 1 + len(_STAGES)
        terminal.close()
        wait_for("the end of all", lambda: not processes_of(environment))


def test_a_server_that_is_not_given_is_started_and_stopped_unless_it_ran_before(
    own_stack: Path, environment: dict[str, str]
) -> None:
    del environment["TRACELINK_KAFKA_BOOTSTRAP_SERVERS"]
    servers = Stack(own_stack, ports=Ports(kafka=0), only=["kafka"])

    def is_up() -> bool:
        return any(server.state == "up" for server in servers.status())

    with up(own_stack, "--kafka-port", "0", **environment) as (process, found):
        assert is_up()
        assert found["environment"]["TRACELINK_KAFKA_BOOTSTRAP_SERVERS"] == found["kafka"]
        assert process.stop(signal.SIGINT, seconds=45) == 0
        assert "stopped: kafka" in process.output()
        assert not is_up()
    with servers, up(own_stack, **environment) as (process, found):
        assert process.stop(signal.SIGINT, seconds=45) == 0
        assert "stay up" in process.output()
        assert f"tracelink stack down --dir {own_stack}" in process.output()
        assert is_up()


def test_a_server_that_dies_comes_back_and_one_that_is_stopped_ends_all(
    own_stack: Path, environment: dict[str, str]
) -> None:
    del environment["TRACELINK_KAFKA_BOOTSTRAP_SERVERS"]
    servers = Stack(own_stack, only=["kafka"])

    def kafka() -> ServerStatus:
        return next(server for server in servers.status() if server.server == "kafka")

    with up(own_stack, "--kafka-port", "0", **environment) as (process, _):
        before = kafka()
        os.kill(before.pid or 0, signal.SIGKILL)

        def is_back() -> bool:
            now = kafka()
            return now.state == "up" and now.pid != before.pid and now.port == before.port

        wait_for("Kafka on its port", is_back, seconds=60)
        assert "kafka              │ ended by SIGKILL; restarting it" in process.output()
        servers.stop()
        assert process.wait(seconds=45) == 1
        assert "kafka was stopped" in process.output()
        assert not processes_of(environment)
