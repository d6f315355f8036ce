"""Attributes of OTLP in protobuf as plain Python values."""

from collections.abc import Collection

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from pipeline.formats.field_names import as_map
from pipeline.formats.otlp_common import Limit


class Values:
    """Reads values and attributes; counts them in `limit`."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit

    def attributes(self, found: Collection[KeyValue]) -> dict[str, object]:
        """Return key-value pairs as a map; a second value of a key gets an apostrophe."""
        pairs: dict[str, object] = {}
        number = len(found)
        if not number:
            return pairs
        self._limit.parts(number)
        for pair in found:
            value = pair.value
            # To read texts and numbers, as most values are, is faster than to ask for the kind.
            pairs[pair.key] = value.string_value or value.int_value or self.value(value)
        if len(pairs) == number:
            return pairs
        return as_map([(pair.key, self.value(pair.value)) for pair in found])

    def value(self, found: AnyValue) -> object:
        """Return a value, None if it has none."""
        kind = found.WhichOneof("value")
        if kind == "array_value":
            values = found.array_value.values
            self._limit.parts(len(values))
            return [self.value(one) for one in values]
        if kind == "kvlist_value":
            return self.attributes(found.kvlist_value.values)
        # The last is an index into a table that only profiles have.
        return None if kind is None or kind == "string_value_strindex" else getattr(found, kind)
