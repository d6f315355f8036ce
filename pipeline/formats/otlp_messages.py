"""Messages of OTLP from their bytes; invalid UTF-8 in a string costs that string, not the request."""

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.otlp_common import Limit
from pipeline.formats.request_bytes import utf8

M = TypeVar("M", bound=message.Message)

_FIELD = descriptor_pb2.FieldDescriptorProto


def parsed(body: bytes, kind: type[M], check: Callable[[Any], None], most: int, notes: Counter[str]) -> M:
    """Return a message of this kind; raises InvalidInput. `check` gets the message first, and may raise.

    The parser refuses a message in which a string is not UTF-8, but the Collector sends such. So the invalid bytes
    become U+FFFD, and each string that has some is counted. Raises TooManyRecords if there is too much to look at.
    """
    try:
        found: M = kind.FromString(body)
    except message.DecodeError:
        pass
    else:
        check(found)
        return found
    try:
        loose = _loose(kind.DESCRIPTOR).FromString(body)
    except message.DecodeError as error:
        raise InvalidInput("no protobuf", str(error)) from None
    check(loose)
    # The records and their groups are counted with what they have.
    _repair(loose, kind.DESCRIPTOR, Limit(2 * most), notes)
    repaired: M = kind.FromString(loose.SerializeToString())
    return repaired


def _repair(found: message.Message, kind: Any, limit: Limit, notes: Counter[str]) -> None:  # noqa: ANN401 - a descriptor
    """Make UTF-8 of all strings of a message of a loose type; `kind` is the descriptor of the right type."""
    for field, value in found.ListFields():
        right = kind.fields_by_number[field.number]
        if right.is_repeated:
            limit.parts(len(value))
        if right.type == _FIELD.TYPE_MESSAGE:
            for inner in value if right.is_repeated else (value,):
                _repair(inner, right.message_type, limit, notes)
        elif right.type != _FIELD.TYPE_STRING:
            continue
        elif right.is_repeated:
            value[:] = [utf8(one, notes) for one in value]
        else:
            setattr(found, field.name, utf8(value, notes))


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
