"""Records to bytes and back: Avro single-object encoding.

A message is the two bytes C3 01, the 64-bit Rabin fingerprint of the writer's schema (little-endian), and the body
(https://avro.apache.org/docs/1.12.0/specification/#single-object-encoding).
"""

from collections.abc import Mapping
from importlib.resources import as_file, files
from io import BytesIO
from typing import Any, Generic, TypeVar, cast

from fastavro import schemaless_reader, schemaless_writer
from fastavro.schema import fingerprint, load_schema_ordered, to_parsing_canonical_form

from tracelink.errors import InvalidRecord, Reason
from tracelink.model.records import LogRecord, Span, Trace

MAGIC = b"\xc3\x01"
HEADER_BYTES = 10
TRACE_ID = slice(HEADER_BYTES + 1, HEADER_BYTES + 17)
"""Where the trace id lies in the message of a span or a log record, behind its flags of one byte."""

# Avro's own type of a parsed schema, as fastavro has it.
Schema = dict[str, Any]
R = TypeVar("R", bound=Mapping[str, Any])


def frame(schema: Schema) -> bytes:
    """Return the ten bytes that open every message under this schema."""
    return MAGIC + bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


class Codec(Generic[R]):
    """Encodes and decodes one kind of record.

    `older` are schemas of earlier versions, in which messages may still lie in the topics.
    """

    def __init__(self, schema: Schema, *, older: tuple[Schema, ...] = ()) -> None:
        self.schema = schema
        self.header = frame(schema)
        self._older = {frame(old): old for old in older}

    def encode(self, record: R) -> bytes:
        """Return the framed message of a record; ValueError, TypeError or OverflowError where it does not fit."""
        buffer = BytesIO()
        buffer.write(self.header)
        schemaless_writer(buffer, self.schema, cast("dict[str, Any]", record))
        return buffer.getvalue()

    def decode(self, message: bytes) -> R:
        """Return the record in a message; raises InvalidRecord."""
        buffer = BytesIO(self.current(message))
        buffer.seek(HEADER_BYTES)
        record = self.read(buffer)
        if buffer.read(1):
            raise InvalidRecord(Reason.BODY, f"bytes left over after {self.schema['name']}")
        return record

    def read(self, buffer: BytesIO) -> R:
        """Read one body under the current schema where the buffer stands; raises InvalidRecord."""
        try:
            return cast("R", schemaless_reader(buffer, self.schema, None))
        except Exception as error:  # fastavro names no errors of its own for bytes that are no Avro
            raise InvalidRecord(Reason.BODY, f"{type(error).__name__}: {error}") from error

    def current(self, message: bytes) -> bytes:
        """Return the message under the current schema, resolved from an older one if need be; raises InvalidRecord."""
        head = message[:HEADER_BYTES]
        if head == self.header:
            return message
        if head[:2] != MAGIC:
            raise InvalidRecord(Reason.FRAME, f"starts with {head[:2].hex()!r}, not {MAGIC.hex()!r}")
        old = self._older.get(head)
        if old is None:
            raise InvalidRecord(Reason.SCHEMA, f"fingerprint {head[2:].hex()} is unknown to {self.schema['name']}")
        buffer = BytesIO(message)
        buffer.seek(HEADER_BYTES)
        try:
            return self.encode(cast("R", schemaless_reader(buffer, old, self.schema)))
        except Exception as error:  # as in `read`
            raise InvalidRecord(Reason.BODY, f"{type(error).__name__}: {error}") from error


def load_schema(*names: str) -> Schema:
    """Load the last of these schemas with the earlier ones in place of their names, so that its fingerprint has all."""
    with as_file(files("tracelink.model") / "schemas") as folder:
        return cast("Schema", load_schema_ordered([str(folder / f"{name}.avsc") for name in names]))


SPAN: Codec[Span] = Codec(load_schema("span"))
LOG_RECORD: Codec[LogRecord] = Codec(load_schema("log_record"))
TRACE: Codec[Trace] = Codec(load_schema("span", "log_record", "trace"))
