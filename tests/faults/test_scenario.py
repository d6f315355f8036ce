"""What a run is worth: a promise that was broken, or a fault that did not come about."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.local.stack import Endpoints
from tests.faults.checks import Check
from tests.faults.fault import NotCaused, causing
from tests.faults.scenario import Result, run_until_caused, with_servers
from tests.faults.servers import Servers
from tests.kit.children import Child

_HELD = Result([Check("a promise", (), "held")])
_BROKEN = Result([Check("a promise", ("broken",))])
_OUT_OF_MEMORY = "zipkin ended out of memory (Java heap space): TRACELINK_STACK_ZIPKIN_HEAP sets its heap size"


@pytest.mark.parametrize(
    ("results", "runs"),
    [
        ([_HELD], 1),
        ([_BROKEN], 1),
        ([replace(_BROKEN, not_caused=["kill"]), _HELD], 1),  # a broken promise is not run away from
        ([replace(_HELD, not_caused=["kill"]), _HELD], 2),
        ([replace(_HELD, not_caused=["kill"]), _BROKEN], 2),
        ([replace(_HELD, not_caused=["kill"])] * 9, 3),
    ],
)
def test_what_broke_no_promise_and_did_not_cause_its_faults_is_run_again(results: list[Result], runs: int) -> None:
    left = iter(results)
    last = run_until_caused(lambda: next(left))
    assert last is results[runs - 1]
    assert len(list(left)) == len(results) - runs


def test_a_server_that_is_overrun_is_a_promise_broken_and_one_that_dies_otherwise_is_run_again() -> None:
    servers = Servers(Endpoints(), ends=[_OUT_OF_MEMORY, "kafka ended by SIGKILL"])
    result = with_servers(_HELD, servers)
    assert [check.against for check in result.checks] == [(), (_OUT_OF_MEMORY,)]
    assert result.not_caused == ["kafka ended by SIGKILL"]
    assert with_servers(_HELD, servers).ok  # said once


def test_a_victim_does_not_outlive_a_fault_that_did_not_come_about(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stays = tmp_path / "stays"
    stays.write_text("#!/bin/sh\nexec cat\n")
    stays.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stays))
    victim = Child("victim", (), {}, tmp_path, forked=False)
    victim.start()
    with pytest.raises(NotCaused, match="did not come"), causing(victim):
        assert victim.wait(0.1), "did not come to its point"
    assert not victim.running
