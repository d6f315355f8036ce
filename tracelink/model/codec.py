"""Encoding and decoding of records: Avro single-object encoding.

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
"""The bytes of the trace id in the message of a span or a log record, after one byte of flags."""

# fastavro's type of a parsed schema.
Schema = dict[str, Any]
R = TypeVar("R", bound=Mapping[str, Any])


def frame(schema: Schema) -> bytes:
    """Return the ten bytes with which every message of this schema begins."""
    return MAGIC + bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


class Codec(Generic[R]):
    """Encodes and decodes one kind of record.

    `older` are schemas of earlier versions; topics may still hold messages that were written with them.
    """

    def __init__(self, schema: Schema, *, older: tuple[Schema, ...] = ()) -> None:
        self.schema = schema
        self.header = frame(schema)
        self._older = {frame(old): old for old in older}

    def encode(self, record: R) -> bytes:
        """Return a record as a framed message.

        Raises ValueError, TypeError or OverflowError if the record does not fit the schema.
        """
        buffer = BytesIO()
        buffer.write(self.header)
        schemaless_writer(buffer, self.schema, cast("dict[str, Any]", record))
        return buffer.getvalue()

    def decode(self, message: bytes) -> R:
        """Return the record of a framed message; raises InvalidRecord."""
        buffer = BytesIO(self.current(message))
        buffer.seek(HEADER_BYTES)
        record = self.read(buffer)
        if buffer.read(1):
            raise InvalidRecord(Reason.BODY, f"bytes left over after {self.schema['name']}")
        return record

    def read(self, buffer: BytesIO) -> R:
        """Read one body of the current schema from the buffer's position; raises InvalidRecord."""
        try:
            return cast("R", schemaless_reader(buffer, self.schema, None))
        except Exception as error:  # fastavro raises errors of many kinds for invalid bytes
            raise InvalidRecord(Reason.BODY, f"{type(error).__name__}: {error}") from error

    def current(self, message: bytes) -> bytes:
        """Return the message under the current schema, converted from an older one if needed; raises InvalidRecord."""
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
    """Load the last of these schemas, with the earlier ones inlined, so that its fingerprint covers them."""
    with as_file(files("tracelink.model") / "schemas") as folder:
        return cast("Schema", load_schema_ordered([str(folder / f"{name}.avsc") for name in names]))


SPAN: Codec[Span] = Codec(load_schema("span"))
LOG_RECORD: Codec[LogRecord] = Codec(load_schema("log_record"))
TRACE: Codec[Trace] = Codec(load_schema("span", "log_record", "trace"))
