"""The default windows under senders with OpenTelemetry's defaults, which export spans every 5 s and lines every second.

`arrivals.json` has a part of what the benchmark `windows` recorded: for each kind of traces some traces, each with its
records as (kind, milliseconds from the trace's end until it reached Kafka, 1 for the root span).
"""

import json
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from benchmarks.arrivals import Arrival, Part, join
from streams.join.settings import JoinSettings
from streams.join.window import WindowLimits

_APART_MS = 1000  # between the ends of two traces
_START = 1_800_000_000_000
_RECORDED: dict[str, list[list[tuple[int, int, int]]]] = json.loads(
    Path(__file__).with_name("arrivals.json").read_text("utf-8")
)
_SYNCHRONOUS = [kind for kind in _RECORDED if kind.startswith("root ends") and "before" not in kind]


@pytest.fixture(scope="module")
def defaults() -> WindowLimits:
    return JoinSettings.load().limits()


def parts_of(kind: str, limits: WindowLimits) -> list[tuple[int, list[Part]]]:
    """Return the end of each trace and its parts."""
    traces = _RECORDED[kind]
    ends = [_START + number * _APART_MS for number in range(len(traces))]
    arrivals = [
        Arrival(number + 1, kind, ends[number] + after, bool(root))
        for number, records in enumerate(traces)
        for kind, after, root in records
    ]
    found = join(arrivals, limits)
    return [(end, found[number + 1]) for number, end in enumerate(ends)]


def share_split(kind: str, limits: WindowLimits) -> float:
    return fmean(len(parts) > 1 for _, parts in parts_of(kind, limits))


def seconds_to_close(kind: str, limits: WindowLimits) -> list[float]:
    """Return the seconds from the end of each trace until its part with the root, or else the last, was written."""
    return [
        (next((part for part in parts if part.has_root), parts[-1]).written - end) / 1000
        for end, parts in parts_of(kind, limits)
    ]


@pytest.mark.parametrize("kind", [*_SYNCHRONOUS, "lines alone, 2 s apart"])
def test_no_trace_comes_in_parts_if_its_root_ends_last_or_it_has_lines_alone(kind: str, defaults: WindowLimits) -> None:
    assert share_split(kind, defaults) == 0


@pytest.mark.parametrize("kind", _SYNCHRONOUS)
def test_a_trace_is_written_within_an_export_the_grace_and_the_allowance_after_its_root(
    kind: str, defaults: WindowLimits
) -> None:
    seconds = seconds_to_close(kind, defaults)
    assert fmean(seconds) < 10
    assert max(seconds) < 12.5


def test_a_trace_without_a_root_waits_for_the_idle_gap(defaults: WindowLimits) -> None:
    assert 30 < fmean(seconds_to_close("lines alone, 2 s apart", defaults)) < 32


@pytest.mark.parametrize(
    ("idle_gap", "root_grace", "kind", "least"),
    [
        (5, None, "root ends 5 s after its child", 0.4),
        (5, None, "root ends 10 s after its child", 1),
        (10, None, "root ends 10 s after its child", 0.4),
        (10, 6, "root ends 10 s after its child", 0.4),
        (10, 6, "root ends 20 s after its child", 1),
        (30, 2, "root ends 0 s after its child", 0.1),
    ],
)
def test_shorter_windows_cut_these_same_traces(
    idle_gap: int, root_grace: int | None, kind: str, least: float, defaults: WindowLimits
) -> None:
    grace = None if root_grace is None else root_grace * 1000
    assert share_split(kind, replace(defaults, idle_gap=idle_gap * 1000, root_grace=grace)) >= least
