"""Dead letters of a sink: each goes out once, in a transaction with the offsets of the batch that it was found in."""

from collections.abc import Iterable, Sequence
from threading import Event
from uuid import uuid4

from confluent_kafka import KafkaException, TopicPartition

from pipeline.kafka.offsets import Member
from pipeline.kafka.transactions import Aborted, Transactions, transactional_producer
from pipeline.settings import names_of
from sinks.base.contract import OutgoingDeadLetter
from sinks.base.settings import SinkSettings
from tracelink.errors import Unavailable, UserError

_TIMEOUT = 10.0


class DeadLetters:
    """Produces dead letters of one sink; the connection is made when there is a first one."""

    def __init__(self, settings: SinkSettings, sink: str, group: str, stopping: Event) -> None:
        self._topic = names_of(settings).dead_letters
        self._sink = sink
        self._redact = settings.redactor().redact
        # Two processes never share it. What a dead one left open, the broker undoes after the time-out.
        transactional_id = f"{group}.{uuid4().hex}"
        self._properties = transactional_producer(settings, transactional_id, timeout=_TIMEOUT)
        self._stopping = stopping
        self._transactions: Transactions | None = None

    def send(self, letters: Iterable[OutgoingDeadLetter], offsets: Sequence[TopicPartition], member: Member) -> None:
        """Send letters and commit these offsets as that member of the group, together or not at all.

        Raises Unavailable where nothing of it came out and it may be tried again, and where the process is to stop.
        Raises UserError where the producer cannot go on: the committed offsets tell the next start whether it came out.
        """
        try:
            if self._transactions is None:
                self._transactions = Transactions(self._properties, self._stopping)
                self._transactions.start()
            for letter in letters:
                found = letter.headers(self._sink, self._redact)
                self._transactions.send(self._topic, letter.message.key, letter.payload, found)
            self._transactions.flush()
            self._transactions.commit(offsets, member)
        except Aborted as why:
            raise Unavailable(f"Kafka does not take the dead letters: {why}") from why
        except KafkaException as error:
            cause = self._transactions.cause(error) if self._transactions else error.args[0]
            if self._stopping.is_set():
                raise Unavailable(f"Kafka did not take the dead letters: {cause.str()}") from error
            raise UserError(
                f"Kafka does not take the dead letters of this process any more ({cause.str()}). Start it again: it "
                "begins where its group has committed."
            ) from error
