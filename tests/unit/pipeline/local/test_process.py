import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pipeline.local.process import is_alive, spawn, stop
from pipeline.local.server import Launch

_STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"


def test_a_process_that_ignores_sigterm_is_killed_at_the_deadline() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _STUBBORN], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "deaf\n"
        stop(psutil.Process(process.pid), seconds=0.1)
    assert process.returncode == -signal.SIGKILL


def test_a_process_that_ended_unnoticed_by_its_parent_is_not_alive() -> None:
    with subprocess.Popen([sys.executable, "-c", "print('bye')"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not is_alive(psutil.Process(process.pid))


def test_a_server_sees_little_of_our_environment_and_keeps_one_older_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "meant for the user's services")
    log = tmp_path / "logs" / "server.log"
    code = "import os; print('KAFKA_BOOTSTRAP_SERVERS' in os.environ, os.environ['OWN'], os.getsid(0) == os.getpid())"
    for own in ("first", "second"):
        with spawn(Launch((sys.executable, "-c", code), {"OWN": own}), log, tmp_path):
            pass
    assert log.read_text() == "False second True\n"
    assert log.with_name("server.log.1").read_text() == "False first True\n"
