"""Formats texts from outside, times and tables for a terminal."""

from collections.abc import Iterable, Sequence

import click
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.cli import text as texts

_LONGEST_TEXT = 200
_WIDE = 2000
_NUMBERS = frozenset({"count", "traces"})
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_STYLES = {"critical": "bold red", "error": "red", "warning": "yellow", "info": "cyan"}


def plain(text: str | None) -> str:
    """Return a text from outside as one line that is safe for a terminal."""
    return texts.plain(text or "", _LONGEST_TEXT)


def said(exception: str | None, message: str | None) -> str:
    """Return the exception and message of an error in one line."""
    return ": ".join(text for text in (plain(exception), plain(message)) if text)


def ago(time: int, now: int) -> str:
    """Return the age of a time at `now` as text; both are in milliseconds."""
    seconds = (now - time) // 1000
    for length, unit in _UNITS:
        if seconds >= length:
            return f"{seconds // length}{unit} ago"
    return "now"


def severity(name: str) -> Text:
    """Return the name of a severity in its colour."""
    return Text(plain(name), style=_STYLES.get(name, ""))


def table(columns: Iterable[str], rows: Iterable[Sequence[str | Text]], *, whole: Iterable[str] = ()) -> Table:
    """Return a table with one line per row; on a narrow terminal, columns that are not `whole` are cut.

    Strings are never read as markup; counts are aligned to the right.
    """
    laid = Table(box=box.SIMPLE, pad_edge=False)
    kept = frozenset(whole)
    for name in columns:
        laid.add_column(Text(name), no_wrap=name in kept, justify="right" if name in _NUMBERS else "left")
    for row in rows:
        laid.add_row(*map(_cell, row))
    return laid


def _cell(cell: str | Text) -> Text:
    text = Text(cell) if isinstance(cell, str) else cell
    # Set on the text and not on the column: rich narrows only columns that may wrap.
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def console() -> Console:
    """Return a console on standard output; if that is no terminal, lines are not cut."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=_WIDE)


def printed(what: RenderableType) -> None:
    """Print to standard output, without the trailing spaces of tables."""
    out = console()
    with out.capture() as lines:
        out.print(what)
    click.echo("\n".join(line.rstrip() for line in lines.get().splitlines()))
