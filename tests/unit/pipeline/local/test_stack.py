"""The stack's own rules, with a stand-in for the servers that starts at once."""

import errno
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pipeline.local import stack, state
from pipeline.local.events import Event, Ready, Starting
from pipeline.local.ports import Ports
from pipeline.local.server import Launch, LaunchContext, Server
from pipeline.local.stack import Endpoints, Stack
from tests.kit.waiting import eventually
from tracelink.errors import UserError

_SERVE = "import signal; signal.pause()"
_UNTIL_TOLD = """
import pathlib, sys, time
while not pathlib.Path(sys.argv[2], "end").exists():
    time.sleep(0.01)
"""


def _launch(context: LaunchContext) -> Launch:
    return Launch((sys.executable, "-c", _SERVE, context.mark, str(context.data)))


def _replace_servers(monkeypatch: pytest.MonkeyPatch, ready: Callable[[int], bool]) -> None:
    names = {"elasticsearch": (), "kafka": (), "zipkin": ("elasticsearch",)}
    servers = {name: Server(name, 0, (), needs, "http://", _launch, ready) for name, needs in names.items()}
    monkeypatch.setattr(stack, "SERVERS", servers)


def _processes(directory: Path) -> int:
    lines = (process.info["cmdline"] or () for process in psutil.process_iter(["cmdline"]))
    return sum(any(str(directory) in part for part in line) for line in lines)


def test_zipkin_waits_for_elasticsearch_and_brings_it_along(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _replace_servers(monkeypatch, ready=lambda _: True)
    events: list[Event] = []
    servers = Stack(tmp_path, only=["zipkin"])
    endpoints = servers.start(events.append)
    order = [(type(event), event.server) for event in events if isinstance(event, Starting | Ready)]
    assert order == [(kind, name) for name in ("elasticsearch", "zipkin") for kind in (Starting, Ready)]
    assert endpoints.kafka == ""
    assert endpoints.zipkin.startswith("http://127.0.0.1:")
    assert servers.stop() == ["zipkin", "elasticsearch"]
    assert _processes(tmp_path) == 0


def test_as_a_context_it_stops_the_servers_at_the_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _replace_servers(monkeypatch, ready=lambda _: True)
    with Stack(tmp_path):
        assert _processes(tmp_path) == 3
    assert _processes(tmp_path) == 0


def test_a_server_that_never_answers_is_stopped_and_its_log_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _replace_servers(monkeypatch, ready=lambda _: False)
    monkeypatch.setattr(stack, "_START_SECONDS", 0.2)
    with pytest.raises(UserError, match="kafka runs but does not answer") as caught:
        Stack(tmp_path, only=["kafka"]).start()
    assert str(tmp_path / "logs" / "kafka.log") in caught.value.message
    assert _processes(tmp_path) == 0


def test_a_failed_start_leaves_alone_what_ran_before_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _replace_servers(monkeypatch, ready=lambda _: True)
    with Stack(tmp_path, only=["kafka"]) as servers:
        _replace_servers(monkeypatch, ready=lambda port: port == state.read(tmp_path)["kafka"].port)
        monkeypatch.setattr(stack, "_START_SECONDS", 0.2)
        with pytest.raises(UserError, match="elasticsearch runs but does not answer"):
            Stack(tmp_path).start()
        assert [server.server for server in servers.status() if server.state == "up"] == ["kafka"]
        assert _processes(tmp_path) == 1


@pytest.mark.parametrize("writes_that_succeed", [0, 1, 2])
def test_a_disk_that_fills_up_during_the_start_leaves_no_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, writes_that_succeed: int
) -> None:
    _replace_servers(monkeypatch, ready=lambda _: True)
    write, room = state.write, iter(range(writes_that_succeed))

    def write_or_fail(directory: Path, records: dict[str, state.Record]) -> None:
        if next(room, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device", str(directory / "state.json"))
        write(directory, records)

    monkeypatch.setattr(state, "write", write_or_fail)
    with pytest.raises(UserError, match=r"state\.json: No space left on device"):
        Stack(tmp_path, ports=Ports(0, 0, 0)).start()
    assert _processes(tmp_path) == 0


def test_a_stack_that_was_never_started_is_stopped(tmp_path: Path) -> None:
    servers = Stack(tmp_path / "nowhere")
    assert {server.state for server in servers.status()} == {"stopped"}
    assert servers.stop() == []


def test_a_second_start_finds_the_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _replace_servers(monkeypatch, ready=lambda _: True)
    with Stack(tmp_path) as servers:
        events: list[Event] = []
        endpoints: Endpoints = Stack(tmp_path).start(events.append)
        assert [event for event in events if not isinstance(event, Ready)] == []
        assert endpoints == servers.start()
        assert _processes(tmp_path) == 3


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (
            "print('Terminating due to java.lang.OutOfMemoryError: Java heap space', flush=True); raise SystemExit(3)",
            " out of memory (Java heap space): TRACELINK_STACK_KAFKA_HEAP sets its heap size",
        ),
        ("raise SystemExit(3)", " with exit code 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", " by SIGKILL"),
    ],
)
def test_it_says_how_a_server_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, end: str, said: str) -> None:
    _replace_servers(monkeypatch, ready=lambda _: True)
    monkeypatch.setattr("tests.unit.pipeline.local.test_stack._SERVE", _UNTIL_TOLD + end)
    servers = Stack(tmp_path, only=["kafka"])
    servers.start()
    (tmp_path / "data" / "kafka" / "end").touch()
    eventually(servers.missing)
    assert servers.missing() == {"kafka": "died"}
    assert servers.how_it_ended("kafka") == said
    assert Stack(tmp_path).how_it_ended("kafka") == (said if "memory" in said else "")  # no child of that one
    servers.stop()
