"""Gaps: the time ranges with missing records, and the replays that fill them. Pure.

Memory is bounded by the length of the verified range: there is one entry a minute, and a limited number of trace ids.
"""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pipeline.cli.times import shown
from sinks.verify.tally import Judged
from tracelink.model.records import shown_trace_id

_MINUTE_MS = 60_000
_APART_MS = 600_000
_FEW = 20
_PARTIAL = 0.1
_REMEMBERED = 100_000


@dataclass(slots=True)
class _Minute:
    """The messages that were opened in one minute, complete and incomplete ones."""

    sound: int = 0
    incomplete: int = 0
    first: int = 0
    last: int = 0
    untraced: int = 0
    """Missing lines without a trace."""
    stores: set[str] = field(default_factory=set)
    traces: set[bytes] = field(default_factory=set)
    forgotten: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    """A time range with missing records, from `begin` to before `end`, in milliseconds."""

    begin: int
    end: int
    stores: tuple[str, ...]
    """The stores that lack records: elasticsearch, zipkin."""
    traces: tuple[bytes, ...]
    """The ids of traces with missing records, sorted."""
    complete: bool
    """True if `traces` has all of them: only a limited number is remembered."""
    untraced: int
    """Missing lines without a trace: a replay can select them by time only."""
    incomplete: int
    """Messages with missing records."""
    messages: int
    """All messages in the range."""

    @property
    def by_trace(self) -> bool:
        """True if the trace ids select all missing records."""
        return self.complete and not self.untraced

    @property
    def few(self) -> bool:
        """True if the traces are few enough to be listed in a command."""
        return self.by_trace and len(self.traces) <= _FEW

    @property
    def partial(self) -> bool:
        """True if a replay of the whole range would mostly repeat existing records."""
        return self.by_trace and not self.few and self.incomplete < _PARTIAL * self.messages


class Gaps:
    """Collects missing records, from messages in any order."""

    def __init__(self, remembered: int = _REMEMBERED) -> None:
        self._minutes: dict[int, _Minute] = {}
        self._room = remembered

    def add(self, judged: Judged) -> None:
        """Add a message, complete or not."""
        counts = judged.counts
        minute = self._minutes.setdefault(judged.opened // _MINUTE_MS, _Minute())
        if not counts.missing:
            minute.sound += 1
            return
        end = judged.closed + 1
        minute.first = min(minute.first, judged.opened) if minute.incomplete else judged.opened
        minute.last = max(minute.last, end) if minute.incomplete else end
        minute.incomplete += 1
        minute.stores |= {"elasticsearch"} if counts.in_elasticsearch else set()
        minute.stores |= {"zipkin"} if counts.missing_spans else set()
        if judged.trace_id is None:
            minute.untraced += counts.missing
        elif judged.trace_id not in minute.traces:
            if self._room:
                minute.traces.add(judged.trace_id)
                self._room -= 1
            else:
                minute.forgotten = True

    def ranges(self) -> list[Gap]:
        """Return the gaps in the order of time.

        Gaps are merged if they are at most ten minutes apart, or no minute between them has only complete messages.
        """
        found: list[list[_Minute]] = []
        between: list[_Minute] = []
        last = 0
        for _, minute in sorted(self._minutes.items()):
            if not minute.incomplete:
                between.append(minute)
                continue
            if found and (minute.first - last <= _APART_MS or not between):
                found[-1] += [*between, minute]
            else:
                found.append([minute])
                last = minute.last
            last = max(last, minute.last)
            between = []
        return [_gap(minutes) for minutes in found]


def _gap(minutes: Sequence[_Minute]) -> Gap:
    incomplete = [minute for minute in minutes if minute.incomplete]
    return Gap(
        begin=min(minute.first for minute in incomplete),
        end=max(minute.last for minute in incomplete),
        stores=tuple(sorted(set().union(*(minute.stores for minute in incomplete)))),
        traces=tuple(sorted(set().union(*(minute.traces for minute in incomplete)))),
        complete=not any(minute.forgotten for minute in incomplete),
        untraced=sum(minute.untraced for minute in incomplete),
        incomplete=sum(minute.incomplete for minute in incomplete),
        messages=sum(minute.incomplete + minute.sound for minute in minutes),
    )


def command(gap: Gap, given: Iterable[str] = (), missing: str | None = None) -> str:
    """Return the shell command that fills a gap.

    `given` are flags for the same servers and documents; `missing` is the file with the ids of the missing traces.
    """
    words = ["tracelink", "replay"]
    if gap.few:
        words += [word for one in gap.traces for word in ("--trace-id", shown_trace_id(one))]
    elif gap.partial and missing is not None:
        words += ["--trace-ids", missing]
    words += ["--from", shown(gap.begin), "--to", shown(gap.end)]
    if len(gap.stores) == 1:
        words += ["--sink", gap.stores[0]]
    return shlex.join([*words, *given, "--run"])
