"""Calls of the senders. Each has a process of its own: Python can start Java once, and a forked test must have none."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.integration.producers.gateway.java.jars import class_path

_ROOT = Path(__file__).parents[5]
_PROGRAM = "tests.integration.producers.gateway.java.program"
_SECONDS = 120


def call(sender: str, **arguments: object) -> dict[str, Any]:
    """Return what a function of `program` returns."""
    order = {"class_path": class_path(), "sender": sender, "arguments": arguments}
    command = [sys.executable, "-m", _PROGRAM, json.dumps(order)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    returned: dict[str, Any] = json.loads(done.stdout)
    return returned
