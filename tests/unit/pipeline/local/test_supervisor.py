"""The supervisor, with stand-ins for the pipeline's processes."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import psutil
import pytest

from pipeline.local.supervisor import Program, Restarts, Supervisor
from tests.kit.waiting import wait_for
from tracelink.errors import UserError

_NOWHERE = "http://127.0.0.1:1"
_WAIT = "import signal; print('here', flush=True); signal.pause()"
_AT_ONCE = Restarts(first=0.01, attempts=3)


def program(code: str, name: str = "worker", url: str = _NOWHERE, **environment: str) -> Program:
    return Program(name, (sys.executable, "-c", textwrap.dedent(code)), url, environment)


class Heard:
    """What a supervisor has said, and what its programs have written."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.notices: list[str] = []

    def echo(self, name: str, line: str) -> None:
        self.lines.append(f"{name}: {line}")

    def notice(self, name: str, line: str) -> None:
        self.notices.append(f"{name}: {line}")


@contextmanager
def supervised(
    folder: Path, *programs: Program, restarts: Restarts = _AT_ONCE, grace: float = 10
) -> Iterator[tuple[Supervisor, Heard]]:
    heard = Heard()
    supervisor = Supervisor(programs, folder, restarts=restarts, echo=heard.echo, notice=heard.notice)
    try:
        supervisor.start()
        yield supervisor, heard
    finally:
        supervisor.stop(grace)


def tick_until(supervisor: Supervisor, heard: Heard, line: str) -> None:
    def probe() -> bool:
        supervisor.tick()
        return line in heard.lines

    wait_for(f"{line!r}, heard were {heard.lines}", probe)


def processes_with(mark: str) -> list[psutil.Process]:
    found = (one for one in psutil.process_iter(["cmdline"]) if one.pid != os.getpid())
    return [one for one in found if any(mark in part for part in one.info["cmdline"] or ())]


@contextmanager
def answering(status: int, text: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_waits_double_up_to_the_longest_and_end() -> None:
    restarts = Restarts(first=1, longest=5, attempts=5)
    assert [restarts.wait(ends) for ends in range(6)] == [1, 1, 2, 4, 5, None]


def test_a_program_that_crashes_is_started_again(tmp_path: Path) -> None:
    code = f"""
        import pathlib, signal
        marker = pathlib.Path({str(tmp_path / "crashed")!r})
        if not marker.exists():
            marker.touch()
            raise SystemExit(7)
        print("second", flush=True)
        signal.pause()
    """
    with supervised(tmp_path, program(code)) as (supervisor, heard):
        tick_until(supervisor, heard, "worker: second")
        assert heard.notices == ["worker: ended with exit code 7; restarting it in 0.01 s"]


def test_a_program_that_ends_again_and_again_is_given_up_with_its_last_words(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=r"worker ended 3 times in a row, the last time with exit code 4") as caught,
        supervised(tmp_path, program("print('no such broker'); raise SystemExit(4)")) as (supervisor, heard),
    ):
        tick_until(supervisor, heard, "never")
    assert "no such broker" in caught.value.message
    assert str(tmp_path / "worker.log") in caught.value.message
    assert heard.lines == ["worker: no such broker"] * 3


def test_a_program_that_had_run_long_enough_is_never_given_up(tmp_path: Path) -> None:
    patient = Restarts(first=0.01, soon=0.0, attempts=2)
    with supervised(tmp_path, program("print('again')"), restarts=patient) as (supervisor, heard):

        def probe() -> bool:
            supervisor.tick()
            return len(heard.lines) >= 4

        wait_for("four starts", probe)


def test_programs_are_asked_to_end_and_their_last_lines_are_heard(tmp_path: Path) -> None:
    code = """
        import signal, sys
        signal.signal(signal.SIGTERM, lambda *_: (print("committed"), sys.exit(0)))
        print("here", flush=True)
        signal.pause()
    """
    mark = f"mark-of-{tmp_path}"
    with supervised(tmp_path, program(f"# {mark}\n{textwrap.dedent(code)}")) as (supervisor, heard):
        tick_until(supervisor, heard, "worker: here")
        assert len(processes_with(mark)) == 1
    assert heard.lines == ["worker: here", "worker: committed"]
    assert heard.notices == []
    assert processes_with(mark) == []


def test_a_program_that_does_not_end_is_killed_with_what_it_has_started(tmp_path: Path) -> None:
    mark = f"mark-of-{tmp_path}"
    code = f"""
        import signal, subprocess, sys
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()", {mark!r}])
        print("here", flush=True)
        while True:
            signal.pause()
    """
    with supervised(tmp_path, program(code), grace=0.2) as (supervisor, heard):
        tick_until(supervisor, heard, "worker: here")
        assert processes_with(mark)
    assert heard.notices == ["worker: still ran 0.2 s after SIGTERM and was killed"]
    wait_for("the end of what it had started", lambda: not processes_with(mark))


def test_a_terminal_that_has_closed_does_not_keep_programs_alive(tmp_path: Path) -> None:
    def closed(_name: str, _line: str) -> None:
        raise OSError(5, "Input/output error")

    mark = f"mark-of-{tmp_path}"
    supervisor = Supervisor([program(f"# {mark}\n{_WAIT}")], tmp_path, echo=closed, notice=closed)
    supervisor.start()
    wait_for("the program", lambda: processes_with(mark) and (tmp_path / "worker.log").stat().st_size)
    supervisor.stop()
    assert processes_with(mark) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's end")
def test_a_supervisor_that_is_killed_takes_its_programs_along(tmp_path: Path) -> None:
    mark = f"mark-of-{tmp_path}"
    code = f"""
        import pathlib, signal, sys
        from pipeline.local.supervisor import Program, Supervisor
        worker = "import signal; print('here', flush=True); signal.pause()"
        program = Program("worker", (sys.executable, "-c", worker, {mark!r}), "http://127.0.0.1:1")
        Supervisor([program], pathlib.Path({str(tmp_path)!r})).start()
        signal.pause()
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)]) as supervisor:
        log = tmp_path / "worker.log"
        wait_for("the program", lambda: log.exists() and log.stat().st_size)
        assert processes_with(mark)
        supervisor.kill()
    wait_for("the program's end", lambda: not processes_with(mark))


def test_ready_is_what_every_program_says_it_is(tmp_path: Path) -> None:
    with answering(200, b"ready") as url, supervised(tmp_path, program(_WAIT, url=url)) as (supervisor, _):
        stop = Event()
        assert supervisor.wait_until_ready(stop, seconds=10)
        stop.set()
        assert not supervisor.wait_until_ready(stop, seconds=10)


def test_one_that_is_not_ready_in_time_says_why(tmp_path: Path) -> None:
    with (
        answering(503, b"no partition yet\n") as url,
        supervised(tmp_path, program(_WAIT, url=url)) as (supervisor, _),
        pytest.raises(UserError, match=r"worker is not ready after 0\.2 s: no partition yet"),
    ):
        supervisor.wait_until_ready(Event(), seconds=0.2)


def test_the_log_of_the_run_before_stays(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with supervised(tmp_path, program(f"print({text!r}, flush=True); {_WAIT}")) as (supervisor, heard):
            tick_until(supervisor, heard, "worker: here")
    assert (tmp_path / "worker.log.1").read_text() == "one\nhere\n"
    assert (tmp_path / "worker.log").read_text() == "two\nhere\n"


def test_a_folder_that_cannot_be_written_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(UserError, match="See --dir"), supervised(tmp_path / "logs", program(_WAIT)):
        pass
