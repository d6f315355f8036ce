"""`tracelink demo` as a user runs it, on the servers of the tests."""

import json
import re
from pathlib import Path

import pytest

from pipeline.local.stack import Endpoints
from tests.kit.pipeline import pipeline_environment, processes_of
from tests.kit.processes import running
from tests.kit.terminal import in_terminal
from tests.kit.waiting import wait_for

_STAGES, _SERVICES = 7, 5
_RUN_SECONDS = 240.0


@pytest.fixture
def environment(stack: Endpoints, topic_prefix: str, index_prefix: str) -> dict[str, str]:
    return pipeline_environment(stack, topic_prefix, index_prefix)


def test_once_checks_what_became_of_every_request(tmp_path: Path, environment: dict[str, str]) -> None:
    arguments = ("demo", "--once", "--requests", "40", "--rate", "20", "--json", "--dir", str(tmp_path / "demo"))
    with running(*arguments, log=tmp_path / "demo.log", **environment) as demo:
        code = demo.wait(seconds=_RUN_SECONDS)
        assert code == 0, demo.output()
        verdict = json.loads("{" + demo.output().partition("\n{\n")[2])
        assert verdict == {
            "requests": 40,
            "failed": 4,
            "joined": 40,
            "flagged": 4,
            "flagged_wrongly": 0,
            "in_zipkin": 4,
            "in_elasticsearch": 4,
            "problems": [],
        }
        assert processes_of(environment) == []


def test_once_fails_where_a_stage_does_not_do_its_work(tmp_path: Path, environment: dict[str, str]) -> None:
    # The sinks drop every trace that is not errored.
    broken = environment | {"TRACELINK_KEEP_SHARE": "0"}
    arguments = ("demo", "--once", "--requests", "3", "--within", "8", "--dir", str(tmp_path / "demo"))
    with running(*arguments, log=tmp_path / "demo.log", **broken) as demo:
        assert demo.wait(seconds=_RUN_SECONDS) == 1
        assert "flagged as errored          1 of 1, and 0 wrongly" in demo.output()
        assert demo.output().count("WRONG: ") == 2


def test_the_live_view_shows_errored_traces_and_ctrl_c_ends_every_process(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with in_terminal("demo", "--rate", "10", "--dir", str(tmp_path / "demo"), **environment) as terminal:
        wait_for("an errored trace", lambda: "✗ payment POST /charges" in terminal.text(), seconds=_RUN_SECONDS)
        wait_for("the figures", lambda: "parts of traces" in terminal.text())
        zipkin = f"Zipkin  {environment['TRACELINK_ZIPKIN_URL']}/zipkin/traces/"
        wait_for("the last line of its places", lambda: zipkin in terminal.text())
        assert re.search(r"page    http://127\.0\.0\.1:\d+/traces/[0-9a-f]{32}", terminal.text())
        assert str(tmp_path / "demo" / "logs") in terminal.text()
        assert len(processes_of(environment)) == 1 + _STAGES + _SERVICES
        terminal.press(b"\x03")
        assert terminal.wait() == 0
        assert processes_of(environment) == []


def test_a_demo_that_is_hung_up_leaves_no_process(tmp_path: Path, environment: dict[str, str]) -> None:
    with in_terminal("demo", "--dir", str(tmp_path / "demo"), **environment) as terminal:
        wait_for("the figures", lambda: "parts of traces" in terminal.text(), seconds=_RUN_SECONDS)
        terminal.close()
        wait_for("the end of all", lambda: not processes_of(environment))
