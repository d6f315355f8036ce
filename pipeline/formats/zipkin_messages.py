"""The messages of zipkin.proto3 (https://github.com/openzipkin/zipkin-api/blob/master/zipkin.proto), built in code.

Protobuf refuses a message if any string in it is not UTF-8, so a span has a second form, whose strings are bytes.
"""

from typing import Any

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

_PACKAGE = "zipkin.proto3"
_TAG = "Span.TagsEntry"
_KIND = "Span.Kind"
_KINDS = ("SPAN_KIND_UNSPECIFIED", "CLIENT", "SERVER", "PRODUCER", "CONSUMER")
# The types of each message's fields, in the order of their numbers, which begin with 1.
_MESSAGES = {
    "Span": {
        "trace_id": "bytes",
        "parent_id": "bytes",
        "id": "bytes",
        "kind": _KIND,
        "name": "string",
        "timestamp": "fixed64",
        "duration": "uint64",
        "local_endpoint": "Endpoint",
        "remote_endpoint": "Endpoint",
        "annotations": "Annotation",
        "tags": _TAG,
        "debug": "bool",
        "shared": "bool",
    },
    _TAG: {"key": "string", "value": "string"},
    "Endpoint": {"service_name": "string", "ipv4": "bytes", "ipv6": "bytes", "port": "int32"},
    "Annotation": {"timestamp": "fixed64", "value": "string"},
    "ListOfSpans": {"spans": "bytes"},
}
_REPEATED = frozenset({"annotations", "tags", "spans"})


def _schema(*, texts: bool) -> Any:  # noqa: ANN401 - protobuf has no types
    """Return the file of the messages; without `texts`, strings are bytes, and tags are entries of no map."""
    file = descriptor_pb2.FileDescriptorProto(name="zipkin.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        if name == _TAG:
            message = file.message_type[0].nested_type.add(name="TagsEntry")
            message.options.map_entry = texts
        else:
            message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), 1):
            _add(message, number, field, kind if texts or kind != "string" else "bytes")
    kinds = file.message_type[0].enum_type.add(name="Kind")
    for number, name in enumerate(_KINDS):
        kinds.value.add(name=name, number=number)
    return file


def _add(message: Any, number: int, name: str, kind: str) -> None:  # noqa: ANN401 - as above
    types = descriptor_pb2.FieldDescriptorProto
    field = message.field.add(name=name, number=number)
    field.label = types.LABEL_REPEATED if name in _REPEATED else types.LABEL_OPTIONAL
    if kind == _KIND or kind in _MESSAGES:
        field.type = types.TYPE_ENUM if kind == _KIND else types.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{kind}"
    else:
        field.type = types.Type.Value(f"TYPE_{kind.upper()}")


def _classes(*names: str, texts: bool) -> list[Any]:
    # A pool of its own: other packages may have their own zipkin.proto in the one that all share.
    pool = DescriptorPool()
    pool.AddSerializedFile(_schema(texts=texts).SerializeToString())
    return [GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in names]


ListOfSpans, SpanMessage = _classes("ListOfSpans", "Span", texts=True)
"""`ListOfSpans` has the bytes of each span, so that one can be refused without the others."""
(SpanOfBytes,) = _classes("Span", texts=False)
"""A span whose strings are bytes."""
