"""Fuzzes every target for a share of the time: python -m tests.fuzz [--seconds N] [TARGET…].

Inputs that reach new lines are kept in `.fuzz/`, where the next run goes on, and so is one that breaks a promise.
"""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import click

_FOLDER = Path(__file__).parent
_CORPUS = _FOLDER / "corpus"
_FOUND = Path(".fuzz")
# The longest input that is made, and the memory of the process. The settings of the targets bound what a request takes.
_MOST_BYTES = 64 * 1024
_MOST_MIB = 700
# For what never ends, and in seconds by the clock: the targets themselves bound the CPU time.
_TIMEOUT = 600
_SHOWN_CHARS = 5000


@click.command()
@click.option("--seconds", default=60, help="Seconds for all targets together.", show_default=True)
@click.argument("targets", nargs=-1)
def main(seconds: int, targets: tuple[str, ...]) -> None:
    """Fuzz TARGETS, all by default."""
    if find_spec("atheris") is None:
        sys.exit("Fuzzing needs atheris, which runs on Linux on x86-64.")
    known = sorted(folder.name for folder in _CORPUS.iterdir())
    chosen = targets or tuple(known)
    for name in chosen:
        if name not in known:
            raise click.UsageError(f"{name} is not one of {', '.join(known)}")
    failed = [name for name in chosen if not _fuzz(name, max(1, seconds // len(chosen)))]
    if failed:
        sys.exit(f"Failed: {', '.join(failed)}. The inputs are in {_FOUND}/.")
    click.echo(f"{len(chosen)} passed, 0 failed")


def _fuzz(name: str, seconds: int) -> bool:
    """Return True if nothing was found."""
    found = _FOUND / name
    found.mkdir(parents=True, exist_ok=True)
    flags = {
        "max_total_time": seconds, "timeout": _TIMEOUT, "rss_limit_mb": _MOST_MIB, "max_len": _MOST_BYTES,
        "len_control": 0, "dict": _FOLDER / "words.dict", "artifact_prefix": f"{_FOUND}/{name}-",
        "verbosity": 0, "print_final_stats": 1,
    }  # fmt: skip
    options = [f"-{flag}={value}" for flag, value in flags.items()]
    command = [sys.executable, "-m", "tests.fuzz.child", name, *options, str(found), str(_CORPUS / name)]
    run = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
    tried = re.search(r"number_of_executed_units: *(\d+)", run.stderr)
    click.echo(f"{name}: {tried[1] if tried else 'no'} inputs in {seconds} s")
    if run.returncode:
        click.echo(run.stdout + run.stderr[-_SHOWN_CHARS:])
    return run.returncode == 0


if __name__ == "__main__":
    main()
