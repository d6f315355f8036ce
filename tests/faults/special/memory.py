"""How much memory the processes took."""

from pathlib import Path

import psutil

from tests.faults.setting import Setting
from tests.kit.pipeline import processes_of

MIB = 1024 * 1024


def processes(place: Setting, command: str) -> list[psutil.Process]:
    """Find the processes of a command that run now."""
    return [process for process in processes_of(place.environment) if command in process.cmdline()]


def peak(process: psutil.Process) -> int:
    """Return the most memory, in bytes, that a process has ever had since its start, as the kernel counts it."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kilobytes) * 1024
