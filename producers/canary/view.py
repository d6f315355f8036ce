"""The output of `tracelink canary --once`: each stage as the probe reaches it, or one JSON object."""

from types import TracebackType
from typing import Self

import orjson
from rich.console import Console
from rich.status import Status
from rich.text import Text

from producers.canary.probes import Probe

_WIDTH = 14


class View:
    """Shows the stages while its context lasts; on a terminal also the pending ones."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._waiting = Status("sending a probe", console=console) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._waiting:
            self._waiting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._waiting:
            self._waiting.stop()

    def began(self, probe: Probe) -> None:
        """Show the trace id of the probe."""
        self._say(f"probe {probe.shown_id}")
        self._wait(probe)

    def seen(self, probe: Probe, stage: str) -> None:
        """Show a stage that the probe has reached."""
        self._say(f"✓ {stage:<{_WIDTH}}{probe.seconds[stage]:6.1f} s", "green")
        self._wait(probe)

    def over(self, probe: Probe) -> None:
        """Show the stages that the probe missed."""
        if self._waiting:
            self._waiting.stop()
        for stage, missing in probe.missing.items():
            self._say(f"✗ {stage:<{_WIDTH}}missed: {missing}", "bold red")

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style), soft_wrap=True)

    def _wait(self, probe: Probe) -> None:
        if self._waiting:
            self._waiting.update(f"waiting for {', '.join(probe.missing)}")


def to_json(probe: Probe) -> str:
    """Return a JSON object with the trace id, `ok`, and for each stage the seconds, or what is missing."""
    stages: dict[str, dict[str, object]] = {
        **{stage: {"seconds": round(seconds, 3)} for stage, seconds in probe.seconds.items()},
        **{stage: {"missing": missing} for stage, missing in probe.missing.items()},
    }
    return orjson.dumps({"traceId": probe.shown_id, "ok": not probe.missing, "stages": stages}).decode()
