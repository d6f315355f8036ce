"""`tracelink stack` as a user runs it: processes, signals, and a real broker."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.local import state
from pipeline.local.events import ignore
from pipeline.local.jars import ensure, pinned
from pipeline.local.paths import default_cache
from pipeline.local.process import find
from pipeline.local.state import Record
from tests.kit.waiting import eventually

_TRACELINK = str(Path(sys.executable).with_name("tracelink"))
_KAFKA = ("up", "--only", "kafka", "--kafka-port", "0", "--json")
_DEADLINE_SECONDS = 120


class Cli:
    """Runs `tracelink stack` against one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        clean = {key: value for key, value in os.environ.items() if not key.startswith("TRACELINK_")}
        self.environment = clean | {"TRACELINK_STACK_DIR": str(directory)}

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        command = [_TRACELINK, "stack", *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=self.environment)

    def run(self, *arguments: str, code: int = 0) -> str:
        """Give the standard output, or the standard error of a command that is to fail."""
        with self.begin(*arguments) as process:
            output, errors = process.communicate(timeout=_DEADLINE_SECONDS)
        assert process.returncode == code, (arguments, output, errors)
        return output or errors

    def up(self, *arguments: str) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.run(*_KAFKA, *arguments))
        return found

    def broker(self) -> dict[str, Any]:
        """Give the broker's status."""
        servers = json.loads(self.run("status", "--json"))["servers"]
        return next(server for server in servers if server["server"] == "kafka")


@pytest.fixture
def cli(own_stack: Path) -> Cli:
    return Cli(own_stack)


def _topics(endpoint: str) -> set[str]:
    return set(AdminClient({"bootstrap.servers": endpoint}).list_topics(timeout=10).topics)


def _of_this_stack(directory: Path) -> list[psutil.Process]:
    """Find every process whose command line names the directory, whoever started it."""
    named = (process for process in psutil.process_iter(["cmdline"]) if process.pid != os.getpid())
    return [process for process in named if any(str(directory) in part for part in process.info["cmdline"] or ())]


def _started(directory: Path) -> bool:
    record = state.read(directory).get("kafka")
    return record is not None and record.pid is not None


def test_up_finds_or_restarts_what_was_started_and_keeps_the_data_until_fresh(cli: Cli) -> None:
    first = cli.up()
    pid = cli.broker()["pid"]
    client = AdminClient({"bootstrap.servers": first["kafka"]})
    (created,) = client.create_topics([NewTopic("kept", 1, 1)]).values()
    created.result()
    # It would write of the lost connection when the broker is stopped.
    del client, created

    assert cli.up() == first
    assert cli.broker()["pid"] == pid

    refused = cli.run("up", "--only", "kafka", "--kafka-port", "1234", code=1)
    assert "is already running" in refused
    assert "tracelink stack down" in refused

    # What died is started again, where its clients look for it.
    psutil.Process(pid).terminate()
    eventually(lambda: '"died"' in _status_of_any_code(cli), seconds=_DEADLINE_SECONDS)
    assert cli.run("status", "--json", code=3)
    assert cli.run("up", "--only", "kafka") != ""
    again = cli.broker()
    assert (again["url"], again["state"]) == (first["kafka"], "up")
    assert again["pid"] != pid
    assert again["memory_bytes"] > 10_000_000
    assert "kept" in _topics(first["kafka"])

    assert json.loads(cli.run("up", "--only", "kafka", "--fresh", "--json")) == first
    assert "kept" not in _topics(first["kafka"])
    assert Path(cli.broker()["log"] + ".1").exists()

    assert cli.run("down") == "stopped: kafka\n"
    assert _of_this_stack(cli.directory) == []
    assert cli.run("down") == "nothing was running\n"
    assert json.loads(cli.run("status", "--json", code=3))["up"] is False


def _status_of_any_code(cli: Cli) -> str:
    with cli.begin("status", "--json") as process:
        return process.communicate()[0]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 1)])
def test_a_signal_during_up_leaves_no_process(cli: Cli, number: signal.Signals, code: int) -> None:
    with cli.begin(*_KAFKA) as process:
        eventually(lambda: _started(cli.directory), seconds=_DEADLINE_SECONDS)
        process.send_signal(number)
        process.communicate(timeout=_DEADLINE_SECONDS)
    assert process.returncode == code
    assert _of_this_stack(cli.directory) == []
    assert state.read(cli.directory) == {}


def test_the_next_up_finds_what_a_killed_up_has_started(cli: Cli) -> None:
    with cli.begin(*_KAFKA) as killed:
        eventually(lambda: _started(cli.directory), seconds=_DEADLINE_SECONDS)
        killed.kill()
    pid = state.read(cli.directory)["kafka"].pid
    cli.up()
    assert cli.broker()["pid"] == pid


def test_two_ups_at_once_start_one_broker(cli: Cli) -> None:
    with cli.begin(*_KAFKA) as one, cli.begin(*_KAFKA) as other:
        outputs = [json.loads(process.communicate(timeout=_DEADLINE_SECONDS)[0]) for process in (one, other)]
    assert outputs[0] == outputs[1]
    assert [process.pid for process in _of_this_stack(cli.directory)] == [cli.broker()["pid"]]


def test_a_server_that_dies_on_start_shows_the_end_of_its_log(cli: Cli) -> None:
    formatted = cli.directory / "data" / "kafka" / "log" / "meta.properties"
    formatted.parent.mkdir(parents=True)
    formatted.write_text("version=1\nnode.id=77\n")
    said = cli.run(*_KAFKA, code=1)
    assert "kafka ended during its start" in said
    assert str(cli.directory / "logs" / "kafka.log") in said
    assert "No readable meta.properties files found" in said
    assert _of_this_stack(cli.directory) == []


def test_a_process_id_that_another_process_has_by_now_is_left_alone(cli: Cli) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        cli.directory.mkdir()
        state.write(cli.directory, {"kafka": Record(mark="-Dtracelink.stack=ours", port=9092, pid=stranger.pid)})
        assert cli.run("down") == "nothing was running\n"
        assert stranger.poll() is None
        assert state.read(cli.directory) == {}


def test_a_process_whose_id_was_never_written_is_found_by_its_mark() -> None:
    mark = f"-Dtracelink.stack={os.urandom(8).hex()}"
    with subprocess.Popen([sys.executable, "-c", "input()", mark], stdin=subprocess.PIPE) as ours:
        found = find(Record(mark=mark, port=9092))
        assert found is not None
        assert found.pid == ours.pid
    assert find(Record(mark=mark, port=9092)) is None


def test_a_changed_jar_refuses_the_start(cli: Cli, tmp_path: Path) -> None:
    ensure(pinned("kafka"), default_cache(), None, ignore)
    cache = tmp_path / "cache" / "tracelink" / "jars"
    for jar in pinned("kafka"):
        (cache / jar.path).parent.mkdir(parents=True, exist_ok=True)
        (cache / jar.path).symlink_to(default_cache() / jar.path)
    changed = cache / pinned("kafka")[0].path
    changed.unlink()
    changed.write_bytes(b"something else")
    cli.environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    said = cli.run(*_KAFKA, code=1)
    assert str(changed) in said
    assert "tracelink stack down --purge" in said
    assert state.read(cli.directory) == {}

    not_ours = [cli.directory / "data" / "mine", cli.directory / "logs" / "app.log"]
    for file in not_ours:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    cli.run("down", "--purge")
    assert not cache.exists()
    assert all(file.exists() for file in not_ours)
    assert (default_cache() / pinned("kafka")[0].path).exists()
