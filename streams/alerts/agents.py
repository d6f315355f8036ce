"""The Faust agents that find where errors began, and group them into problems.

Each owns what it works with and takes one request after the other from its channel, so nothing of it needs a lock. The
channels are in memory: reading the topics, and writing what the agents answer, is the worker's.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillWorking
from dataclasses import dataclass
from threading import Event
from typing import Any, NamedTuple, TypeVar

import faust

from pipeline.model import splice
from pipeline.model.problems import Occurrence, Problem
from streams.alerts.fingerprint import Fields
from streams.alerts.occurrence import occurrence
from streams.alerts.problems import Changes, Limits, Match, Problems
from streams.worker.sessions import Stopped
from tracelink.errors import InvalidRecord, Reason

_TICK = 0.2
_Answer = TypeVar("_Answer")


class Arrived(NamedTuple):
    """An occurrence, the number of the partition that it came in, and when it came there, in milliseconds."""

    number: int
    time: int
    occurrence: Occurrence


@dataclass(frozen=True, slots=True)
class Restore:
    """From here on these partitions are the worker's, their problems as they were written last."""

    states: Mapping[int, Sequence[Problem]]


@dataclass(frozen=True, slots=True)
class Observe:
    """What has arrived, and the partitions that have nothing more: for those it is now.

    What has changed is asked for where `due`; before, only of partitions where there is an alert.
    """

    arrived: Sequence[Arrived] = ()
    ended: Sequence[int] = ()
    now: int = 0
    due: bool = True


@dataclass(frozen=True, slots=True)
class Grouped:
    """What is to be written for each partition, and how many problems fire, of how many that are known."""

    changes: Mapping[int, Changes]
    settled: frozenset[int]
    """Partitions of which this is all: what was taken in of others is still to be written."""
    firing: int
    known: int


Located = Occurrence | InvalidRecord


class Agents:
    """The agents of an app; the methods may be called from another thread, once the app runs."""

    def __init__(
        self,
        app: faust.App,
        stopping: Event,
        *,
        fields: Callable[[], Fields],
        redact: Callable[[str], str],
        match: Match,
        limits: Limits,
    ) -> None:
        self._stopping = stopping
        self._fields = fields
        self._redact = redact
        self._match = match
        self._limits = limits
        self._app = app
        self._errored = app.channel()
        self._errors = app.channel()
        # Channels wait for Faust's own consumer to have partitions; there is none.
        app.flow_control.resume()
        app.agent(self._errored, name="locate")(self._locate)
        app.agent(self._errors, name="group")(self._group)

    def locate(self, messages: Sequence[bytes]) -> list[Located]:
        """Reduce errored traces to where their errors began; what cannot be read says why."""
        located: list[Located] = self._ask(self._errored, messages)
        return located

    def restore(self, states: Mapping[int, Sequence[Problem]]) -> Grouped:
        """Take partitions over, and let go of all others."""
        grouped: Grouped = self._ask(self._errors, Restore(states))
        return grouped

    def group(self, request: Observe) -> Grouped:
        """Take occurrences in, and let time pass where nothing more has arrived."""
        grouped: Grouped = self._ask(self._errors, request)
        return grouped

    def _ask(self, channel: Any, request: object) -> Any:  # noqa: ANN401 - Faust's channels have no types
        answer: Future[Any] = Future()
        asyncio.run_coroutine_threadsafe(channel.put((request, answer)), self._app.loop)
        while True:
            try:
                return answer.result(_TICK)
            except StillWorking:
                if self._stopping.is_set():
                    raise Stopped from None  # the agents may have ended before

    async def _locate(self, requests: faust.StreamT[Any]) -> None:
        async for messages, answer in requests:
            _settle(answer, lambda: [self._located(message) for message in messages])  # noqa: B023 - called at once

    async def _group(self, requests: faust.StreamT[Any]) -> None:
        problems: dict[int, Problems] = {}
        async for request, answer in requests:
            if isinstance(request, Restore):
                problems = {
                    number: Problems(self._match, self._limits, states) for number, states in request.states.items()
                }
                request = Observe()  # noqa: PLW2901 - nothing has arrived yet
            _settle(answer, lambda: _grouped(problems, request))  # noqa: B023 - called at once

    def _located(self, message: bytes) -> Located:
        try:
            decoded = splice.decode(message)
        except InvalidRecord as error:
            return error
        found = occurrence(decoded.trace, self._fields(), self._redact)
        return found or InvalidRecord(Reason.BODY, "none of its errored records can be read")


def _grouped(problems: Mapping[int, Problems], request: Observe) -> Grouped:
    for number, time, found in request.arrived:
        problems[number].observe(found, time)
    for number in request.ended:
        problems[number].advance(request.now)
    changes = {
        number: one.drain() for number, one in problems.items() if one.tells or (request.due and not one.settled)
    }
    return Grouped(
        changes,
        frozenset(number for number, one in problems.items() if one.settled),
        sum(one.firing for one in problems.values()),
        sum(map(len, problems.values())),
    )


def _settle(answer: "Future[_Answer]", work: Callable[[], _Answer]) -> None:
    """Answer with the outcome of some work: whoever asked hears of its failure, and the agent lives on."""
    try:
        answer.set_result(work())
    except Exception as error:  # noqa: BLE001 - it is raised where the answer is asked for
        answer.set_exception(error)
