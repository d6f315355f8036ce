"""The window settings that the join has recorded, in the topic of the replay jobs, and those that a user gives."""

import logging
from collections.abc import Container, Mapping, Sequence

from pipeline.kafka.admin import connect
from pipeline.kafka.compacted import Newest
from pipeline.kafka.offsets import OffsetLookup
from pipeline.kafka.reader import Reader
from pipeline.model.join_windows import JoinWindows, Period, Recorded, history, others, under
from tracelink.errors import InvalidRecord, UserError
from tracelink.kafka.topics import TopicNames
from tracelink.settings import KafkaSettings, variable_of

_log = logging.getLogger(__name__)

RECORDED = b"/windows/"
"""The keys of records begin with this; the stream time follows. No job's name has a slash."""

# The fields by setting, and their units in one of the setting's.
_FIELDS = {
    "idle_gap": ("idle_gap", 1000),
    "max_age": ("max_age", 1000),
    "root_grace": ("root_grace", 1000),
    "max_trace_records": ("max_records", 1),
    "max_trace_bytes": ("max_bytes", 1),
}
_SETTINGS = {field: (name, unit) for name, (field, unit) in _FIELDS.items()}


def read_windows(settings: KafkaSettings) -> list[Recorded]:
    """Return the history of the windows; none if there is no topic yet. Raises UserError."""
    topic = TopicNames(settings.topic_prefix).jobs
    lookup = OffsetLookup(connect(settings))
    if topic not in lookup.topics():
        return []
    with Reader(settings, f"{topic}.windows", lookup.whole(topic)) as reader:
        return windows_in(Newest.of(reader.messages()))


def windows_in(newest: Mapping[bytes, bytes]) -> list[Recorded]:
    """Return the history in the topic's contents; invalid records are logged and skipped."""
    found: list[Recorded] = []
    for key, value in newest.items():
        if key.startswith(RECORDED):
            try:
                found.append(Recorded.decode(value))
            except InvalidRecord as error:
                _log.warning("recorded windows are invalid and are skipped: %s: %s", key, error)
    return history(found)


def key_of(recorded: Recorded) -> bytes:
    """Return the key of a record."""
    return RECORDED + str(recorded.since).encode()


def windows_of(settings: KafkaSettings) -> JoinWindows:
    """Return the windows of a join's settings."""
    return JoinWindows(**{field: round(getattr(settings, name) * unit) for name, (field, unit) in _FIELDS.items()})


def given_windows(settings: KafkaSettings) -> dict[str, int]:
    """Return the windows that a user gives, by flag or variable, by the names of the fields."""
    given = settings.model_fields_set
    return {field: round(getattr(settings, name) * unit) for name, (field, unit) in _FIELDS.items() if name in given}


def as_settings(windows: JoinWindows, among: Container[str] = frozenset(_FIELDS)) -> dict[str, float | int]:
    """Return windows as values of settings, by name: those `among` the names."""
    return {
        name: getattr(windows, field) / unit if unit > 1 else getattr(windows, field)
        for name, (field, unit) in _FIELDS.items()
        if name in among
    }


def as_variables(windows: JoinWindows) -> dict[str, str]:
    """Return windows as environment variables."""
    return {variable_of(name): f"{value:.15g}" for name, value in as_settings(windows).items()}


def resolved(found: Sequence[Period], given: Mapping[str, int], *, beside: bool) -> list[Period]:
    """Return the periods with the windows to use: the recorded ones, and the given ones where none are recorded.

    Raises UserError if others are given than were recorded, unless the documents are written `beside` the live ones.
    """
    for one in found:
        if one.is_recorded and not beside and (wrong := others(one.windows, given)):
            field = next(iter(wrong))
            name, unit = _SETTINGS[field]
            raise UserError(
                f"{variable_of(name)} is {wrong[field] / unit:g}, but the join ran with "
                f"{getattr(one.windows, field) / unit:g} in this range, and other windows make other parts. Leave it "
                "out; or give --index-suffix, to write other documents beside the live ones."
            )
    return under(found, given)


def refuse_other_windows(job: str, windows: JoinWindows, given: Mapping[str, int]) -> None:
    """Raise UserError if others are given than those of a replay job."""
    if wrong := others(windows, given):
        field = next(iter(wrong))
        name, unit = _SETTINGS[field]
        value = f"{getattr(windows, field) / unit:g}"
        raise UserError(
            f"The job {job} was copied for {variable_of(name)}={value}, but the setting is {wrong[field] / unit:g}: "
            f"leave it out, or use --{name.replace('_', '-')} {value}."
        )
