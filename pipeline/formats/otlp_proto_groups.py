"""The resources and scopes of a request of OTLP in protobuf, and the records in them."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.otlp_common import Common, Limit, common_of, resource_of
from pipeline.formats.otlp_proto_values import Values

R = TypeVar("R")


class Lists(NamedTuple):
    """The fields with the resources, with the scopes of one of them, and with the records of a scope.

    `place` is a format for a place in a request, as the JSON of OTLP spells these fields.
    """

    resources: str
    scopes: str
    records: str
    place: str


SPANS = Lists("resource_spans", "scope_spans", "spans", "resourceSpans[{}].scopeSpans[{}].spans[{}]")
LOGS = Lists("resource_logs", "scope_logs", "log_records", "resourceLogs[{}].scopeLogs[{}].logRecords[{}]")


def check(request: Any, lists: Lists, limit: Limit) -> None:  # noqa: ANN401 - a request of either kind
    """Raise TooManyRecords if a request has more resources, scopes and records than the limit takes."""
    resources = getattr(request, lists.resources)
    limit.groups(len(resources))
    for group in resources:
        scopes = getattr(group, lists.scopes)
        limit.groups(len(scopes))
        shared = len(group.resource.attributes)
        for scope in scopes:
            limit.records(len(getattr(scope, lists.records)), shared + len(scope.scope.attributes))


def converted(
    request: Any,  # noqa: ANN401 - as above
    lists: Lists,
    values: Values,
    convert: Callable[[Any, Common], R],
) -> tuple[list[R], list[InvalidInput]]:
    """Return the records of a request, and why others are refused; `convert` makes one, or raises InvalidInput."""
    made: list[R] = []
    refused: list[InvalidInput] = []
    for (number, index), common, records in _scopes(request, lists, values):
        for position, record in enumerate(records):
            try:
                made.append(convert(record, common))
            except InvalidInput as error:
                refused.append(error.at(lists.place.format(number, index, position)))
    return made, refused


def _scopes(
    request: Any,  # noqa: ANN401 - as above
    lists: Lists,
    values: Values,
) -> Iterator[tuple[tuple[int, int], Common, Any]]:
    """Yield the records of each scope that has some, with the numbers of resource and scope, and what they share."""
    for number, group in enumerate(getattr(request, lists.resources)):
        resource = None
        for index, scope in enumerate(getattr(group, lists.scopes)):
            records = getattr(scope, lists.records)
            if not records:
                continue
            if resource is None:
                resource = resource_of(values.attributes(group.resource.attributes), group.schema_url)
            named = {"name": scope.scope.name, "version": scope.scope.version, "schema_url": scope.schema_url}
            yield (number, index), common_of(resource, values.attributes(scope.scope.attributes), named), records
