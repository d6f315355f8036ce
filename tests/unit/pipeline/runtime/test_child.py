"""Child processes, with Python programs in their place."""

import signal
import sys
from pathlib import Path

from pipeline.runtime.child import Child, begin_log, last_lines, stop
from tests.kit.waiting import wait_for

_HEEDFUL = "import signal; print('here', flush=True); signal.pause()"
_DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {_HEEDFUL.partition('; ')[2]}; signal.pause()"


def child(code: str, log: Path) -> Child:
    return Child([sys.executable, "-c", code], log, {})


def test_those_that_do_not_end_when_told_are_killed_and_named(tmp_path: Path) -> None:
    heedful, deaf = child(_HEEDFUL, tmp_path / "heedful"), child(_DEAF, tmp_path / "deaf")
    wait_for("both", lambda: all(one.log.read_text() == "here\n" for one in (heedful, deaf)))
    waits: list[None] = []
    assert stop([heedful, deaf], 0.3, lambda: waits.append(None)) == [deaf]
    assert (heedful.returncode, deaf.returncode) == (-signal.SIGTERM, -signal.SIGKILL)
    assert waits


def test_one_that_has_ended_is_neither_told_nor_killed(tmp_path: Path) -> None:
    ended = child("raise SystemExit(3)", tmp_path / "log")
    assert ended.wait(10) == 3
    ended.kill()
    assert stop([ended], 10) == []
    assert ended.returncode == 3


def test_a_log_goes_on_until_a_new_one_begins_and_its_end_is_shown(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "one.log"
    begin_log(log)
    for number in range(20):
        with log.open("a") as file:
            file.write(f"{number}\n")
    assert child("print('last')", log).wait(10) == 0
    assert last_lines(log).splitlines() == [f"  {number}" for number in (*range(6, 20), "last")]
    begin_log(log)
    assert log.read_text() == ""
    assert log.with_name("one.log.1").read_text().endswith("19\nlast\n")
