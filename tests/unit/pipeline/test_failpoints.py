"""The points of the fault tests: nobody else can use them."""

import subprocess
import sys

import pytest

from pipeline.failpoints import Failpoint, hit, install


def test_a_process_that_no_launcher_has_started_cannot_switch_them_on() -> None:
    with pytest.raises(RuntimeError, match="fault tests"):
        install(lambda _: None)


def test_nor_can_a_program_that_uses_the_package() -> None:
    program = "from pipeline.failpoints import install; install(print)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "fault tests" in ended.stderr


def test_nothing_happens_at_them() -> None:
    for point in Failpoint:
        hit(point)
