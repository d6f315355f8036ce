"""The page of the commands, from click's own tree."""

import inspect
from collections.abc import Iterator
from textwrap import dedent

import click

from pipeline.cli.options import SettingOption
from pipeline.cli.root import main

_INTRO = """\
# Commands

Written by `make docs` from the code. `tracelink COMMAND --help` prints the same.

- Each command also takes the flags of the settings that it uses. [settings.md](settings.md) has their variables,
  defaults and meanings: `--idle-gap` is `TRACELINK_IDLE_GAP`.
- Exit codes: 0 for success, 1 for an error, 2 for wrong usage, 75 for a process that its watchdog ended, 130 for a
  command that Ctrl-C interrupted before its end. Commands with other exit codes name them.
"""


def commands(command: click.Command = main, *path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield each command and group with its words, a group before its commands."""
    words = (*path, command.name or "") if path else ("tracelink",)
    yield " ".join(words), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None:
                yield from commands(found, *words)


def cli_page() -> str:
    """Return the page."""
    known = list(commands())[1:]
    index = [
        f"| [`{words}`](#{words.replace(' ', '-')}) | {command.get_short_help_str(limit=200)} |"
        for words, command in known
    ]
    sections = [line for words, command in known for line in _section(words, command)]
    return "\n".join([_INTRO, "| command | purpose |", "| --- | --- |", *index, *sections]) + "\n"


def _section(words: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=words)
    usage = " ".join([words, *command.collect_usage_pieces(context)])
    yield from ("", f"## {words}", "", f"`{usage}`")
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield ""
        yield from _paragraph(paragraph)
    records = [
        record
        for option in command.params
        if not isinstance(option, SettingOption) and (record := option.get_help_record(context))
    ]
    if records:
        yield from ("", "| option | meaning |", "| --- | --- |")
        yield from (f"| `{_cell(names)}` | {_cell(meaning)} |" for names, meaning in records)
    flags = [f"`{option.opts[0]}`" for option in command.params if isinstance(option, SettingOption)]
    if flags:
        yield from ("", f"[Settings](settings.md): {', '.join(flags)}.")


def _paragraph(text: str) -> Iterator[str]:
    """Yield the lines of a paragraph; in one that click does not wrap, a heading stands over commands."""
    if not text.startswith("\b"):
        yield text
        return
    _, heading, examples = text.split("\n", 2)
    yield from (heading, "", "```sh", dedent(examples), "```")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
