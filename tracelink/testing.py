"""A publisher for the tests of services: it keeps messages in memory, with the contract of `KafkaPublisher`."""

from tracelink.kafka.messages import EncodedRecord
from tracelink.metrics import PublisherMetrics
from tracelink.publisher import Drop, RecordPublisher
from tracelink.settings import PublisherSettings


class MemoryPublisher(RecordPublisher):
    """Keeps up to `buffer_records` published messages in `messages`."""

    def __init__(self, settings: PublisherSettings, metrics: PublisherMetrics) -> None:
        super().__init__(settings, metrics)
        self._settings = settings
        self._closed = False
        self.messages: list[EncodedRecord] = []

    def flush(self, timeout: float) -> bool:  # noqa: ARG002 - nothing is ever waiting
        """Do nothing: records are published at once."""
        return True

    def close(self) -> None:
        """Drop all further records."""
        self._closed = True

    def _publish(self, message: EncodedRecord) -> None:
        with self._lock:
            self._metrics.record(message.kind, len(message.value))
            why = self._refusal(message)
            if why is None:
                self.messages.append(message)
                self._metrics.deliver()
        if why is not None:
            self._lose(why)

    def _refusal(self, message: EncodedRecord) -> Drop | None:
        if self._closed:
            return Drop.CLOSED
        if len(message.value) > self._settings.max_record_bytes:
            return Drop.TOO_LARGE
        return Drop.BUFFER_FULL if len(self.messages) >= self._settings.buffer_records else None
