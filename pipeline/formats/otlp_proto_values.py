"""Attributes of OTLP in protobuf as plain Python values."""

from collections.abc import Collection

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from pipeline.formats.field_names import as_map
from pipeline.formats.otlp_common import Limit


class Values:
    """Reads values and attributes; counts them in `limit`."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit

    def attributes(self, found: Collection[KeyValue], no_texts: list[str] | None = None) -> dict[str, object]:
        """Return key-value pairs as a map; a second value of a key gets an apostrophe.

        `no_texts` becomes a list of the keys whose values may be no texts.
        """
        pairs: dict[str, object] = {}
        number = len(found)
        if not number:
            return pairs
        self._limit.parts(number)
        for pair in found:
            value = pair.value
            # To read texts and numbers, as most values are, is faster than to ask for the kind.
            if shown := value.string_value:
                pairs[pair.key] = shown
                continue
            key = pair.key
            pairs[key] = value.int_value or self.value(value)
            if no_texts is not None:
                no_texts.append(key)
        if len(pairs) == number:
            return pairs
        pairs = as_map([(pair.key, self.value(pair.value)) for pair in found])
        if no_texts is not None:
            no_texts[:] = pairs
        return pairs

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
