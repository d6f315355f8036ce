"""Records as bytes and back, by fastavro and the schema files: nothing here is the product's code."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from io import BytesIO
from typing import Any, cast

from fastavro import schemaless_reader, schemaless_writer
from fastavro.schema import fingerprint, load_schema_ordered, to_parsing_canonical_form

Json = dict[str, Any]


@cache
def schema(*names: str) -> Json:
    """Load the last of these schemas; it may use those before it."""
    with as_file(files("tracelink.model") / "schemas") as folder:
        return cast("Json", load_schema_ordered([str(folder / f"{name}.avsc") for name in names]))


@cache
def head(*names: str) -> bytes:
    """Return the ten bytes of Avro single-object encoding."""
    return b"\xc3\x01" + bytes.fromhex(fingerprint(to_parsing_canonical_form(schema(*names)), "CRC-64-AVRO"))


def encode(name: str, body: Json) -> bytes:
    buffer = BytesIO()
    buffer.write(head(name))
    schemaless_writer(buffer, schema(name), body)
    return buffer.getvalue()


def decode(name: str, message: bytes) -> Json:
    return cast("Json", schemaless_reader(BytesIO(message[10:]), schema(name), None))


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a trace as the topic has it: framed records that were put into it, byte by byte."""

    trace: str
    name: str
    reason: str
    flags: int
    records: tuple[bytes, ...]


TRACE = ("span", "log_record", "trace")
_REASONS = ("IDLE", "AGE", "ROOT", "FULL", "PRESSURE")


def read_part(message: bytes) -> Part:
    """Take a part of a trace apart, without looking into its records; ValueError where it is none."""
    if message[:10] != head(*TRACE):
        raise ValueError(f"no trace: {message[:10]!r}")
    buffer = BytesIO(message[10:])
    flags, trace = _long(buffer), buffer.read(16).hex()
    name = buffer.read(_long(buffer)).decode()
    _long(buffer), _long(buffer)  # opened, closed
    reason = _REASONS[_long(buffer)]
    records = [opening + body for opening in (head("span"), head("log_record")) for body in _blocks(buffer)]
    if buffer.read(1):
        raise ValueError("bytes left over")
    return Part(trace, name, reason, flags, tuple(records))


def _blocks(buffer: BytesIO) -> list[bytes]:
    """Read an array whose every item lies in a block of its own, with its size."""
    found = []
    while count := _long(buffer):
        if count != -1:
            raise ValueError(f"a block of {count} items")
        found.append(buffer.read(_long(buffer)))
    return found


def _long(buffer: BytesIO) -> int:
    return cast("int", schemaless_reader(buffer, "long", None))
