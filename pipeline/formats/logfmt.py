"""Lines of pairs `name=value`, as Go's and Heroku's loggers write them (https://brandur.org/logfmt)."""

import re

from pipeline.formats.field_names import put
from pipeline.formats.line_ids import unquoted

_BEGINS = re.compile(r"[A-Za-z_@][\w.@/-]*+=", re.ASCII)
_PAIR = re.compile(r"(?P<name>[^\s=\"]++)=(?P<value>\"(?:[^\"\\]|\\.)*+\"|[^\s\"]*+)(?:\s++|\Z)")


def parse_logfmt(line: str, at: int = 0) -> dict[str, str] | None:
    """Return all pairs of a line under their own names, or None if it has less than two or another text.

    A second value under a name gets an apostrophe behind its name.
    """
    if not _BEGINS.match(line, at):
        return None
    found: dict[str, str] = {}
    end, count = len(line), 0
    while at < end:
        match = _PAIR.match(line, at)
        if match is None:
            return None
        put(found, match[1], unquoted(match[2]))
        count += 1
        at = match.end()
    return found if count > 1 else None
