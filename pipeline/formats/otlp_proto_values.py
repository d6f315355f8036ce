"""Attributes of OTLP in protobuf as plain Python values."""

from collections.abc import Collection

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from tracelink.texts import free_name


def attributes(found: Collection[KeyValue]) -> dict[str, object]:
    """Return key-value pairs as a map; a second value of a key gets an apostrophe."""
    pairs: dict[str, object] = {}
    for pair in found:
        value = pair.value
        # To read texts and numbers, as most values are, is faster than to ask for the kind.
        pairs[pair.key] = value.string_value or value.int_value or any_value(value)
    if len(pairs) == len(found):
        return pairs
    pairs = {}
    for pair in found:
        pairs[free_name(pairs, pair.key)] = any_value(pair.value)
    return pairs


def any_value(found: AnyValue) -> object:
    """Return a value, None if it has none."""
    kind = found.WhichOneof("value")
    if kind == "array_value":
        return [any_value(one) for one in found.array_value.values]
    if kind == "kvlist_value":
        return attributes(found.kvlist_value.values)
    # The last is an index into a table that only profiles have.
    return None if kind is None or kind == "string_value_strindex" else getattr(found, kind)
