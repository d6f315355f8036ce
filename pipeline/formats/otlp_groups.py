"""The resources and scopes of a request of OTLP in JSON, and the records in them, in the spellings of all versions."""

from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

from pipeline.formats.invalid_input import InvalidInput, shown
from pipeline.formats.otlp_common import Common, Limit, Resource, common_of, resource_of
from pipeline.formats.otlp_fields import field, object_field, text_field
from pipeline.formats.otlp_values import Values

Json = dict[str, Any]
T = TypeVar("T")


class Names(NamedTuple):
    """The names of the lists of resources, of the scopes in one of them, and of the records in a scope."""

    resources: tuple[str, ...]
    scopes: tuple[str, ...]
    records: tuple[str, ...]


class Reader(Generic[T]):
    """Reads the records of requests; `convert` makes one of a JSON value and what it shares, or raises InvalidInput.

    What is wrong with a resource or a scope is the error of each record in it.
    """

    def __init__(self, names: Names, values: Values, convert: Callable[[object, Common], T]) -> None:
        self._names = names
        self._values = values
        self._convert = convert

    def request(self, request: Json) -> Iterator[tuple[str, T | InvalidInput]]:
        """Yield the records of a request with their places in it."""
        for name in self._names.resources:
            for place, group in _each(request, name, ""):
                yield from [(place, group)] if isinstance(group, InvalidInput) else self.resource(group, f"{place}.")

    def resource(self, group: Json, path: str = "") -> Iterator[tuple[str, T | InvalidInput]]:
        """Yield the records of one resource; `path` is its place in the request, with a dot at its end."""
        scopes = [each for name in self._names.scopes for each in _each(group, name, path)]
        try:
            found = self._values.attributes(object_field(group, "resource").get("attributes"))
            resource = resource_of(found, text_field(group, "schemaUrl"))
        except InvalidInput as error:
            for _ in range(sum(_size(scope, self._names.records) for _, scope in scopes)):
                yield path.removesuffix("."), error
            return
        for place, scope in scopes:
            yield from [(place, scope)] if isinstance(scope, InvalidInput) else self._scope(scope, place, resource)

    def _scope(self, group: Json, path: str, resource: Resource) -> Iterator[tuple[str, T | InvalidInput]]:
        for name in self._names.records:
            found = group.get(name)
            if not found:
                continue
            if not isinstance(found, list):
                yield f"{path}.{name}", InvalidInput("OTLP", f"{name} must be a list, not {shown(found)}")
                continue
            try:
                common = self._common(group, resource)
            except InvalidInput as error:
                yield from [(path, error)] * len(found)
                continue
            for number, record in enumerate(found):
                place = f"{path}.{name}[{number}]"
                try:
                    yield place, self._convert(record, common)
                except InvalidInput as error:
                    yield place, error

    def _common(self, group: Json, resource: Resource) -> Common:
        scope = object_field(group, "scope") or object_field(group, "instrumentationLibrary")
        named = {"name": scope.get("name"), "version": scope.get("version"), "schema_url": field(group, "schemaUrl")}
        return common_of(resource, self._values.attributes(scope.get("attributes")), named)


def check(request: Json, names: Names, limit: Limit) -> None:
    """Raise TooManyRecords if a request has more resources, scopes and records than the limit takes."""
    for resources in _lists(request, names.resources):
        limit.groups(len(resources))
        for group in resources:
            limit.groups(_size(group, names.scopes))
            shared = _attributes(group, "resource")
            for scopes in _lists(group, names.scopes):
                for scope in scopes:
                    limit.records(_size(scope, names.records), shared + _attributes(scope, "scope"))


def _attributes(group: object, name: str) -> int:
    return _size(group.get(name), ("attributes",)) if isinstance(group, dict) else 0


def _size(group: object, names: tuple[str, ...]) -> int:
    return sum(map(len, _lists(group, names)))


def _lists(group: object, names: tuple[str, ...]) -> list[list[Any]]:
    if not isinstance(group, dict):
        return []
    return [found for name in names if isinstance(found := group.get(name), list)]


def _each(value: Json, name: str, path: str) -> Iterator[tuple[str, Json | InvalidInput]]:
    """Yield the elements of a list with their places."""
    found = value.get(name)
    if found is None:
        return
    if not isinstance(found, list):
        yield f"{path}{name}", InvalidInput("OTLP", f"{name} must be a list, not {shown(found)}")
        return
    for number, one in enumerate(found):
        place = f"{path}{name}[{number}]"
        yield place, one if isinstance(one, dict) else InvalidInput("OTLP", f"not an object: {shown(one)}")
