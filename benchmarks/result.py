"""The result of a case, as a table and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One subject of a case; a figure that does not apply is None.

    `cpu_us` is the CPU time of all threads for one record, in microseconds; memory is the peak of resident memory;
    `seconds` are latencies or durations by name.
    """

    subject: str
    records_per_second: float | None = None
    cpu_us: float | None = None
    peak_mib: float | None = None
    bytes_per_open_record: float | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """A figure with the limit that it must meet; `text` names both."""

    text: str
    value: float
    limit: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """True if the figure is within its limit."""
        return self.value <= self.limit if self.at_most else self.value >= self.limit


@dataclass(frozen=True, slots=True)
class Result:
    """The rows of one run on one machine; compare these, not rows of different runs."""

    case: str
    about: str
    rows: Sequence[Row]
    targets: Sequence[Target] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the result as a JSON object."""
        found = asdict(self)
        for shown, target in zip(found["targets"], self.targets, strict=True):
            shown["met"] = target.met
        return found


def show(console: Console, result: Result) -> None:
    """Print a case as a table, with its targets below."""
    table = Table(title=f"{result.case}: {result.about}", title_justify="left")
    table.add_column("")
    for name in ("records/s", "CPU µs a record", "peak MiB", "bytes an open record"):
        table.add_column(name, justify="right")
    table.add_column("seconds")
    table.add_column("")
    for row in result.rows:
        table.add_row(
            row.subject,
            _number(row.records_per_second, ",.0f"),
            _number(row.cpu_us, ".2f"),
            _number(row.peak_mib, ",.0f"),
            _number(row.bytes_per_open_record, ",.0f"),
            ", ".join(f"{name} {value:.3g}" for name, value in row.seconds.items()),
            row.note,
        )
    console.print(table)
    for target in result.targets:
        console.print(f"  {'met   ' if target.met else 'MISSED'}  {target.text}: {target.value:.3g}", highlight=False)


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Return the median, the 95th and 99th percentile, and the greatest of some durations."""
    ordered = sorted(seconds)
    return {
        name: ordered[min(len(ordered) - 1, int(len(ordered) * share))]
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    }
