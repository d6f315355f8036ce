"""Dead letters, and a pipeline's topics that they lie in."""

import json
import time
from collections.abc import Mapping
from typing import Any

from click.testing import CliRunner, Result
from confluent_kafka import Message, Producer, TopicPartition

from pipeline.cli.root import main
from pipeline.kafka.admin import apply, connect, create_job
from pipeline.kafka.offsets import OffsetLookup
from pipeline.model.dead_letters import DeadLetterHeaders, Origin, headers
from pipeline.settings import TopicSettings
from streams.dead_letters.dead_letter import DeadLetter, Name
from streams.join.settings import JoinSettings
from tests.kit.kafka import read_all
from tests.kit.waiting import wait_for
from tracelink.errors import InvalidRecord, Reason, UserError
from tracelink.kafka.topics import TopicNames

NAMES = TopicNames("t.")
FIRST = Name(0, 0)
START = 1_790_000_000_000


def letter(
    payload: bytes | None = b"?",
    *,
    key: bytes | None = b"k",
    name: Name = FIRST,
    timestamp: int = START,
    reason: Reason = Reason.BODY,
    detail: str = "",
    topic: str = NAMES.spans,
    sink: str | None = None,
    kind: str | None = None,
    **more: str,
) -> DeadLetter:
    """Return a letter; `more` are further headers, in the spelling of Python."""
    found = headers(InvalidRecord(reason, detail), Origin(topic, 3, 4711, START - 1), sink=sink, kind=kind)
    texts = {header: value.decode() for header, value in found}
    texts |= {f"tracelink.{header.replace('_', '-')}": value for header, value in more.items()}
    return DeadLetter(name, timestamp, DeadLetterHeaders.parse(texts), key, payload, len(payload or b""))


class Pipeline:
    """The topics of a test, and the commands on their dead letters."""

    def __init__(self, kafka: str, prefix: str, *, partitions: int = 2, job: str | None = None) -> None:
        self.kafka = kafka
        self.live = TopicNames(prefix)
        self.names = self.live.of_job(job) if job else self.live
        self.environment = {
            "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": kafka,
            "TRACELINK_TOPIC_PREFIX": prefix,
            "TRACELINK_JOIN_GROUP": f"{prefix}join",
        }
        where = {"kafka_bootstrap_servers": kafka, "topic_prefix": prefix, "join_group": f"{prefix}join"}
        admin = self._admin = connect(TopicSettings.load(**where))
        apply(admin, TopicSettings.load(partitions=partitions, **where))
        if job:
            live_inputs = (self.live.spans, self.live.logs, self.live.unlinked_logs)
            create_job(admin, JoinSettings.load(replay=job, **where), dict.fromkeys(live_inputs, partitions))
        lookup = OffsetLookup(admin)

        def led() -> bool:
            """Tell whether the new topics' leaders know that they are."""
            try:
                for topic in (self.names.dead_letters, self.live.resolutions):
                    lookup.ends(lookup.partitions(topic))
            except UserError:
                return False
            return True

        wait_for("the topics' leaders", led)
        self._producer = Producer({"bootstrap.servers": kafka})

    def bury(self, buried: DeadLetter, *, partition: int = 0, timestamp: int | None = None) -> str:
        """Put a letter into the topic of dead letters; returns its name."""
        places: list[Message] = []
        self._producer.produce(
            self.names.dead_letters,
            buried.payload,
            buried.key,
            partition,
            headers=[(name, value.encode()) for name, value in buried.headers.texts.items()],
            on_delivery=lambda error, message: places.append(message) if error is None else None,
            timestamp=timestamp or time.time_ns() // 1_000_000,
        )
        assert self._producer.flush(20) == 0
        (place,) = places
        return f"{place.partition()}-{place.offset()}"

    def run(self, *arguments: str, text: str | None = None) -> Result:
        """Run `tracelink dead-letters ARGUMENTS`."""
        return CliRunner().invoke(main, ["dead-letters", *arguments], env=self.environment, input=text)

    def listed(self, *arguments: str) -> list[dict[str, Any]]:
        done = self.run("list", "--json", *arguments)
        assert done.exit_code == 0, done.output
        return [json.loads(line) for line in done.stdout.splitlines()]

    def open(self, *arguments: str) -> list[str]:
        """Return the names of the open letters."""
        return [one["letter"] for one in self.listed(*arguments)]

    def redrive(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Redrive without being asked; returns the summary."""
        return self._settled("redrive", *arguments, code=code)

    def discard(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        return self._settled("discard", *arguments, code=code)

    def messages(self, topic: str) -> list[tuple[bytes | None, bytes | None]]:
        return [(message.key(), message.value()) for message in read_all(self.kafka, topic)]

    def resolutions(self) -> Mapping[bytes | None, bytes | None]:
        """Return the newest record of each key of the marks."""
        return dict(self.messages(self.live.resolutions))

    def pass_retention(self, offset: int) -> None:
        """Delete the letters of partition 0 before an offset, as retention does."""
        (future,) = self._admin.delete_records([TopicPartition(self.names.dead_letters, 0, offset)]).values()
        future.result(20)

    def _settled(self, command: str, *arguments: str, code: int) -> dict[str, Any]:
        done = self.run(command, "--yes", "--json", *arguments)
        assert done.exit_code == code, done.output
        summary: dict[str, Any] = json.loads(done.stdout)
        return summary
