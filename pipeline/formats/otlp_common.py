"""What the records of one resource and one scope of a request of OTLP share, and how much that may be."""

from collections.abc import Mapping
from typing import NamedTuple

from pipeline.formats.decoded import TooManyRecords
from tracelink.model.otel_mapping import UNKNOWN_SERVICE, Attributes, common_tags, texts
from tracelink.texts import text

TRACE_BYTES, SPAN_BYTES = 16, 8
"""The sizes of ids."""
# So many attributes of resources and scopes may each record of a full request have.
_MOST_SHARED = 100


class Resource(NamedTuple):
    """A resource: the name of its service, and its tags."""

    service: str
    tags: dict[str, str]
    schema_url: str


class Common(NamedTuple):
    """What the records of one resource and one scope share: the service, the tags, and the name of the scope."""

    service: str | None
    tags: dict[str, str]
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
    """Counts what a request has before it is read; every method raises TooManyRecords beyond `most` records.

    Each record gets the tags of its resource and scope, so that a few megabytes may become many gigabytes: there is a
    limit to these copies, too.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._groups = self._records = self._copies = 0

    def groups(self, number: int) -> None:
        """Count resources, or the scopes of one."""
        self._groups += number
        if self._groups > 2 * self._most:
            raise TooManyRecords(f"more than {2 * self._most} resources and scopes")

    def records(self, number: int, shared: int) -> None:
        """Count the records of a scope, each of which has so many attributes of its resource and scope."""
        self._records += number
        if self._records > self._most:
            raise TooManyRecords(f"more than {self._most} records")
        self._copies += number * shared
        if self._copies > self._most * _MOST_SHARED:
            raise TooManyRecords(
                f"more than {self._most * _MOST_SHARED} attributes of resources and scopes in all records"
            )
