"""Creation of topics, and checks that the live topics meet the requirements of `topic_specs.py`."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from pipeline.kafka.topic_specs import RECORD_OVERHEAD_BYTES, Spec, durable, specs
from pipeline.settings import JoinTopicSettings, TopicSettings, names_of
from tracelink.errors import UserError
from tracelink.kafka import errors
from tracelink.kafka.client import client_log, client_properties, property_hint
from tracelink.kafka.topics import TopicNames
from tracelink.settings import KafkaSettings, flag_of

_TIMEOUT = 30.0
_MEMBERS_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Violation:
    """A topic setting that does not meet a requirement; `mend` is the value that does."""

    topic: str
    setting: str
    live: str
    needed: str
    mend: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.setting} is {self.live}, required: {self.needed}"


@dataclass(frozen=True, slots=True)
class _Live:
    partitions: int
    settings: dict[str, str]


def _live(admin: AdminClient, names: Iterable[str]) -> dict[str, _Live]:
    """Return those of the topics that exist."""
    metadata = admin.list_topics(timeout=_TIMEOUT).topics
    existing = [name for name in names if name in metadata]
    futures = (
        admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in existing]) if existing else {}
    )
    return {
        resource.name: _Live(
            len(metadata[resource.name].partitions),
            {name: str(entry.value) for name, entry in future.result(_TIMEOUT).items()},
        )
        for resource, future in futures.items()
    }


def check(admin: AdminClient, settings: KafkaSettings, topics: Iterable[str] | None = None) -> list[Violation]:
    """Return the violations of all topics, or of `topics`, missing topics included.

    Some requirements depend on settings and are checked only with these: sizes and the retention of the journal with
    `JoinTopicSettings`, min.insync.replicas with `TopicSettings`.
    """
    known = {spec.name: spec for spec in specs(settings)}
    wanted = list(known.values()) if topics is None else [known[name] for name in topics]
    at_least = durable(settings.replication) if isinstance(settings, TopicSettings) else {}
    live = _live(admin, (spec.name for spec in wanted))
    most = max((live[spec.name].partitions for spec in wanted if spec.inputs and spec.name in live), default=0)
    found: list[Violation] = []
    for spec in wanted:
        topic = live.get(spec.name)
        if topic is None:
            found.append(Violation(spec.name, "topic", "missing", "present", ""))
        else:
            found += _broken(spec, topic, most, spec.at_least | at_least)
    return found + (_short_journal(live, settings) if isinstance(settings, JoinTopicSettings) else [])


def _broken(spec: Spec, topic: _Live, most: int, at_least: Mapping[str, int]) -> Iterator[Violation]:
    """Yield the violations of a topic; `most` is the greatest number of partitions of an input."""
    if spec.inputs and topic.partitions != most:
        needed = f"{most}, as its co-partitioned topics"
        yield Violation(spec.name, "partitions", str(topic.partitions), needed, str(most))
    for name, value in spec.required.items():
        if topic.settings.get(name) != value:
            yield Violation(spec.name, name, topic.settings.get(name, "unknown"), value, value)
    for name, least in at_least.items():
        if not _reaches(topic.settings.get(name, "0"), least):
            yield Violation(spec.name, name, topic.settings.get(name, "unknown"), f"at least {least}", str(least))


def _short_journal(live: dict[str, _Live], settings: JoinTopicSettings) -> list[Violation]:
    """Return a violation if the journal's retention is shorter than that of the inputs: recovery needs both."""
    names = names_of(settings)
    journal = live.get(names.journal(settings.join_group))
    needed = [live[name].settings["retention.ms"] for name in (names.spans, names.logs) if name in live]
    if journal is None or not needed:
        return []
    longest = "-1" if "-1" in needed else max(needed, key=int)
    kept = journal.settings["retention.ms"]
    if kept == "-1" or (longest != "-1" and int(kept) >= int(longest)):
        return []
    return [Violation(names.journal(settings.join_group), "retention.ms", kept, f"{longest}, as the inputs", longest)]


def _reaches(live: str, needed: int) -> bool:
    return live == "-1" or (live.isdecimal() and int(live) >= needed)


def no_such_job(name: str) -> UserError:
    """Return the error for an unknown replay job."""
    return UserError(f"There is no replay job {name}. List the jobs with: tracelink replay list")


def require(admin: AdminClient, settings: KafkaSettings, topics: Iterable[str]) -> None:
    """Raise UserError, with the command that fixes it, if one of these topics is missing or has a violation.

    `topics` are those that the process reads and writes; see `check`.
    """
    found = check(admin, settings, topics)
    job = names_of(settings).job
    if job and any(one.setting == "topic" for one in found):
        raise no_such_job(job)
    listed = "; ".join(map(str, found))
    if job and found:
        raise UserError(
            f"The job's topics do not meet the requirements: {listed}. Start over: tracelink replay delete {job}"
        )
    if found:
        raise UserError(f"The topics do not meet the requirements: {listed}. Fix them with: {apply_command(settings)}")


def apply_command(settings: KafkaSettings) -> str:
    """Return the command that fixes the topics of these settings, with flags for names that are not the default."""
    usual = {name: TopicSettings.model_fields[name].default for name in ("topic_prefix", "join_group")}
    flags = [
        f"{flag_of(name)} {given}"
        for name, default in usual.items()
        if (given := getattr(settings, name, default)) != default
    ]
    return " ".join(["tracelink topics apply", *flags])


def apply(admin: AdminClient, settings: TopicSettings) -> list[str]:
    """Create missing topics and correct violations; return one line for each change.

    Other topic settings are not changed: retention, for example, is set at creation and then belongs to the operator.
    """
    wanted = specs(settings)
    live = _live(admin, (spec.name for spec in wanted))
    there = [live[spec.name].partitions for spec in wanted if spec.inputs and spec.name in live]
    partitions = max([settings.partitions, *there])
    missing = [replace(spec, created=_kept(spec, settings) | spec.created) for spec in wanted if spec.name not in live]
    done = _create(admin, [_new(spec, partitions, settings.replication) for spec in missing])
    if done:
        _wait_until_seen("created", lambda: [one for one in check(admin, settings) if one.setting == "topic"])
    elif "partitions" in settings.model_fields_set and max(there) != settings.partitions:
        done = [f"The topics have {max(there)} partitions: --partitions applies only when topics are created."]
    corrected = _correct(admin, check(admin, settings))
    if corrected:
        _wait_until_seen("changed", lambda: check(admin, settings))
    return done + corrected


def _kept(spec: Spec, settings: TopicSettings) -> dict[str, str]:
    """Return the retention of a new topic."""
    kept = settings.joined_retention if spec.joined and settings.joined_retention else settings.retention
    return {"retention.ms": str(round(kept * 1000))}


def create_job(admin: AdminClient, settings: JoinTopicSettings, counts: Mapping[str, int]) -> None:
    """Create the missing topics of a replay job, with the replicas and message sizes of the live topics.

    `settings` are those of the job's join. `counts` is the number of partitions of each live input. The topics have no
    retention limit. Raises UserError.
    """
    live_names, names = TopicNames(settings.topic_prefix), names_of(settings)
    metadata = admin.list_topics(timeout=_TIMEOUT).topics
    inputs = (live_names.spans, live_names.logs, live_names.unlinked_logs)
    for name in inputs:
        if name not in metadata:
            raise UserError(f"Kafka has no topic {name}. Create the topics with: {apply_command(settings)}")
    replicas = len(metadata[live_names.spans].partitions[0].replicas)
    largest = {name: int(live.settings["max.message.bytes"]) for name, live in _live(admin, inputs).items()}
    new = []
    for spec in specs(settings):
        partitions = counts[live_names.unlinked_logs if spec.name == names.unlinked_logs else live_names.spans]
        original = largest.get(live_names.prefix + spec.name.removeprefix(names.prefix), 0)
        # A copy has one more header than its original.
        largest_copy = max(spec.at_least["max.message.bytes"], original + RECORD_OVERHEAD_BYTES)
        larger = replace(spec, at_least=spec.at_least | {"max.message.bytes": largest_copy})
        if spec.name not in metadata:
            new.append(_new(larger, partitions, replicas))
    _create(admin, new)
    _wait_until_seen("created", lambda: check(admin, settings))


def _new(spec: Spec, partitions: int, replication: int) -> NewTopic:
    at_least = {name: str(value) for name, value in (spec.at_least | durable(replication)).items()}
    return NewTopic(
        spec.name,
        num_partitions=partitions,
        replication_factor=replication,
        config={**spec.created, **spec.required, **at_least},
    )


def _create(admin: AdminClient, new: list[NewTopic]) -> list[str]:
    done: list[str] = []
    futures = admin.create_topics(new, operation_timeout=_TIMEOUT) if new else {}
    for topic in new:
        try:
            futures[topic.topic].result(_TIMEOUT)
            done.append(f"{topic.topic}: created with {topic.num_partitions} partitions")
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise UserError(f"Cannot create the topic {topic.topic}: {error.args[0].str()}") from None
            done.append(f"{topic.topic}: another process has created it")
    return done


def _correct(admin: AdminClient, violations: list[Violation]) -> list[str]:
    changes: dict[str, list[ConfigEntry]] = {}
    for one in violations:
        if one.setting == "partitions":
            admin.create_partitions([NewPartitions(one.topic, int(one.mend))])[one.topic].result(_TIMEOUT)
        else:
            entry = ConfigEntry(one.setting, one.mend, incremental_operation=AlterConfigOpType.SET)
            changes.setdefault(one.topic, []).append(entry)
    resources = [
        ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries) for topic, entries in changes.items()
    ]
    for resource, future in (admin.incremental_alter_configs(resources) if resources else {}).items():
        try:
            future.result(_TIMEOUT)
        except KafkaException as error:
            raise UserError(f"Cannot change the topic {resource.name}: {error.args[0].str()}") from None
    return [f"{one.topic}: {one.setting} set to {one.mend}" for one in violations]


def _wait_until_seen(what: str, left: Callable[[], list[Violation]]) -> None:
    """Wait until the brokers show the change; until then a process that starts now would not see it."""
    remaining = Retrying(
        retry=retry_if_result(bool),
        wait=wait_fixed(0.1),
        stop=stop_after_delay(_TIMEOUT),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )(left)
    if remaining:
        raise UserError(f"The brokers do not show the topics as {what}: {'; '.join(map(str, remaining))}")


def member_ids(admin: AdminClient, group: str) -> set[str]:
    """Return the ids of a group's members, none if there is no such group. Raises KafkaException.

    The successor of this call, `describe_consumer_groups`, aborts the process after a time-out (librdkafka 2.16).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = admin.list_groups(group, timeout=_MEMBERS_TIMEOUT)
    return {str(member.id) for one in found for member in one.members}


def connect(settings: KafkaSettings, *, timeout: float = 10.0) -> AdminClient:
    """Return an admin client after a broker answered; raises UserError with the cause if none does in `timeout` s."""
    seen: list[KafkaError] = []
    try:
        properties: dict[str, Any] = {**client_properties(settings), "error_cb": seen.append, "log_level": 0}
        admin = AdminClient(properties, logger=client_log(__name__))
    except KafkaException as error:
        raise UserError(_explain(settings, error.args[0], seen)) from None
    try:
        admin.list_topics(timeout=timeout)
    except KafkaException as error:
        admin.poll(0)  # calls error_cb with the errors of the attempts
        raise UserError(_explain(settings, error.args[0], seen)) from None
    return admin


def _explain(settings: KafkaSettings, error: KafkaError, seen: list[KafkaError]) -> str:
    where = f"Kafka at {settings.kafka_bootstrap_servers} (TRACELINK_KAFKA_BOOTSTRAP_SERVERS)"
    if error.code() == errors.INVALID_ARG:
        return property_hint(error)
    causes = {one.code(): one for one in seen}
    for code, what in _CAUSES.items():
        if code in causes:
            return f"{where} {what}: {causes[code].str()}"
    return f"{where} does not answer: {error.str()}. Is it running? `tracelink stack up` starts one on this machine."


# In order of precedence.
_CAUSES = {
    errors.AUTHENTICATION: "rejects the credentials",
    errors.SSL: "cannot be reached over TLS",
    errors.RESOLVE: "cannot be found",
}
