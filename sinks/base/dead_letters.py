"""Dead letters of a sink: each is sent once, in a transaction with the offsets of its batch."""

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
    """Produces the dead letters of one sink; connects with the first one."""

    def __init__(self, settings: SinkSettings, sink: str, group: str, stopping: Event) -> None:
        self._topic = names_of(settings).dead_letters
        self._sink = sink
        self._redact = settings.redactor().redact
        # Unique in each process. The broker aborts the open transaction of a dead process after the timeout.
        transactional_id = f"{group}.{uuid4().hex}"
        self._properties = transactional_producer(settings, transactional_id, timeout=_TIMEOUT)
        self._stopping = stopping
        self._transactions: Transactions | None = None

    def send(self, letters: Iterable[OutgoingDeadLetter], offsets: Sequence[TopicPartition], member: Member) -> None:
        """Send dead letters and commit these offsets as that member of the group, in one transaction.

        Raises Unavailable if the transaction was aborted, so that it can be retried, or if the process is stopping.
        Raises UserError if the producer cannot continue: the next start begins at the committed offsets.
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
            raise Unavailable(f"Kafka has not accepted the dead letters: {why}") from why
        except KafkaException as error:
            cause = self._transactions.cause(error) if self._transactions else error.args[0]
            if self._stopping.is_set():
                raise Unavailable(f"Kafka has not accepted the dead letters: {cause.str()}") from error
            raise UserError(
                f"Kafka accepts no more dead letters from this process ({cause.str()}). Restart it: it resumes at the "
                "committed offsets of its group."
            ) from error
