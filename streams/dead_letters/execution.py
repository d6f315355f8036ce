"""`tracelink dead-letters redrive` and `discard`: the request, the confirmation, the run, the summary."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass

import click

from pipeline.cli.text import plain
from pipeline.runtime.signals import INTERRUPTED
from pipeline.settings import ReplayedSettings
from streams.dead_letters.dead_letter import DeadLetter, Filters
from streams.dead_letters.resolutions import Resolutions
from streams.dead_letters.resolver import Judge, Resolver, Summary, carry_out, plan
from streams.dead_letters.topic import DeadLettersTopic
from streams.dead_letters.verdict import Disposition, Verdict, judge

_LONGEST = 400
_REFUSED_SHOWN = 50

JudgeBy = Callable[[Resolutions], Judge]


@dataclass(frozen=True, slots=True)
class Order:
    """A user's request."""

    filters: Filters
    everything: bool
    dry_run: bool
    yes: bool
    as_json: bool

    def check(self) -> None:
        """Reject a request that may be a mistake, before anything is read; raises UsageError."""
        if self.filters.is_empty and not self.everything:
            raise click.UsageError("Give names (3-17), filters, or --all for all open dead letters.")
        if self.everything and not self.filters.is_empty:
            raise click.UsageError("--all means all open dead letters: omit it, or omit the names and filters.")
        if self.asks and not sys.stdin.isatty():
            raise click.UsageError("No terminal to ask for confirmation: check with --dry-run, then use --yes.")

    @property
    def asks(self) -> bool:
        """True if the user must confirm: not for dead letters that are named one by one."""
        return not (self.yes or self.dry_run or self.filters.letters)


class _Execution:
    """One run of an order; its offset ranges are fixed at the start, so dead letters that come later are ignored."""

    def __init__(self, settings: ReplayedSettings, order: Order, what: str) -> None:
        order.check()
        self.topic = DeadLettersTopic(settings)
        self.order = order
        self._settings = settings
        self._what = what
        self._query = self.topic.query(order.filters)
        self._offset_ranges = self.topic.offset_ranges(self._query)

    def run(self, judge_by: JudgeBy, rate: float | None = None) -> int:
        """Run the order; return the exit code."""
        order = self.order
        if order.dry_run:
            return self._end(self._plan(judge_by, _print_verdict if not order.as_json else _print_nothing), would=True)
        if order.asks:
            planned = self._plan(judge_by, _print_nothing)
            if planned.to_do:
                click.confirm(f"{_sentence(planned, would=True)} {self._what.capitalize()} them?", abort=True, err=True)
        summary, named = Summary(), order.filters.letters
        try:
            with Resolver(self._settings, self.topic.owner) as resolver:
                # Only now: the resolver has fenced all others, so nobody else resolves any.
                resolutions = self.topic.resolutions()
                outdated = self.topic.outdated(resolutions)
                resolver.forget(outdated)
                summary.forgotten = len(outdated)
                with self._letters() as letters:
                    carry_out(letters, judge_by(resolutions), resolver, summary, named=named, rate=rate)
        except BaseException as error:
            if summary.dispositions:
                click.echo(f"Before it ended: {_sentence(summary)}", err=True)
            if isinstance(error, KeyboardInterrupt):
                return INTERRUPTED
            raise
        return self._end(summary)

    def _plan(self, judge_by: JudgeBy, on_verdict: Callable[[Verdict], None]) -> Summary:
        with self._letters() as letters:
            return plan(letters, judge_by(self.topic.resolutions()), self.order.filters.letters, on_verdict)

    def _letters(self) -> AbstractContextManager[Iterator[DeadLetter]]:
        return closing(self.topic.read(self._query, self._offset_ranges, f"{self._what}ing dead letters"))

    def _end(self, summary: Summary, *, would: bool = False) -> int:
        if self.order.as_json:
            click.echo(json.dumps(_as_json(summary, would=would)))
        else:
            if not would:  # a dry run has already printed them
                for verdict in summary.refused[:_REFUSED_SHOWN]:
                    _print_verdict(verdict)
                if more := len(summary.refused) - _REFUSED_SHOWN:
                    click.echo(f"{more:,} more were refused; --json names them" if more > 0 else "", nl=more > 0)
            click.echo(_sentence(summary, would=would))
        return 1 if summary.refused else 0


def redrive_(settings: ReplayedSettings, order: Order, at_most: int, rate: float | None) -> int:
    """Redrive dead letters; return the exit code."""
    run = _Execution(settings, order, "redrive")
    topic = run.topic

    def by(resolutions: Resolutions) -> Judge:
        return lambda letter: judge(letter, resolutions, topic.owner, topic.live, at_most)

    return run.run(by, rate)


def discard_(settings: ReplayedSettings, order: Order) -> int:
    """Discard dead letters; return the exit code."""
    run = _Execution(settings, order, "discard")
    owner = run.topic.owner

    def by(resolutions: Resolutions) -> Judge:
        def judged(letter: DeadLetter) -> Verdict:
            resolution = resolutions.of(owner, letter)
            if resolution is None:
                return Verdict(letter.name, Disposition.DISCARDED, count=letter.headers.redriven)
            return Verdict(letter.name, Disposition.RESOLVED, why=f"it is already {resolution['action'].lower()}")

        return judged

    return run.run(by)


def _print_verdict(verdict: Verdict) -> None:
    match verdict.disposition:
        case Disposition.SENT:
            again = f" (redriven {verdict.count}x with this)" if verdict.count > 1 else ""
            click.echo(f"{verdict.name} goes to {verdict.topic}{again}")
        case Disposition.DISCARDED:
            click.echo(f"{verdict.name} is discarded")
        case Disposition.RESOLVED:
            click.echo(f"{verdict.name} is skipped: {verdict.why}")
        case _:
            click.echo(f"{verdict.name} is refused: {plain(verdict.why, _LONGEST)}")


def _print_nothing(_: Verdict) -> None:
    pass


def _sentence(summary: Summary, *, would: bool = False) -> str:
    """Return the summary as a sentence; with `would`, that of a dry run."""
    counts = summary.dispositions
    words = [f"{count:,} {'to go' if would else 'sent'} to {topic}" for topic, count in sorted(summary.topics.items())]
    if counts[Disposition.DISCARDED]:
        words.append(f"{counts[Disposition.DISCARDED]:,} {'to be discarded' if would else 'discarded'}")
    if counts[Disposition.RESOLVED]:
        words.append(f"{counts[Disposition.RESOLVED]:,} already resolved")
    if summary.refused:
        words.append(f"{len(summary.refused):,} refused")
    text = ", ".join(words) or "nothing to do"
    return text[0].upper() + text[1:] + "."


def _as_json(summary: Summary, *, would: bool) -> dict[str, object]:
    return {
        "dryRun": would,
        **{str(disposition): summary.dispositions[disposition] for disposition in Disposition},
        "topics": dict(sorted(summary.topics.items())),
        "refused": [
            {"letter": str(one.name), "outcome": str(one.disposition), "count": one.count, "why": one.why}
            for one in summary.refused
        ],
        "marksForgotten": summary.forgotten,
    }
