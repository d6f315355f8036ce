"""The tables of settings of `tracelink settings` and docs/settings.md."""

from collections.abc import Iterator

from pydantic_core import PydanticUndefined

from pipeline.settings import processes
from tracelink.settings import Settings, variable_of


def settings_table() -> str:
    """Return a Markdown table for each group of settings: variables, defaults, meanings."""
    shown: set[str] = set()
    lines: list[str] = []
    for group in _groups():
        rows = [
            f"| `{variable_of(name)}` | {shown_default(group, name)} | {field.description} |"
            for name, field in group.model_fields.items()
            if name not in shown
        ]
        if rows:
            lines += [f"## {group.title}", "", "| variable | default | meaning |", "| --- | --- | --- |", *rows, ""]
        shown |= group.model_fields.keys()
    return "\n".join(lines).rstrip()


def _groups() -> Iterator[type[Settings]]:
    """Yield the classes that define settings: those of most processes first, base classes before their subclasses."""
    leaves = list(processes().values())
    users = {
        group: sum(issubclass(leaf, group) for leaf in leaves)
        for leaf in leaves
        for group in leaf.__mro__
        if issubclass(group, Settings) and group.title
    }
    yield from sorted(users, key=lambda group: (-users[group], len(group.__mro__), group.title))


def shown_default(group: type[Settings], name: str) -> str:
    """Return a setting's default in readable form, empty if there is none."""
    default = group.model_fields[name].default
    if default is None or default is PydanticUndefined:
        return ""
    human = getattr(default, "human_readable", None)
    return str(human() if human else default)
