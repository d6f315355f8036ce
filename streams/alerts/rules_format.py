"""The format of a rules file: its keys, and its error messages with line numbers."""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, ValidationError, model_validator
from pydantic_core import ErrorDetails

from streams.alerts import rule_values as values
from streams.alerts.fingerprint import TAG_PREFIX, VALID_IGNORE
from streams.alerts.toml_lines import Path, line_of

Patterns = Annotated[tuple[str, ...], PlainValidator(values.patterns)]
StatusPatterns = Annotated[tuple[str, ...], PlainValidator(values.status_patterns)]
Text = Annotated[str, Field(min_length=1)]


_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class MatchTable(_Table):
    """The conditions under which a rule applies to a problem: all that are set must match."""

    service: Patterns = ()
    operation: Patterns = ()
    fingerprint: Patterns = ()
    exception: Patterns = ()
    status: StatusPatterns = ()
    logger: Patterns = ()
    tags: dict[str, Patterns] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _gather_tags(cls, data: object) -> object:
        """Accept `tags.a.b` with any quoting: without quotes, TOML makes a table at each dot."""
        if not isinstance(data, dict):
            return data
        quoted = {name: value for name, value in data.items() if name.startswith(TAG_PREFIX)}
        rest = {name: value for name, value in data.items() if name not in quoted}
        tags = rest.get("tags", {})
        if isinstance(tags, dict):
            named = {name.removeprefix(TAG_PREFIX): value for name, value in quoted.items()}
            rest["tags"] = named | dict(_flattened(tags, ""))
        return rest

    def conditions(self) -> dict[str, tuple[str, ...]]:
        """Return the patterns by field name; that of a tag is `tags.NAME`."""
        found: dict[str, tuple[str, ...]] = {
            name: getattr(self, name) for name in sorted(self.model_fields_set - {"tags"})
        }
        return found | {f"{TAG_PREFIX}{name}": patterns for name, patterns in self.tags.items()}


def _flattened(tags: Mapping[str, object], prefix: str) -> Iterator[tuple[str, object]]:
    for name, value in tags.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


class ThresholdTable(_Table):
    """A number of occurrences within a window in milliseconds."""

    count: Annotated[int, Field(ge=1)]
    window: Annotated[int, PlainValidator(values.window)]


class MuteTable(_Table):
    """The end of a mute, in milliseconds since the epoch."""

    until: Annotated[int, PlainValidator(values.moment)]


class RuleTable(_Table):
    """One rule."""

    name: Text
    match: MatchTable = Field(default_factory=MatchTable)
    severity: Annotated[str, PlainValidator(values.severity)] = "error"
    threshold: ThresholdTable | None = None
    labels: dict[Annotated[str, AfterValidator(values.label)], Text] = Field(default_factory=dict)
    runbook: Annotated[str, PlainValidator(values.url)] | None = None
    mute: MuteTable | None = None


class FingerprintTable(_Table):
    """Fields to add to the default fields of fingerprints, and defaults to ignore."""

    add: list[Annotated[str, PlainValidator(values.added)]] = Field(default_factory=list)
    ignore: list[Annotated[str, PlainValidator(values.ignored)]] = Field(default_factory=list)


class RulesTable(_Table):
    """The whole file."""

    fingerprint: FingerprintTable = Field(default_factory=FingerprintTable)
    rule: list[RuleTable] = Field(default_factory=list)


class Mistake(NamedTuple):
    """A mistake at a key, with its remedy."""

    path: Path
    said: str


class Wrong(Exception):
    """Invalid rules; `lines` has a message for each mistake, with its place: `7: rule[2].threshold.count: …`."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


def parse(text: str) -> RulesTable:
    """Parse the text of a rules file; raises Wrong with all mistakes found."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Wrong([_syntax(text, str(error))]) from None
    except RecursionError:
        raise Wrong(["1: nests too deeply"]) from None
    try:
        found = RulesTable.model_validate(data)
    except ValidationError as error:
        mistakes = [_mistake(one) for one in error.errors()]
    else:
        mistakes = list(_beyond(found))
        if not mistakes:
            return found
    placed = sorted((_line(text, one.path), number, one) for number, one in enumerate(mistakes))
    raise Wrong(f"{line}: {_shown(one.path)}: {one.said}" for line, _, one in placed)


def _line(text: str, path: Path) -> int:
    """Return the line of a key, or of its table if the key is missing; accepts any quoting of a tag's name."""
    paths = [path]
    if path[-2:-1] == ("tags",):
        name = str(path[-1])
        paths = [path, (*path[:-1], *name.split(".")), (*path[:-2], f"{TAG_PREFIX}{name}")]
    return line_of(text, *paths) or 1


def _beyond(rules: RulesTable) -> Iterator[Mistake]:
    """Find the mistakes that only show in the whole file."""
    if set(rules.fingerprint.ignore) >= VALID_IGNORE and not rules.fingerprint.add:
        yield Mistake(("fingerprint", "ignore"), "leaves no field for fingerprints: ignore fewer, or add some")
    names: dict[str, int] = {}
    for at, rule in enumerate(rules.rule):
        first = names.setdefault(rule.name, at)
        if first != at:
            yield Mistake(("rule", at, "name"), f"{rule.name!r} is the name of rule[{first + 1}], too: rename one")


def _syntax(text: str, said: str) -> str:
    """Return tomllib's message with the line number in front."""
    found = re.search(r" \(at line (\d+), column (\d+)\)$", said)
    if found:
        return f"{found[1]}: {said[: found.start()]} (column {found[2]})"
    return f"{max(1, len(text.splitlines()))}: {said.removesuffix(' (at end of document)')}, and the file ends"


def _mistake(error: ErrorDetails) -> Mistake:
    """Return our message for an error of pydantic; both count list indices from 0."""
    # pydantic adds this step after a wrong key of a dict.
    path = tuple(step for step in error["loc"] if step != "[key]")
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return Mistake(path, f"is not a key here{_hint(path)}")
    if kind == "value_error":
        return Mistake(path, str(context["error"]))
    if kind == "missing":
        return Mistake(path, "is missing" + _MISSING.get(str(path[-1]), ""))
    if kind == "list_type" and path == ("rule",):
        return Mistake(path, "must be a list: write [[rule]], in two brackets")
    if kind == "greater_than_equal":
        return Mistake(path, f"must be at least {context['ge']}")
    return Mistake(path, _SAID.get(kind, error["msg"]))


_MISSING = {
    "name": ': give each rule one, such as name = "payments"',
    "count": ': write threshold = { count = 50, window = "1m" }',
    "window": ': write threshold = { count = 50, window = "1m" }',
    "until": ": a mute needs an end, such as until = 2026-12-01T00:00:00Z",
}
_SAID = {
    "int_type": "must be a whole number",
    "string_type": "must be a text in quotes",
    "string_too_short": "must not be empty",
    "list_type": "must be a list",
    "dict_type": 'must be a table such as { name = "value" }',
    "model_type": 'must be a table such as { name = "value" }',
}


def _hint(path: Path) -> str:
    """Return a suggestion for an unknown key."""
    table: type[_Table] = RulesTable
    for step in path[:-1]:
        if isinstance(step, str):
            table = _TABLES[step]
    for name, other in _TABLES.items():
        if path[-1] in other.model_fields:
            return f", but one of {name}"
    # In a tag's key, `tags` may be misspelt: only the text before the dot is compared.
    return values.near(str(path[-1]).partition(".")[0], table.model_fields)


_TABLES: dict[str, type[_Table]] = {
    "fingerprint": FingerprintTable,
    "rule": RuleTable,
    "match": MatchTable,
    "threshold": ThresholdTable,
    "mute": MuteTable,
}


def _shown(path: Path) -> str:
    """Return a path as in TOML, with rules counted from 1: `rule[1]` is the first."""
    return "".join(map(_step, path)).removeprefix(".")


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step + 1}]"
    return f".{step}" if _BARE_KEY.fullmatch(step) else f".{json.dumps(step)}"
