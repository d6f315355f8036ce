"""Messages of OTLP from their bytes; invalid UTF-8 in a string costs that string, not the request."""

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message,
    message_factory,
)

from pipeline.formats.invalid_input import InvalidInput

M = TypeVar("M", bound=message.Message)

INVALID_UTF8 = "invalid UTF-8"
"""The note for a text in which bytes that are not UTF-8 became U+FFFD."""
_FIELD = descriptor_pb2.FieldDescriptorProto


def parsed(body: bytes, kind: type[M], check: Callable[[Any], None], notes: Counter[str]) -> M:
    """Return a message of this kind; raises InvalidInput. `check` gets the message first, and may raise.

    The parser refuses a message in which a string is not UTF-8, but the Collector sends such. So the invalid bytes
    become U+FFFD, and each string that has some is counted.
    """
    try:
        found: M = kind.FromString(body)
    except message.DecodeError:
        return _repaired(body, kind, check, notes)
    check(found)
    return found


def _repaired(body: bytes, kind: type[M], check: Callable[[Any], None], notes: Counter[str]) -> M:
    try:
        loose = _loose(kind.DESCRIPTOR).FromString(body)
    except message.DecodeError as error:
        raise InvalidInput("no protobuf", str(error)) from None
    check(loose)
    _repair(loose, kind.DESCRIPTOR, notes)
    found: M = kind.FromString(loose.SerializeToString())
    return found


def _repair(found: message.Message, kind: Any, notes: Counter[str]) -> None:  # noqa: ANN401 - a descriptor
    """Make UTF-8 of all strings of a message of a loose type; `kind` is the descriptor of the right type."""
    for field, value in found.ListFields():
        right = kind.fields_by_number[field.number]
        if right.type == _FIELD.TYPE_MESSAGE:
            for inner in value if right.is_repeated else (value,):
                _repair(inner, right.message_type, notes)
        elif right.type != _FIELD.TYPE_STRING:
            continue
        elif right.is_repeated:
            value[:] = [_utf8(one, notes) for one in value]
        else:
            setattr(found, field.name, _utf8(value, notes))


def _utf8(value: bytes, notes: Counter[str]) -> bytes:
    try:
        value.decode()
    except UnicodeDecodeError:
        notes[INVALID_UTF8] += 1
        return value.decode(errors="replace").encode()
    return value


@cache
def _loose(kind: Any) -> Any:  # noqa: ANN401 - a descriptor, and a class that is made here
    """Return the type of messages with the same fields, but bytes for strings; it is in a pool of its own."""
    pool = descriptor_pool.DescriptorPool()
    _add_loose(pool, kind.file, set())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(kind.full_name))


def _add_loose(pool: Any, file: Any, added: set[str]) -> None:  # noqa: ANN401 - a pool and a file's descriptor
    if file.name in added:
        return
    added.add(file.name)
    for dependency in file.dependencies:
        _add_loose(pool, dependency, added)
    copy = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(copy)
    for kind in copy.message_type:
        _loosen(kind)
    pool.Add(copy)


def _loosen(kind: Any) -> None:  # noqa: ANN401 - a message's descriptor
    for field in kind.field:
        if field.type == _FIELD.TYPE_STRING:
            field.type = _FIELD.TYPE_BYTES
    for inner in kind.nested_type:
        _loosen(inner)
