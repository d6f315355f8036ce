"""`tracelink dead-letters redrive` and `discard`: what is asked for, the question, the run, the summary."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass

import click

from pipeline.cli.text import plain
from pipeline.runtime.signals import INTERRUPTED
from pipeline.settings import ReplayedSettings
from streams.dead_letters.letter import Filters, Letter
from streams.dead_letters.marks import Marks
from streams.dead_letters.settle import Judge, Settler, Summary, carry_out, plan
from streams.dead_letters.topic import LettersTopic
from streams.dead_letters.verdict import Outcome, Verdict, judge

_LONGEST = 400
_REFUSED_SHOWN = 50

JudgeBy = Callable[[Marks], Judge]


@dataclass(frozen=True, slots=True)
class Order:
    """What a user asks for."""

    filters: Filters
    everything: bool
    dry_run: bool
    yes: bool
    as_json: bool

    def check(self) -> None:
        """Refuse what is asked for where it may be a slip, before anything is read."""
        if self.filters.is_empty and not self.everything:
            raise click.UsageError("Name letters (3-17), filters, or --all for all open letters.")
        if self.everything and not self.filters.is_empty:
            raise click.UsageError("--all means all open letters: leave it away, or the letters and filters.")
        if self.asks and not sys.stdin.isatty():
            raise click.UsageError("Nobody can be asked here: see with --dry-run what is meant, then say --yes.")

    @property
    def asks(self) -> bool:
        """Whether to ask first: not of letters that are named one by one."""
        return not (self.yes or self.dry_run or self.filters.letters)


class _Run:
    """One run of an order; what is judged is fixed at its start, so that what comes back meanwhile is left."""

    def __init__(self, settings: ReplayedSettings, order: Order, what: str) -> None:
        order.check()
        self.topic = LettersTopic(settings)
        self.order = order
        self._settings = settings
        self._what = what
        self._wanted = self.topic.wanted(order.filters)
        self._stretches = self.topic.stretches(self._wanted)

    def run(self, judge_by: JudgeBy, rate: float | None = None) -> int:
        """Do it; return the exit code."""
        order = self.order
        if order.dry_run:
            return self._end(self._plan(judge_by, _told if not order.as_json else _untold), would=True)
        if order.asks:
            planned = self._plan(judge_by, _untold)
            if planned.to_do:
                click.confirm(f"{_sentence(planned, would=True)} {self._what.capitalize()} them?", abort=True, err=True)
        summary, named = Summary(), order.filters.letters
        try:
            with Settler(self._settings, self.topic.source) as settler:
                # Not before: by now nobody else settles any.
                marks = self.topic.marks()
                outdated = self.topic.outdated(marks)
                settler.forget(outdated)
                summary.forgotten = len(outdated)
                with self._letters() as letters:
                    carry_out(letters, judge_by(marks), settler, summary, named=named, rate=rate)
        except BaseException as error:
            if summary.outcomes:
                click.echo(f"Before it ended: {_sentence(summary)}", err=True)
            if isinstance(error, KeyboardInterrupt):
                return INTERRUPTED
            raise
        return self._end(summary)

    def _plan(self, judge_by: JudgeBy, tell: Callable[[Verdict], None]) -> Summary:
        with self._letters() as letters:
            return plan(letters, judge_by(self.topic.marks()), self.order.filters.letters, tell)

    def _letters(self) -> AbstractContextManager[Iterator[Letter]]:
        return closing(self.topic.read(self._wanted, self._stretches, f"{self._what}ing dead letters"))

    def _end(self, summary: Summary, *, would: bool = False) -> int:
        if self.order.as_json:
            click.echo(json.dumps(_as_json(summary, would=would)))
        else:
            if not would:  # it was told with the others
                for verdict in summary.refused[:_REFUSED_SHOWN]:
                    _told(verdict)
                if more := len(summary.refused) - _REFUSED_SHOWN:
                    click.echo(f"{more:,} more were refused; --json names them" if more > 0 else "", nl=more > 0)
            click.echo(_sentence(summary, would=would))
        return 1 if summary.refused else 0


def redrive_(settings: ReplayedSettings, order: Order, at_most: int, rate: float | None) -> int:
    """Send letters to where they came from; return the exit code."""
    run = _Run(settings, order, "redrive")
    topic = run.topic

    def by(marks: Marks) -> Judge:
        return lambda letter: judge(letter, marks, topic.source, topic.live, at_most)

    return run.run(by, rate)


def discard_(settings: ReplayedSettings, order: Order) -> int:
    """Mark letters as done with; return the exit code."""
    run = _Run(settings, order, "discard")
    source = run.topic.source

    def by(marks: Marks) -> Judge:
        def judged(letter: Letter) -> Verdict:
            mark = marks.of(source, letter)
            if mark is None:
                return Verdict(letter.name, Outcome.DISCARDED, count=letter.headers.redriven)
            return Verdict(letter.name, Outcome.SETTLED, why=f"it was {mark['action'].lower()} before")

        return judged

    return run.run(by)


def _told(verdict: Verdict) -> None:
    match verdict.outcome:
        case Outcome.SENT:
            again = f" (redriven {verdict.count}x with this)" if verdict.count > 1 else ""
            click.echo(f"{verdict.name} goes to {verdict.topic}{again}")
        case Outcome.DISCARDED:
            click.echo(f"{verdict.name} is discarded")
        case Outcome.SETTLED:
            click.echo(f"{verdict.name} is left: {verdict.why}")
        case _:
            click.echo(f"{verdict.name} is refused: {plain(verdict.why, _LONGEST)}")


def _untold(_: Verdict) -> None:
    pass


def _sentence(summary: Summary, *, would: bool = False) -> str:
    """Say what became of the letters, or would."""
    counts = summary.outcomes
    words = [f"{count:,} {'to go' if would else 'sent'} to {topic}" for topic, count in sorted(summary.topics.items())]
    if counts[Outcome.DISCARDED]:
        words.append(f"{counts[Outcome.DISCARDED]:,} {'to be discarded' if would else 'discarded'}")
    if counts[Outcome.SETTLED]:
        words.append(f"{counts[Outcome.SETTLED]:,} settled before")
    if summary.refused:
        words.append(f"{len(summary.refused):,} refused")
    text = ", ".join(words) or "nothing to do"
    return text[0].upper() + text[1:] + "."


def _as_json(summary: Summary, *, would: bool) -> dict[str, object]:
    return {
        "dryRun": would,
        **{str(outcome): summary.outcomes[outcome] for outcome in Outcome},
        "topics": dict(sorted(summary.topics.items())),
        "refused": [
            {"letter": str(one.name), "outcome": str(one.outcome), "count": one.count, "why": one.why}
            for one in summary.refused
        ],
        "marksForgotten": summary.forgotten,
    }
