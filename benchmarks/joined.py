"""Topics full of joined traces, as the join writes them: the load of the sinks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from confluent_kafka.admin import AdminClient

from benchmarks.load import PARTITIONS, Message, held, renew, send
from benchmarks.traffic import Template, records_in, stream
from pipeline.kafka.admin import apply
from pipeline.model.splice import splice
from pipeline.settings import TopicSettings
from tracelink.kafka.topics import TopicNames
from tracelink.model.codec import HEADER_BYTES

_OPENED = 1_700_000_000_000  # milliseconds: when the traces of `traffic` begin


@dataclass(frozen=True, slots=True)
class Joined:
    """Traces of one part each, in the topic `traces` under a prefix of their own; made only once and kept.

    They are made of the templates in turn, each under a fresh id.
    """

    name: str
    templates: Callable[[], Sequence[Template]]
    traces: int

    @property
    def prefix(self) -> str:
        """The prefix of the topics' names."""
        return f"bench.{self.name}."

    def ensure(self, kafka: str, say: Callable[[str], None]) -> tuple[int, int, int]:
        """Make the traces if they do not exist yet; returns the counts of their spans, log lines and parts."""
        topic = TopicNames(self.prefix).traces
        templates = self.templates()
        spans, logs = records_in(templates, self.traces)
        if held(kafka, topic) != self.traces:
            say(f"making the load {self.name}: {self.traces:,} traces of {spans:,} spans and {logs:,} log lines, once")
            admin = AdminClient({"bootstrap.servers": kafka})
            renew(admin, [topic])
            apply(
                admin,
                TopicSettings.load(kafka_bootstrap_servers=kafka, topic_prefix=self.prefix, partitions=PARTITIONS),
            )
            send(kafka, (Message(topic, key, value) for key, value in spliced(templates, self.traces)))
        return spans, logs, self.traces


def spliced(templates: Sequence[Template], traces: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the key and the message of each of `traces` traces, always the same bytes."""
    records = stream(templates, traces, gap=0)  # one trace after another
    for number, (key, group) in enumerate(groupby(records, attrgetter("key"))):
        trace = list(group)
        flags = 0
        for record in trace:
            flags |= record.value[HEADER_BYTES]
        value = splice(
            flags=flags,
            trace_id=bytes.fromhex(key.decode()),
            name=f"s0-{number}",
            opened=_OPENED,
            closed=_OPENED + 5000,
            reason=0,
            spans=[record.value for record in trace if record.is_span],
            logs=[record.value for record in trace if not record.is_span],
        )
        yield key, value
