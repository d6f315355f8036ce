"""Attributes of the SDK, and the tags that many records share."""

from typing import cast

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from tracelink.model.otel_mapping import Attributes, common_tags
from tracelink.model.shared_tags import SharedTags

# The cache is cleared at this size: a library that keeps making scopes must not fill the memory.
_MAX_PAIRS = 1024


def plain(attributes: Attributes | None) -> Attributes:
    """Return a copy of attributes that is fast to read: the SDK's mapping makes several calls for each access."""
    if not attributes:
        return {}
    try:
        return cast("dict[str, object]", attributes).copy()
    except AttributeError:  # not a mapping of the SDK
        return dict(attributes)


class Common:
    """Cache of the tags that all records of one resource and one scope share.

    The resource's `service.name` is not among them: records have a field for it.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[object, object, SharedTags]] = {}

    def tags(self, resource: Resource, scope: InstrumentationScope | None) -> SharedTags:
        """Return the tags of a pair; the caller must not change them."""
        key = (id(resource), id(scope))
        known = self._known.get(key)
        if known is not None:
            return known[2]
        if len(self._known) >= _MAX_PAIRS:
            self._known.clear()
        named: Attributes = {}
        if scope is not None:
            named = {"name": scope.name, "version": scope.version, "schema_url": scope.schema_url}
        scope_attributes = plain(scope.attributes if scope is not None else None)
        tags = common_tags(plain(resource.attributes), resource.schema_url, scope_attributes, named)
        # A reference to the pair keeps both alive, so that no other object gets their ids.
        self._known[key] = (resource, scope, tags)
        return tags
