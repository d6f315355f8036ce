"""A protocol of the gateway: from the body of a request to messages, and from the result to an answer."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal, NamedTuple, Protocol, TypeVar

from pipeline.formats.decoded import Decoded
from pipeline.formats.invalid_input import InvalidInput
from producers.gateway.settings import GatewaySettings
from tracelink.kafka.messages import EncodedRecord, RecordEncoder
from tracelink.kafka.topics import TopicNames
from tracelink.model.records import ErrorRule, LogRecord, Span
from tracelink.model.truncation import truncated

R = TypeVar("R", Span, LogRecord)

# The key of a message, and its fields in Kafka's format.
_FRAME_BYTES = 128
_MOST_SHOWN = 3


class Request(NamedTuple):
    """A request whose body was read."""

    content_type: str
    """The media type in lower case, without parameters; empty if there is none."""
    body: bytes
    """Decompressed."""
    received: int
    """The time of arrival in microseconds since the epoch."""


class Answer(NamedTuple):
    """An answer of the gateway."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


@dataclass(slots=True)
class Taken:
    """The content of a request: messages, the records that are refused, and what was repaired, by kind."""

    messages: list[EncodedRecord] = field(default_factory=list)
    invalid: list[InvalidInput] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)

    @property
    def records(self) -> int:
        """The number of records, with the refused ones."""
        return len(self.messages) + len(self.invalid)

    def refusal(self, too_large: int) -> str:
        """Say which records were refused, and how many; empty if none was."""
        said = [f"{one.reason}: {one.detail}" for one in self.invalid[:_MOST_SHOWN]]
        if len(self.invalid) > _MOST_SHOWN:
            said.append(f"and {len(self.invalid) - _MOST_SHOWN} more")
        if too_large:
            said.append(f"{too_large} larger than Kafka's topic allows")
        if not said:
            return ""
        return f"{len(self.invalid) + too_large} of {self.records} records were refused: {'; '.join(said)}"


class UnknownMediaType(Exception):
    """The body has a type that the path does not take; the message says which ones it takes."""


class Door(Protocol):
    """One path of a protocol."""

    protocol: str
    """The name of the protocol, as the label of metrics."""

    def decode(self, request: Request) -> Taken:
        """Return the messages of a request.

        Raises InvalidInput if its body cannot be decoded, TooManyRecords, and UnknownMediaType.
        """
        ...

    def accepted(self, request: Request, taken: Taken, too_large: int) -> Answer:
        """Return the answer once Kafka has all messages but the `too_large` ones."""
        ...

    def refused(self, content_type: str, status: HTTPStatus, detail: str) -> Answer:
        """Return the answer to a request of which nothing was taken."""
        ...


class Encoder:
    """Encodes decoded records as messages; the texts of a record that is too large are cut, and a tag says so."""

    def __init__(self, settings: GatewaySettings) -> None:
        self.rule = ErrorRule(settings.error_http_status)
        self.most_records = settings.max_request_records
        self._encoder = RecordEncoder(TopicNames(settings.topic_prefix))
        self._most_bytes = int(settings.max_record_bytes) - _FRAME_BYTES

    def spans(self, decoded: Decoded[Span]) -> Taken:
        """Encode spans."""
        return Taken(list(self._all(decoded.records, self._encoder.span, "tags")), decoded.invalid, decoded.notes)

    def logs(self, decoded: Decoded[LogRecord]) -> Taken:
        """Encode log records."""
        return Taken(list(self._all(decoded.records, self._encoder.log, "fields")), decoded.invalid, decoded.notes)

    def _all(
        self, records: Iterable[R], encode: Callable[[R], EncodedRecord], notes: Literal["tags", "fields"]
    ) -> Iterable[EncodedRecord]:
        for record in records:
            message = encode(record)
            excess = len(message.value) - self._most_bytes
            yield message if excess <= 0 else encode(truncated(record, excess, notes))
