"""Reads Avro byte by byte under any schema: yields each value with its position, and the faulty byte.

Pure. It is stricter than the codecs: a boolean is 0 or 1, an int has 32 bits, a block has its stated size. Every type
in our schemas takes at least one byte, so an array cannot have more items than bytes.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]
"""The path of a value: names of fields, keys of maps, and indices of arrays."""

_FLOATS = {"float": struct.Struct("<f"), "double": struct.Struct("<d")}
_BITS = {"int": 32, "long": 64}
_LONGEST_NUMBER = 10


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value without parts, in data[start:end]; an array or map is a leaf only if it is empty."""

    path: Path
    start: int
    end: int
    value: object


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault at a byte; if a byte is missing, `at` is the end of the data."""

    path: Path
    at: int
    why: str


def walk(schema: Any, data: bytes, start: int = 0) -> Iterator[Leaf | Fault]:
    """Yield the values of one record from `start`, in their order, up to a fault.

    After a fault in a block of stated size, reading continues at the next block. Bytes after the record are a fault.
    """
    walker = _Walker(data, start, dict(_named(schema)))
    try:
        yield from walker.read(schema, ())
        if walker.at != len(data):
            yield Fault((), walker.at, f"{_bytes(len(data) - walker.at)} left over after the record")
    except _Wrong as wrong:
        yield wrong.fault


class _Wrong(Exception):
    def __init__(self, path: Path, at: int, why: str) -> None:
        super().__init__(why)
        self.fault = Fault(path, at, why)


class _Walker:
    """Reads the data at the byte `at`, up to `_end`: the end of the data, or of the current block."""

    def __init__(self, data: bytes, start: int, names: Mapping[str, Mapping[str, Any]]) -> None:
        self._data = data
        self._end = len(data)
        self._names = names
        self.at = start

    def read(self, schema: Any, path: Path) -> Iterator[Leaf | Fault]:
        if isinstance(schema, list):
            index = self._index(len(schema), "branch", path)
            yield from self.read(schema[index], path)
            return
        schema = schema if isinstance(schema, Mapping) else self._names.get(schema, schema)
        kind = schema["type"] if isinstance(schema, Mapping) else schema
        if kind == "record":
            for field in schema["fields"]:
                yield from self.read(field["type"], (*path, field["name"]))
        elif kind in {"array", "map"}:
            yield from self._blocks(schema, path)
        else:
            start = self.at
            value = self._value(kind, schema, path)
            yield Leaf(path, start, self.at, value)

    def _value(self, kind: str, schema: Any, path: Path) -> object:  # noqa: PLR0911 - a kind each
        if kind in _BITS:
            return self._number(_BITS[kind], path)
        if kind in _FLOATS:
            packed = _FLOATS[kind]
            return packed.unpack(self._take(packed.size, path))[0]
        match kind:
            case "null":
                return None
            case "boolean":
                return self._boolean(path)
            case "string":
                return self._string(path)
            case "bytes":
                return self._take(self._length(path), path)
            case "fixed":
                return self._take(schema["size"], path)
            case "enum":
                return schema["symbols"][self._index(len(schema["symbols"]), "symbol", path)]
            case _:
                raise ValueError(f"{kind!r} is not an Avro type")

    def _blocks(self, schema: Mapping[str, Any], path: Path) -> Iterator[Leaf | Fault]:
        start, seen = self.at, 0
        while count := self._number(64, path):
            opening, size = self.at, None
            if count < 0:
                count, size = -count, self._length(path)
                opening = self.at
            if count > self._end - opening:
                raise _Wrong(path, opening, f"{count} items announced, {_bytes(self._end - opening)} left")
            if size is None:
                yield from self._items(schema, path, seen, count)
            else:
                yield from self._block(schema, path, seen, count, size)
            seen += count
        if not seen:
            yield Leaf(path, start, self.at, {} if schema["type"] == "map" else [])

    def _block(
        self, schema: Mapping[str, Any], path: Path, first: int, count: int, size: int
    ) -> Iterator[Leaf | Fault]:
        """Read a block of stated size; after a fault in it, continue behind it."""
        outer, behind = self._end, self.at + size
        self._end = behind
        try:
            yield from self._items(schema, path, first, count)
            if self.at != behind:
                last = (*path, first + count - 1) if schema["type"] == "array" else path
                yield Fault(last, self.at, f"{_bytes(behind - self.at)} left over in a block of {size}")
        except _Wrong as wrong:
            yield wrong.fault
        self._end, self.at = outer, behind

    def _items(self, schema: Mapping[str, Any], path: Path, first: int, count: int) -> Iterator[Leaf | Fault]:
        for number in range(first, first + count):
            if schema["type"] == "array":
                yield from self.read(schema["items"], (*path, number))
            else:
                yield from self.read(schema["values"], (*path, self._string(path)))

    def _number(self, bits: int, path: Path) -> int:
        start, value = self.at, 0
        for place in range(_LONGEST_NUMBER):
            if self.at >= self._end:
                raise _Wrong(path, self.at, "it ends in a number" if place else "it ends where a number should be")
            byte = self._data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << 7 * place
            if not byte & 0x80:
                if value >> bits:
                    raise _Wrong(path, start, f"the number does not fit into {bits} bits")
                return (value >> 1) ^ -(value & 1)
        raise _Wrong(path, start, f"a number of more than {_LONGEST_NUMBER} bytes")

    def _index(self, count: int, what: str, path: Path) -> int:
        start = self.at
        index = self._number(32, path)
        if not 0 <= index < count:
            raise _Wrong(path, start, f"{what} {index} of {count}, which begin at 0")
        return index

    def _length(self, path: Path) -> int:
        start = self.at
        length = self._number(64, path)
        if length < 0:
            raise _Wrong(path, start, f"a length of {length}")
        self._need(length, path, start)
        return length

    def _need(self, size: int, path: Path, at: int) -> None:
        if size > self._end - self.at:
            raise _Wrong(path, at, f"{_bytes(size)} announced, {self._end - self.at} left")

    def _take(self, size: int, path: Path) -> bytes:
        self._need(size, path, self.at)
        self.at += size
        return self._data[self.at - size : self.at]

    def _boolean(self, path: Path) -> bool:
        byte = self._take(1, path)[0]
        if byte > 1:
            raise _Wrong(path, self.at - 1, f"a boolean is 0 or 1, not {byte}")
        return bool(byte)

    def _string(self, path: Path) -> str:
        text = self._take(self._length(path), path)
        try:
            return text.decode()
        except UnicodeDecodeError as error:
            at = self.at - len(text) + error.start
            raise _Wrong(path, at, f"no UTF-8: {error.reason}") from None


def _named(schema: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the named types of a schema, which other places refer to by name."""
    if isinstance(schema, list):
        for branch in schema:
            yield from _named(branch)
    elif isinstance(schema, Mapping):
        if "name" in schema:
            yield schema["name"], schema
        for inner in (schema.get("items"), schema.get("values"), *[one["type"] for one in schema.get("fields", ())]):
            yield from _named(inner)


def _bytes(count: int) -> str:
    return "1 byte" if count == 1 else f"{count} bytes"
