"""Attribute values as text, for tags and fields."""

from collections.abc import Mapping
from typing import cast

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from tracelink.texts import text

MICRO = 1000
"""Nanoseconds in a microsecond."""

# The cache is cleared at this size: a library that keeps making scopes must not fill the memory.
_MAX_PAIRS = 1024

Attributes = Mapping[str, object]


def plain(attributes: Attributes | None) -> Attributes:
    """Return a copy of attributes that is fast to read: the SDK's mapping makes several calls for each access."""
    if not attributes:
        return {}
    try:
        return cast("dict[str, object]", attributes).copy()
    except AttributeError:  # not a mapping of the SDK
        return dict(attributes)


def texts(attributes: Attributes | None) -> dict[str, str]:
    """Return attributes as tags."""
    return {text(name): text(value) for name, value in plain(attributes).items()}


class Common:
    """Cache of the tags that all records of one resource and one scope share.

    The resource's `service.name` is not among them: records have a field for it.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[object, object, dict[str, str]]] = {}

    def tags(self, resource: Resource, scope: InstrumentationScope | None) -> dict[str, str]:
        """Return the tags of a pair; the caller must not change them."""
        key = (id(resource), id(scope))
        known = self._known.get(key)
        if known is not None:
            return known[2]
        if len(self._known) >= _MAX_PAIRS:
            self._known.clear()
        tags = texts(resource.attributes)
        tags.pop(SERVICE_NAME, None)
        if resource.schema_url:
            tags["otel.resource.schema_url"] = resource.schema_url
        if scope is not None:
            tags |= {f"otel.scope.{name}": value for name, value in texts(scope.attributes).items()}
            named = {"name": scope.name, "version": scope.version, "schema_url": scope.schema_url}
            tags |= {f"otel.scope.{name}": text(value) for name, value in named.items() if value}
        # A reference to the pair keeps both alive, so that no other object gets their ids.
        self._known[key] = (resource, scope, tags)
        return tags
