"""The record of the join's windows at a start that changes them, for replays of the time before."""

import logging
from collections.abc import Mapping

from pipeline.cli.times import shown
from pipeline.kafka.admin import connect
from pipeline.kafka.join_windows import as_variables, windows_of
from pipeline.kafka.offsets import GroupOffset, OffsetLookup, OffsetRange, group_offsets
from pipeline.kafka.reader import Reader
from pipeline.model.join_windows import Recorded
from streams.join.settings import JoinSettings
from streams.replay.jobs import Jobs
from tracelink.kafka.client import Properties
from tracelink.kafka.topics import PartitionId, TopicNames

_log = logging.getLogger(__name__)

_ONE_RECORD: Properties = {"queued.min.messages": 1, "max.partition.fetch.bytes": 1024}


def record_windows(settings: JoinSettings) -> None:
    """Record the windows of the live join, unless they are those that it recorded last; raises UserError.

    They hold from the first record that the group still needs: it joins again the parts that are open.
    """
    jobs, mine = Jobs(settings), windows_of(settings)
    known = jobs.windows()
    if known and known[-1].windows == mine:
        return
    now = jobs.now()
    since = _first_needed(settings, now)
    jobs.record(Recorded(since, now, mine))
    words = " ".join(f"{name}={value}" for name, value in as_variables(mine).items())
    _log.info("recorded the windows that hold from stream time %s: %s", shown(since), words)


def _first_needed(settings: JoinSettings, now: int) -> int:
    """Return the stream time of the first record that the group has to read, `now` if none, 0 for a new group."""
    names, lookup = TopicNames(settings.topic_prefix), OffsetLookup(connect(settings))
    inputs = [one for topic in (names.spans, names.logs) for one in lookup.partitions(topic)]
    committed = group_offsets(settings, settings.group, inputs)
    if all(one.offset < 0 for one in committed.values()):
        return 0
    with Reader(settings, f"{names.prefix}windows", _unread(lookup, committed), defaults=_ONE_RECORD) as reader:
        times = [now]
        while reader.unread:
            for partition, messages in reader.poll():
                reader.finish(partition)
                times.append(messages[0].timestamp()[1])
    return min(times)


def _unread(lookup: OffsetLookup, committed: Mapping[PartitionId, GroupOffset]) -> dict[PartitionId, OffsetRange]:
    begins, ends = lookup.begins(committed), lookup.ends(committed)
    starts = {one: max(found.offset, begins[one]) for one, found in committed.items()}
    return {one: OffsetRange(start, ends[one]) for one, start in starts.items() if start < ends[one]}
