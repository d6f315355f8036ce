"""A replay from the request to its last record: plans and copies it, and on request joins and writes it."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Event

from confluent_kafka import KafkaError, KafkaException

from pipeline.cli.progress_bar import OnProgress
from pipeline.cli.times import milliseconds_of, shown
from pipeline.kafka.admin import connect, create_job, no_such_job, require
from pipeline.kafka.join_windows import as_settings, given_windows, resolved
from pipeline.kafka.joined import JoinedParts
from pipeline.kafka.offsets import OffsetLookup, group_offsets
from pipeline.kafka.reader import Reader
from pipeline.kafka.topic_specs import specs
from pipeline.model.join_windows import Period, periods
from streams.join.settings import JoinSettings
from streams.replay.copy import Copied, Copier, fence
from streams.replay.jobs import Job, Jobs, Stored
from streams.replay.plan import Plan, Planner, Selection
from streams.replay.stages import Stages
from streams.replay.status import JobStatus, Observer
from streams.replay.trace_selection import joined_keys, partition_of
from streams.worker.sessions import Stopped
from tracelink.errors import UserError
from tracelink.kafka.topics import TopicNames

_LOOK_SECONDS = 2.0
_TIMEOUT = 30.0
_GONE = (KafkaError.GROUP_ID_NOT_FOUND, KafkaError.UNKNOWN_TOPIC_OR_PART)


@dataclass(frozen=True, slots=True)
class Asked:
    """A user's request; `begin` and `end` are time specs as in `pipeline.cli.times`."""

    begin: str | None
    end: str
    keys: frozenset[bytes] | None = None
    errored: bool = False
    services: frozenset[str] = frozenset()
    numbers: frozenset[int] | None = None
    all_partitions: bool = False
    period: Period | None = None
    """The part of the range with the same windows of the join; `Replays.split` sets it."""

    def words(self) -> str:
        """Describe the request in a line."""
        words = []
        if self.keys is not None:
            words.append(f"{len(self.keys):,} trace ids")
        words += ["errored"] if self.errored else []
        words += [f"service {service}" for service in sorted(self.services)]
        if self.numbers is not None:
            words.append(f"partitions {', '.join(map(str, sorted(self.numbers)))}")
        return ", ".join(words) or "all traces"


class NothingSelectedError(UserError):
    """No trace matches the selection."""


class Replays:
    """Plans, copies and runs replays; raises UserError, and Stopped soon after `stopping` is set."""

    def __init__(
        self, settings: JoinSettings, stopping: Event, on_progress: OnProgress, *, beside: bool = False
    ) -> None:
        """`beside`: the documents have names of their own, so the windows may be others than the live join's were."""
        self.given = given_windows(settings)
        self._beside = beside
        # Ignore TRACELINK_REPLAY: it is for a job's workers, and would select that job's topics here.
        self._settings = settings = settings.model_copy(update={"replay": None})
        self._stopping = stopping
        self.notes: list[str] = []
        self._on_progress = on_progress
        self._admin = connect(settings)
        self._lookup = OffsetLookup(self._admin)
        self._names = TopicNames(settings.topic_prefix)
        self._planner = Planner(settings, self._lookup, self._raise_if_stopping)
        self.jobs = Jobs(settings)
        self.observer = Observer(settings, self._admin)

    def split(self, asked: Asked) -> list[Asked]:
        """Resolve the time specs of a request, and cut it where the windows of the join changed."""
        now = round(time.time() * 1000)
        begin, end = (
            0 if text is None else milliseconds_of(text, now, self._settings, self._lookup)
            for text in (asked.begin, asked.end)
        )
        if end <= begin:
            raise UserError(f"--from {shown(begin)} is not before --to {shown(end)}.")
        found = self._without_empty(periods(self.jobs.windows(), begin, end))
        return [replace(asked, period=one) for one in resolved(found, self.given, beside=self._beside)]

    def _without_empty(self, found: list[Period]) -> list[Period]:
        """Return the periods; one before all records that Kafka still has is part of the next one."""
        inputs = [one for topic in (self._names.spans, self._names.logs) for one in self._lookup.partitions(topic)]
        begins = self._lookup.begins(inputs) if found[1:] else {}
        while found[1:] and self._lookup.at(inputs, found[0].end) == begins:
            found = [found[1]._replace(begin=found[0].begin), *found[2:]]
        return found

    def select(self, asked: Asked) -> Selection:
        """Resolve the traces of a request."""
        return self._select(asked, self._period(asked))

    def _period(self, asked: Asked) -> Period:
        """Return the period of a request; raises UserError if `split` makes several of it."""
        if asked.period is not None:
            return asked.period
        periods_asked = [one.period for one in self.split(asked) if one.period is not None]
        if len(periods_asked) > 1:
            raise UserError(f"The windows of the join changed at {shown(periods_asked[1].begin)}.")
        return periods_asked[0]

    def _select(self, asked: Asked, period: Period) -> Selection:
        begin, end, windows, _ = period
        keys, numbers = asked.keys, asked.numbers
        count = len(self._lookup.partitions(self._names.spans))
        if missing := sorted(number for number in numbers or () if not 0 <= number < count):
            raise UserError(f"{self._names.spans} has no partition {missing[0]}: it has {count}, from 0 on.")
        if asked.errored or asked.services:
            settings = self._settings.model_copy(update=as_settings(windows))
            parts = JoinedParts(settings, self._lookup, begin, end)
            found = joined_keys(
                parts,
                errored=asked.errored,
                services=asked.services,
                on_progress=lambda done, total: self.on_progress("looking for traces", done, total),
            )
            keys = found if keys is None else keys & found
            if parts.available_since is not None and parts.available_since > begin:
                self.notes.append(
                    f"Kafka has deleted the join's output before {shown(parts.available_since)}: "
                    "older traces are not found."
                )
        if keys is not None:
            if not keys:
                raise NothingSelectedError("No trace matches the selection in this time range.")
            if not asked.all_partitions:
                mapped = frozenset(partition_of(key, count) for key in keys)
                numbers = mapped if numbers is None else numbers & mapped
                if not numbers:
                    raise UserError("The selected traces are not in the partitions of --partition.")
        return Selection(begin, end, windows.idle_gap, keys, numbers)

    def plan(self, selection: Selection) -> Plan:
        """Work out which records of the inputs to copy."""
        self.on_progress("looking at the range's edges", 0, 0)
        complete_until = self.jobs.now() - round(self._settings.allowance * 1000)
        return self._planner.plan(selection, self._planner.ranges(selection, complete_until), complete_until)

    def create(self, name: str, asked: Asked) -> tuple[Stored, Plan]:
        """Plan a new job, and make its topics."""
        if name in self.jobs.read():
            raise UserError(
                f"There is a replay job {name} already. Resume it: tracelink replay --resume {name}; "
                f"or delete it: tracelink replay delete {name}"
            )
        if self._topics(name):
            raise UserError(
                f"There are topics of a former replay job {name}. Delete them: tracelink replay delete {name}"
            )
        period = self._period(asked)
        selection = self._select(asked, period)
        plan = self.plan(selection)
        stored = Stored(_job(name, asked, plan), selection.keys, period.windows)
        # Before its topics, so that the job can be resumed after any interruption from here on.
        self.jobs.write(stored)
        self._create_topics(stored)
        return stored, plan

    def resume(self, name: str) -> tuple[Stored, Plan | None]:
        """Repeat the plan of a job, unless all is copied; raises UserError if retention has deleted its records."""
        stored = self.jobs.get(name)
        if stored.job["state"] == "COPIED":
            self._require_topics(name)
            return stored, None
        names = self._names.of_job(name)
        begun = group_offsets(self._settings, names.job_group("copy"), stored.offset_ranges(), stable=False)
        if all(one.offset < 0 for one in begun.values()):
            self._create_topics(stored)
            if self._holds_copies(names):
                raise UserError(
                    f"Kafka has lost the copy offsets of the job {name}. Delete it, then start a new one: "
                    f"tracelink replay delete {name}"
                )
        self._require_topics(name)
        self.on_progress("looking at the range's edges", 0, 0)
        plan = self._planner.plan(stored.selection(), stored.ranges(), stored.job["completeUntil"])
        if plan.cut != stored.job["cut"]:
            raise UserError(
                f"Retention has deleted records that the job {name} was planned with: the rest would not match the "
                f"records already copied. Delete it, then start a new one: tracelink replay delete {name}"
            )
        return stored, plan

    def copy(
        self, stored: Stored, plan: Plan | None, rate: float | None, also: Callable[[], object] = lambda: None
    ) -> Copied:
        """Copy the rest of a job, if there is a plan; `also` is called regularly, and may raise to end the copy."""
        job = stored.job
        if plan is None:
            read = sum(offset_range.end - offset_range.start for offset_range in stored.offset_ranges().values())
            return Copied(read, read, job["records"], job["bytes"])

        def on_progress(copied: Copied) -> None:
            also()
            self._on_progress("copying", copied.read, copied.total)

        copier = Copier(
            self._settings,
            job["name"],
            plan,
            rate=rate,
            stopping=self._stopping,
            on_progress=on_progress,
        )
        copied = copier.run()
        if job["state"] != "COPIED":
            self.jobs.update(Job(**(job | {"state": "COPIED", "records": copied.records, "bytes": copied.size})))
        return copied

    def run(self, stored: Stored, plan: Plan | None, rate: float | None, stages: Stages) -> Copied:
        """Copy while the join and the sinks run, and wait until they have drained their inputs."""
        with stages:
            copied = self.copy(stored, plan, rate, also=stages.are_drained)
            while not stages.are_drained():
                if self._stopping.wait(_LOOK_SECONDS):
                    raise Stopped
                with suppress(UserError):  # a failed status lookup must not end the replay
                    self._show(self.observer.status(stored))
        return copied

    def delete(self, name: str) -> list[str]:
        """Delete a job with its topics and groups; returns the topics' names. Raises UserError if it still runs."""
        stored = self.jobs.read().get(name)
        prefix, topics = self._names.of_job(name).prefix, self._topics(name)
        groups = self.observer.groups(name)
        if stored is None and not topics:
            raise no_such_job(name)
        if running := sorted(group.removeprefix(prefix) for group, has_members in groups.items() if has_members):
            raise UserError(f"The job {name} still runs: {', '.join(running)}. End these processes first.")
        try:
            if topics:
                # After this, no copier can write to them.
                fence(self._settings, name, self._stopping)
                _finish(self._admin.delete_topics(topics, operation_timeout=_TIMEOUT))
            if groups:
                _finish(self._admin.delete_consumer_groups(sorted(groups), request_timeout=_TIMEOUT))
        except KafkaException as error:
            raise UserError(f"Cannot delete the topics and groups of the job {name}: {error.args[0].str()}.") from None
        # Last, so that an interrupted delete can be repeated.
        if stored is not None:
            self.jobs.delete(stored.job)
        return topics

    def _topics(self, name: str) -> list[str]:
        prefix = self._names.of_job(name).prefix
        return sorted(one for one in self._lookup.topics() if one.startswith(prefix))

    def _holds_copies(self, names: TopicNames) -> bool:
        """Return True if a job's inputs hold committed records; offsets alone may be of aborted ones."""
        offset_ranges = self._lookup.whole(names.spans) | self._lookup.whole(names.logs)
        with Reader(self._settings, f"{names.prefix}copies", offset_ranges) as reader:
            while reader.unread:
                if reader.poll():
                    return True
        return False

    def _create_topics(self, stored: Stored) -> None:
        counts = Counter(one["topic"] for one in stored.job["inputs"])
        create_job(self._admin, self._of_job(stored.job["name"]), counts)

    def _require_topics(self, name: str) -> None:
        settings = self._of_job(name)
        require(self._admin, settings, [spec.name for spec in specs(settings)])

    def _of_job(self, name: str) -> JoinSettings:
        return self._settings.model_copy(update={"replay": name})

    def _show(self, status: JobStatus) -> None:
        for stage in status.stages:
            self.on_progress(stage.name, stage.done, stage.total)

    def on_progress(self, what: str, done: int, total: int) -> None:
        """Show progress; raises Stopped."""
        self._raise_if_stopping()
        self._on_progress(what, done, total)

    def _raise_if_stopping(self) -> None:
        if self._stopping.is_set():
            raise Stopped


def _finish(deletions: Mapping[str, Future[object]]) -> None:
    """Wait until all are deleted; Kafka may have deleted a group by itself after its last topic."""
    for future in deletions.values():
        try:
            future.result(_TIMEOUT)
        except KafkaException as error:
            if error.args[0].code() not in _GONE:
                raise


def _job(name: str, asked: Asked, plan: Plan) -> Job:
    selection = plan.selection
    return Job(
        name=name,
        created=round(time.time() * 1000),
        completeUntil=plan.complete_until,
        state="COPYING",
        asked=asked.words(),
        begin=selection.begin,
        end=selection.end,
        gap=selection.gap,
        traces=None if selection.keys is None else len(selection.keys),
        numbers=None if selection.numbers is None else sorted(selection.numbers),
        inputs=[
            {
                "topic": topic,
                "partition": number,
                "head": plan.scan_bounds[topic, number].head,
                "start": found.start,
                "end": found.end,
                "tail": plan.scan_bounds[topic, number].tail,
                "limit": found.limit,
            }
            for (topic, number), found in plan.ranges.items()
        ],
        records=0,
        bytes=0,
        cut=plan.cut,
    )
