"""A protocol of the gateway: from the body of a request to messages, and from the result to an answer."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from typing import Literal, NamedTuple, Protocol, TypeVar

from pipeline.analysis.redacted_records import redacted_log, redacted_span
from pipeline.formats.decoded import Decoded, TooManyRecords
from pipeline.formats.invalid_input import InvalidInput
from producers.gateway.settings import GatewaySettings
from tracelink.kafka.messages import EncodedRecord, RecordEncoder, fitting
from tracelink.kafka.topics import TopicNames
from tracelink.model.records import ErrorRule, LogRecord, Span

R = TypeVar("R", Span, LogRecord)

JSON, PROTOBUF = "application/json", "application/x-protobuf"
"""Media types that several protocols have."""
# As of files, so that a file has the same ids whether it is sent or posted.
_DIGEST_CHARS = 32
_MOST_SHOWN = 3
# Measured with messages of 40 to 20,000 bytes: a message and the client's copy of it take twice its value, and 460 to
# 560 bytes.
_COPIES = 2
_MESSAGE_BYTES = 512


class Request(NamedTuple):
    """A request whose body was read."""

    content_type: str
    """The media type in lower case, without parameters; empty if there is none."""
    body: bytes
    """Decompressed."""
    received: int
    """The time of arrival in microseconds since the epoch."""
    sender: str | None = None
    """The name of its token; None if everybody may send."""

    @property
    def digest(self) -> str:
        """The digest of the body of which ids of log records are made, so that a repeated request repeats them."""
        return sha256(self.body).hexdigest()[:_DIGEST_CHARS]


class Answer(NamedTuple):
    """An answer of the gateway."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


@dataclass(slots=True)
class Taken:
    """The content of a request: messages, the records that are refused, and what was repaired, by kind."""

    messages: list[EncodedRecord] = field(default_factory=list)
    size: int = 0
    """The bytes of memory that the messages take until Kafka has them."""
    invalid: int = 0
    shown: Sequence[InvalidInput] = ()
    """The first of the refused records."""
    notes: Counter[str] = field(default_factory=Counter)

    @property
    def records(self) -> int:
        """The number of records, with the refused ones."""
        return len(self.messages) + self.invalid

    def refusal(self, too_large: int) -> str:
        """Say which records were refused, and how many; empty if none was."""
        said = [f"{one.reason}: {one.detail}" for one in self.shown]
        if self.invalid > len(self.shown):
            said.append(f"and {self.invalid - len(self.shown)} more")
        if too_large:
            said.append(f"{too_large} larger than Kafka's topic allows")
        if not said:
            return ""
        return f"{self.invalid + too_large} of {self.records} records were refused: {'; '.join(said)}"


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
        self._max_bytes = int(settings.max_record_bytes)
        self._most_bytes = int(settings.max_in_hand_bytes)
        redactor = settings.redactor() if settings.gateway_redact else None
        self._redact_span = None if redactor is None else partial(redacted_span, redactor=redactor)
        self._redact_log = None if redactor is None else partial(redacted_log, redactor=redactor)

    def spans(self, decoded: Decoded[Span]) -> Taken:
        """Encode spans; raises TooManyRecords if they could never be in hand."""
        return self._all(decoded, self._redact_span, self._encoder.span, "tags")

    def logs(self, decoded: Decoded[LogRecord]) -> Taken:
        """Encode log records; raises TooManyRecords if they could never be in hand."""
        return self._all(decoded, self._redact_log, self._encoder.log, "fields")

    def _all(
        self,
        decoded: Decoded[R],
        redact: Callable[[R], R] | None,
        encode: Callable[[R], EncodedRecord],
        notes: Literal["tags", "fields"],
    ) -> Taken:
        """Encode records. Each has the attributes of its resource, so a few bytes may become gigabytes here."""
        messages: list[EncodedRecord] = []
        size = 0
        for record in decoded.records if redact is None else map(redact, decoded.records):
            message = fitting(encode(record), record, encode, self._max_bytes, notes)
            messages.append(message)
            size += _COPIES * len(message.value) + _MESSAGE_BYTES
            if size > self._most_bytes:
                raise TooManyRecords(f"the records take more than {self._most_bytes} bytes: send them in parts")
        return Taken(messages, size, len(decoded.invalid), decoded.invalid[:_MOST_SHOWN], decoded.notes)
