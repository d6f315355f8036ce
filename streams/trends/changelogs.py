"""The changelogs of the curves: topics that must have the partitions of the topic that is counted."""

from collections.abc import Mapping

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from pipeline.kafka.topic_specs import COMPACTED, SHORT_SEGMENTS, durable
from tracelink.errors import UserError

_TIMEOUT = 30.0


def prepare(admin: AdminClient, sources: Mapping[str, str]) -> dict[str, int]:
    """Create missing changelogs, and add missing partitions; `sources` has the counted topic of each changelog.

    Returns the number of partitions of each changelog. Raises UserError.
    """
    found = admin.list_topics(timeout=_TIMEOUT).topics
    counts: dict[str, int] = {}
    for changelog, source in sources.items():
        partitions = found[source].partitions
        counts[changelog] = len(partitions)
        have = len(found[changelog].partitions) if changelog in found else 0
        if have > len(partitions):
            raise UserError(
                f"The topic {changelog} has {have} partitions, more than {source}, which has {len(partitions)}: delete "
                f"{changelog}, or choose another group with --trends-group."
            )
        try:
            if have == 0:
                replicas = len(partitions[0].replicas)
                least = {name: str(value) for name, value in durable(replicas).items()}
                new = NewTopic(changelog, len(partitions), replicas, config={**COMPACTED, **SHORT_SEGMENTS, **least})
                admin.create_topics([new], operation_timeout=_TIMEOUT)[changelog].result(_TIMEOUT)
            elif have < len(partitions):
                wanted = NewPartitions(changelog, len(partitions))
                admin.create_partitions([wanted], operation_timeout=_TIMEOUT)[changelog].result(_TIMEOUT)
        except KafkaException as error:
            # Another worker that starts at the same time has done it.
            if error.args[0].code() not in {KafkaError.TOPIC_ALREADY_EXISTS, KafkaError.INVALID_PARTITIONS}:
                raise UserError(f"Cannot make the topic {changelog}: {error.args[0].str()}") from None
    return counts
