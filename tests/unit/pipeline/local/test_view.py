import io

import pytest
from rich.console import Console

from pipeline.local.events import Downloading, Ready, Starting, Waiting
from pipeline.local.view import showing

_EVENTS = (
    Waiting("/data"),
    Downloading("a.jar", 0, 2, 500_000, 2_000_000),
    Downloading("a.jar", 1, 2, 1_000_000, 2_000_000),
    Downloading("b.jar", 2, 2, 2_000_000, 2_000_000),
    Starting("kafka"),
    Ready("kafka", 4.25),
    Ready("zipkin", 0.0),
)


def _shown(*, terminal: bool) -> str:
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=120, _environ={})
    with showing(console) as listener:
        for event in _EVENTS:
            listener(event)
    return output.getvalue()


def test_a_log_file_gets_a_line_a_step() -> None:
    assert _shown(terminal=False).splitlines() == [
        "waiting for another command that uses /data",
        "downloading 2 files, 2 MB",
        "downloaded 2 files",
        "kafka starts",
        "kafka is ready after 4.2 s",
        "zipkin is already running",
    ]


@pytest.mark.parametrize(
    "part", ["2 of 2 files, 2 of 2 MB, b.jar", "kafka is ready after 4.2 s", "zipkin is already running"]
)
def test_a_terminal_shows_files_and_bytes_and_each_server(part: str) -> None:
    assert part in _shown(terminal=True)
