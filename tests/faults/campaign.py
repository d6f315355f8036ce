"""`make faults`: every fault at many seeds, about ten in a run of a minute, with a summary for docs/reliability.md."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event, Lock

import click
import psutil
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from tests.faults.catalogue import ABOUT, SPECIAL
from tests.faults.checks import Check
from tests.faults.faults import FAULTS
from tests.faults.scenario import Plan, Result, run, run_until_caused
from tests.faults.servers import Servers, new_stack
from tests.faults.traffic import Shape
from tests.faults.wire import Json

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
_BEGIN, _END = "<!-- faults: written by make faults -->", "<!-- /faults -->"
_IN_A_RUN = 10
_TICK = 1.0
_WARM_UP_SECONDS = 10.0
_WARM_UPS = 6
"""Runs without a fault that servers which have just started get, at most, until one of them is clean."""
_SERVER_FAULTS_IN_A_RUN = 4
_RATE = 200.0
_BUSY = 4.0
"""Processes that want to run, for each core, from which on a lane waits until others are through."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run of the campaign: its seed, and the names of its faults."""

    seed: int
    faults: tuple[str, ...]

    @property
    def seconds(self) -> float:
        return 5.0 * sum(FAULTS[name].acts for name in self.faults)

    @property
    def alone(self) -> bool:
        return self.faults[0] in SPECIAL and SPECIAL[self.faults[0]].alone

    def take_place(self, servers: Servers, folder: Path) -> Result:
        """Run it; a special scenario is alone in its run."""
        name = self.faults[0]
        if name in SPECIAL:
            return SPECIAL[name].run(self.seed, servers, folder, _tell_nobody)
        return run(Plan(self.seed, [FAULTS[name] for name in self.faults], Shape(_RATE, self.seconds)), servers, folder)


def plan(seeds: int) -> list[Run]:
    """Deal the faults into runs of about ten, which have traffic of an odd shape or two; named points at each seed."""
    chance = random.Random(seeds)
    shapes = [fault.name for fault in FAULTS.values() if not fault.acts]
    runs: list[tuple[str, ...]] = []
    for own_servers, size in ((False, _IN_A_RUN), (True, _SERVER_FAULTS_IN_A_RUN)):
        names = [fault.name for fault in FAULTS.values() if fault.acts and fault.own_servers is own_servers]
        dealt = [name for name in names for _ in range(_times(FAULTS[name].times, seeds))]
        chance.shuffle(dealt)
        runs += [tuple(dealt[first : first + size]) for first in range(0, len(dealt), size)]
    chance.shuffle(runs)
    special = [(one.name,) for one in SPECIAL.values() for _ in range(_times(one.times, seeds))]
    left = [name for _ in range(seeds) for name in shapes]
    per_run = -(-len(left) // len(runs))
    return [
        Run(seed, (*dict.fromkeys(left[seed * per_run : (seed + 1) * per_run]), *names))
        for seed, names in enumerate(runs)
    ] + [Run(seed, names) for seed, names in enumerate(special, len(runs))]


def _times(of_twenty: int, seeds: int) -> int:
    """Return how often a fault comes, at least once, that comes so often in a campaign of twenty seeds."""
    return -(-of_twenty * seeds // 20)


def _tell_nobody(_: str) -> None:
    """Keep the progress bar alone on the terminal."""


class Results:
    """The runs that are done, in a file: a campaign that was interrupted goes on after them."""

    def __init__(self, file: Path) -> None:
        self._file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = file.read_text().splitlines() if file.exists() else []
        self.done: list[Json] = [json.loads(line) for line in lines]

    def has(self, one: Run) -> bool:
        return any(done["seed"] == one.seed and tuple(done["faults"]) == one.faults for done in self.done)

    def add(self, one: Run, result: Result, seconds: float) -> None:
        self.done.append(
            {"seed": one.seed, "faults": list(one.faults), "seconds": seconds, "at": time.time(), **asdict(result)}
        )
        with self._file.open("a") as file:
            file.write(json.dumps(self.done[-1]) + "\n")


def failures(done: Json) -> list[str]:
    """Return what was against a run's promises, and what it has not shown in any attempt."""
    broken = [f"{check['name']}: {'; '.join(check['against'][:3])}" for check in done["checks"] if check["against"]]
    return broken + [f"not caused: {missed}" for missed in done["not_caused"]]


def not_run(results: Sequence[Json]) -> list[str]:
    """Return what this machine does not let us do: a full disk needs a file system to be mounted."""
    lines = {
        f"`{check['name']}`: {check['looked_at'].removeprefix('not run: ')}"
        for done in results
        for check in done["checks"]
        if check["looked_at"].startswith("not run: ")
    }
    return sorted(lines)


def summary(results: Sequence[Json]) -> list[tuple[str, str, int, int, str]]:
    """Return a row for each fault: name, what it is, times, runs with it that broke a promise, seconds to recover."""
    times: Counter[str] = Counter()
    broken: Counter[str] = Counter()
    recoveries: dict[str, list[float]] = defaultdict(list)
    for done in results:
        times.update(done["faults"])
        broken.update(set(done["faults"]) if failures(done) else ())
        for name, seconds in done["recoveries"]:
            recoveries[name].append(seconds)
    return [(name, about, times[name], broken[name], _spread(recoveries[name])) for name, about in ABOUT.items()]


def _spread(seconds: Sequence[float]) -> str:
    return f"{median(seconds):.1f} / {max(seconds):.1f}" if seconds else ""


def write_page(results: Sequence[Json], commit: str, minutes: float) -> None:
    """Put the summary between the marks in docs/reliability.md."""
    rows = summary(results)
    checks = sum(len(done["checks"]) for done in results)
    broken = [done for done in results if failures(done)]
    head = f"{datetime.now(UTC):%Y-%m-%d}, commit {commit}: {len(results)} runs in {minutes:.0f} minutes"
    lines = [
        f"{head}, {checks} checks, {len(broken)} runs that broke a promise.",
        "",
        "| fault | what happens | times | broken | recovery, median / longest (s) |",
        "| --- | --- | --- | --- | --- |",
        *(f"| `{name}` | {about} | {times} | {bad} | {spread} |" for name, about, times, bad, spread in rows),
        *(["", "What was broken:", ""] if broken else []),
        *(f"- seed {done['seed']} ({', '.join(done['faults'])}): {' / '.join(failures(done))}" for done in broken),
        *(["", "What could not be run here:", ""] if (left_out := not_run(results)) else []),
        *(f"- {line}" for line in left_out),
    ]
    text = PAGE.read_text()
    before, rest = text.split(_BEGIN)
    after = rest.split(_END)[1]
    PAGE.write_text(f"{before}{_BEGIN}\n\n" + "\n".join(lines) + f"\n\n{_END}{after}")


def commit_of(folder: Path) -> str:
    """Name the commit, and say where the tree differs from it."""

    def git(*arguments: str) -> str:
        command = [shutil.which("git") or "git", *arguments]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs")
    return git("rev-parse", "--short=12", "HEAD") + ("-changed" if changed else "")


class Lanes:
    """Runs side by side, each on a stack of its own."""

    def __init__(self, count: int, folder: Path, tell: Callable[[str], None]) -> None:
        self._folder = folder
        self._resources = ExitStack()
        self._free: SimpleQueue[Servers] = SimpleQueue()
        self._lock = Lock()
        self._running = 0
        self._alone = False
        for number in range(count):
            stack = new_stack(folder / f"stack-{number}")
            self._resources.callback(stack.stop)
            servers = Servers(stack.start(fresh=True), stack)
            _warm_up(servers, tell)
            self._free.put(servers)

    def run(self, one: Run) -> tuple[Run, Result, float]:
        """Run once a lane is free; what a broken run raises counts as a promise not kept."""
        servers = self._free.get()
        self._enter(alone=one.alone)
        folder = self._folder / "logs" / f"seed-{one.seed}"
        folder.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        try:
            servers.start()
            result = run_until_caused(lambda: one.take_place(servers, folder))
        except Exception as error:  # noqa: BLE001 - the campaign goes on, and says so
            result = Result([Check("the run came to its end", (f"{type(error).__name__}: {error}",))])
        finally:
            self._leave()
            self._free.put(servers)
        if result.ok and not result.not_caused:
            shutil.rmtree(folder)
        return one, result, time.monotonic() - started

    def _enter(self, *, alone: bool) -> None:
        """Begin a run: beside others only where it bears them, and the machine does."""
        while True:
            with self._lock:
                busy = alone or self._alone or psutil.getloadavg()[0] >= _BUSY * (os.cpu_count() or 1)
                if not self._running or not busy:
                    self._running += 1
                    self._alone = alone
                    return
            Event().wait(_TICK)

    def _leave(self) -> None:
        with self._lock:
            self._running -= 1

    def close(self) -> None:
        self._resources.close()


def _warm_up(servers: Servers, tell: Callable[[str], None]) -> None:
    """Run without a fault until such a run is clean.

    Servers that have just started compile their code while they serve; the first runs with faults would measure that.
    """
    for number in range(1, _WARM_UPS + 1):
        with TemporaryDirectory() as logs:
            result = run(Plan(0, [], Shape(_RATE, _WARM_UP_SECONDS)), servers, Path(logs))
        if result.ok:
            return
        tell(f"warm-up {number}, without a fault: {' / '.join(failures(asdict(result)))}")


@click.command()
@click.option("--seeds", default=20, show_default=True, help="How often each fault comes.")
@click.option("--minutes", default=100.0, show_default=True, help="Start no run after so long.")
@click.option("--lanes", default=2, show_default=True, help="Runs side by side, each with servers of its own (2 GB).")
@click.option("--fresh", is_flag=True, help="Forget the runs that are done, instead of going on after them.")
@click.option("--dir", "directory", default=ROOT / ".faults", type=click.Path(path_type=Path), help="For all files.")
def main(*, seeds: int, minutes: float, lanes: int, fresh: bool, directory: Path) -> None:
    """Run every fault at many seeds, and write the summary into docs/reliability.md.

    Interrupted, it goes on where it stopped, as long as the commit is the same. Exit code 1 where a promise was broken,
    2 where the time was not enough.

    \b
    Examples:
      make faults
      make faults ARGS="--seeds 2 --minutes 15"
    """
    commit = commit_of(ROOT)
    file = directory / f"{commit}.jsonl"
    if fresh:
        file.unlink(missing_ok=True)
    results, whole = Results(file), plan(seeds)
    left = [one for one in whole if not results.has(one)]
    console = Console()
    deadline = time.monotonic() + 60 * minutes
    console.print(f"{len(whole)} runs, {len(left)} of them to do; commit {commit}; results in {file}")
    if left:
        try:
            _run_all(left, results, directory, lanes, deadline, console)
        except KeyboardInterrupt:
            console.print("Interrupted; what is done is kept: start again to go on.")
            sys.exit(130)
    spent = sum(done["seconds"] for done in results.done) / 60 / lanes
    missing = len([one for one in whole if not results.has(one)])
    _print(results.done, console)
    if missing:
        console.print(f"{missing} runs are left: start again to go on.")
        sys.exit(2)
    write_page(results.done, commit, spent)
    console.print(f"Written into {PAGE.relative_to(ROOT)}.")
    sys.exit(any(failures(done) for done in results.done))


def _run_all(  # noqa: PLR0917 - what the command was told
    left: Sequence[Run], results: Results, directory: Path, lanes: int, deadline: float, console: Console
) -> None:
    console.print(f"Starting {lanes} times Kafka, Zipkin and Elasticsearch.")
    place = Lanes(lanes, directory, console.print)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with ExitStack() as resources:
        resources.callback(place.close)
        progress = resources.enter_context(Progress(*columns, console=console))
        task = progress.add_task("runs", total=len(left))
        pool = resources.enter_context(ThreadPoolExecutor(lanes))
        waiting = iter(left)
        under_way: set[Future[tuple[Run, Result, float]]] = {
            pool.submit(place.run, one) for one in islice(waiting, lanes)
        }
        while under_way:
            done = next(as_completed(under_way))
            under_way.remove(done)
            one, result, seconds = done.result()
            results.add(one, result, seconds)
            progress.advance(task)
            for line in failures(results.done[-1]):
                progress.console.print(f"seed {one.seed} ({', '.join(one.faults)}): {line}", soft_wrap=True)
            if time.monotonic() < deadline and (following := next(waiting, None)) is not None:
                under_way.add(pool.submit(place.run, following))


def _print(done: Iterable[Json], console: Console) -> None:
    table = Table("fault", "times", "broken", "recovery, median / longest (s)")
    for name, _, times, broken, spread in summary(list(done)):
        table.add_row(name, str(times), str(broken), spread, style="red" if broken else None)
    console.print(table)


if __name__ == "__main__":
    main()
