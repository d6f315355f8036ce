"""What the records of one resource and one scope of a request of OTLP share, and how much a request may have."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from pipeline.formats.decoded import TooManyRecords
from tracelink.model.otel_mapping import UNKNOWN_SERVICE, Attributes, common_tags, texts
from tracelink.model.shared_tags import SharedTags
from tracelink.texts import text

TRACE_BYTES, SPAN_BYTES = 16, 8
"""The sizes of ids."""
# As many may each record of a full request have on average: attributes of its resource and scope; values, events and
# links of its own. Each of the latter may take 600 bytes.
_SHARED = 100
_PARTS = 40


class Resource(NamedTuple):
    """A resource: the name of its service, and its tags."""

    service: str
    tags: dict[str, str]
    schema_url: str


class Common(NamedTuple):
    """What the records of one resource and one scope share: the service, the tags, and the name of the scope."""

    service: str | None
    tags: SharedTags
    scope: str | None


def resource_of(attributes: Attributes, schema_url: str) -> Resource:
    """Return a resource; one that names no service has the name that OpenTelemetry gives it."""
    service = attributes.get("service.name")
    return Resource(UNKNOWN_SERVICE if service in (None, "") else text(service), texts(attributes), schema_url)


def common_of(resource: Resource, scope: Attributes, named: Mapping[str, object]) -> Common:
    """Return what records share; `scope` are the scope's attributes, `named` its name, version and schema URL."""
    name = named["name"]
    tags = common_tags(resource.tags, resource.schema_url, scope, named)
    return Common(resource.service, tags, text(name) if name else None)


class Limit:
    """Limits what a request may have; every method raises TooManyRecords beyond `most` records, or what they may need.

    In a request an empty value takes two bytes, and one in a resource counts once for all its records. So a few
    megabytes, a few kilobytes if they are compressed, could become gigabytes and minutes. Without `most` there is no
    limit.
    """

    def __init__(self, most: float = math.inf) -> None:
        self._most = most
        self._groups = 2 * most
        self._records = most
        self._shared = _SHARED * most
        self._parts = _PARTS * most

    def groups(self, number: int) -> None:
        """Count resources, or the scopes of one."""
        self._groups -= number
        if self._groups < 0:
            raise TooManyRecords(f"more than {2 * self._most} resources and scopes")

    def records(self, number: int, shared: int) -> None:
        """Count the records of a scope, each of which has so many attributes of its resource and scope."""
        self._records -= number
        if self._records < 0:
            raise TooManyRecords(f"more than {self._most} records")
        self._shared -= number * shared
        if self._shared < 0:
            raise TooManyRecords(f"more than {_SHARED * self._most} attributes of resources and scopes in all records")

    def parts(self, number: int) -> None:
        """Count values, events or links, before they are read."""
        self._parts -= number
        if self._parts < 0:
            raise TooManyRecords(f"more than {_PARTS * self._most} values, events and links")
