"""The progress of a job: its copy, its join and its sinks, by the committed offsets of their groups."""

from collections.abc import Iterable
from dataclasses import dataclass

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from pipeline.kafka.admin import member_ids
from pipeline.kafka.offsets import OffsetLookup, group_offsets
from streams.replay.copy import Copied, progress_of
from streams.replay.jobs import Stored
from tracelink.errors import UserError
from tracelink.kafka.topics import TopicNames
from tracelink.settings import KafkaSettings

_TIMEOUT = 10.0
# After the last record of a partition come its end marker and the transaction's commit marker.
_MARKERS = 2
_SINK = "sink-"


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a job: messages done, and their total so far; `running` is True while its group has members."""

    name: str
    done: int
    total: int
    running: bool = False


@dataclass(frozen=True, slots=True)
class JobStatus:
    """The progress of a job."""

    copied: Copied
    stages: tuple[Stage, ...]
    """The join, and the sinks that have started."""


class Observer:
    """Reads the progress of jobs; raises UserError."""

    def __init__(self, settings: KafkaSettings, admin: AdminClient) -> None:
        self._live = TopicNames(settings.topic_prefix)
        self._admin = admin
        self._settings = settings
        self._lookup = OffsetLookup(admin)

    def status(self, stored: Stored) -> JobStatus:
        """Return the progress of a job."""
        names = self._live.of_job(stored.job["name"])
        offset_ranges = stored.offset_ranges()
        copied = progress_of(
            offset_ranges, group_offsets(self._settings, names.job_group("copy"), offset_ranges, stable=False)
        )
        groups = self.groups(stored.job["name"])
        stages = [self._stage("join", names, (names.spans, names.logs), groups)]
        for group in sorted(groups):
            stage = group.removeprefix(names.prefix)
            if stage.startswith(_SINK):
                unlinked = (names.unlinked_logs,) if stage.startswith("sink-elasticsearch") else ()
                stages.append(self._stage(stage, names, (names.traces, *unlinked), groups))
        return JobStatus(copied, tuple(stages))

    def groups(self, job: str) -> dict[str, bool]:
        """Return the groups of a job; the value is True if the group has members."""
        prefix = self._live.of_job(job).prefix
        try:
            listed = self._admin.list_consumer_groups(request_timeout=_TIMEOUT).result().valid or []
            names = [one.group_id for one in listed if one.group_id.startswith(prefix)]
            return {name: bool(member_ids(self._admin, name)) for name in names}
        except KafkaException as error:
            raise UserError(f"Cannot list the consumer groups of Kafka: {error.args[0].str()}.") from None

    def _stage(self, stage: str, names: TopicNames, topics: Iterable[str], groups: dict[str, bool]) -> Stage:
        there = self._lookup.topics()
        # After an interrupted delete, a job lacks some of its topics.
        partitions = [one for topic in topics if topic in there for one in self._lookup.partitions(topic)]
        if not partitions:
            return Stage(stage, 0, 0)
        begins, ends = self._lookup.begins(partitions), self._lookup.ends(partitions)
        group = names.job_group(stage)
        found = group_offsets(self._settings, group, partitions, stable=False)
        total = {one: max(0, ends[one] - begins[one] - _MARKERS) for one in partitions}
        done = {one: max(0, found[one].offset - begins[one]) for one in partitions}
        return Stage(
            stage,
            sum(min(done[one], total[one]) for one in partitions),
            sum(total.values()),
            groups.get(group, False),
        )
