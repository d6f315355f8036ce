"""Lines of syslog: RFC 5424, RFC 3164, and what rsyslog writes into files."""

import re

from pipeline.formats.field_names import put
from pipeline.formats.level_numbers import SYSLOG_LEVELS

_MOST_PRIORITY = 191
_PRIORITY = re.compile(r"<(\d{1,3})>", re.ASCII)
_RFC_5424 = re.compile(
    r"(?P<version>1) (?P<time>\S++) (?P<host>\S++) (?P<service>\S++) (?P<pid>\S++) (?P<id>\S++) (?P<rest>.*+)", re.ASCII
)
_ELEMENT = re.compile(r"\[(?P<id>[^\s=\]\"]++)(?P<params>(?: [^\s=\]\"]++=\"(?:[^\"\\\]]|\\.)*+\")*+) ?\]")
_PARAM = re.compile(r" (?P<name>[^\s=\]\"]++)=\"(?P<value>(?:[^\"\\\]]|\\.)*+)\"")
_STAMP = r"[A-Z][a-z]{2} [ \d]?\d(?: \d{4})? \d\d:\d\d:\d\d(?:\.\d++)?"
_RFC_3164 = re.compile(
    rf"(?P<time>{_STAMP}|\d{{4}}-\d\d-\d\dT\S++) (?:(?P<host>[^\s:\[\]]++) )?(?P<service>[^\s:\[\]]++)"
    r"(?:\[(?P<pid>[^\]\s]*+)\])?: ?(?P<message>.*+)",
    re.ASCII,
)
_NAMES = {
    "version": "log.syslog.version", "host": "host.name", "pid": "process.pid", "id": "log.syslog.msgid",
}  # fmt: skip
_NONE = "-"


def parse_syslog(line: str) -> dict[str, str] | None:
    """Return the fields of a line, or None; the level is that of the priority, which stays a field.

    Structured data become fields `ELEMENT.NAME`, and the program is the service.
    """
    priority = _PRIORITY.match(line)
    found: dict[str, str] = {}
    at = 0
    if priority and int(priority[1]) <= _MOST_PRIORITY:
        found = {"level": SYSLOG_LEVELS[int(priority[1]) & 7], "log.syslog.priority": priority[1]}
        at = priority.end()
        if match := _RFC_5424.match(line, at):
            return found | _named(match) | _structured(match["rest"])
    if match := _RFC_3164.match(line, at):
        return found | _named(match)
    if not found:
        return None
    return found | {"message": line[at:]}


def _named(match: re.Match[str]) -> dict[str, str]:
    values = match.groupdict().items()
    return {_NAMES.get(name, name): value for name, value in values if name != "rest" and value and value != _NONE}


def _structured(rest: str) -> dict[str, str]:
    """Return the structured data and the message behind them."""
    found: dict[str, str] = {}
    if rest == _NONE or rest.startswith("- "):
        return {"message": rest[2:].removeprefix("\ufeff")}
    at = 0
    while element := _ELEMENT.match(rest, at):
        if not element["params"]:
            put(found, element["id"], "")
        for param in _PARAM.finditer(element["params"]):
            put(found, f"{element['id']}.{param['name']}", _ESCAPE.sub(r"\1", param["value"]))
        at = element.end()
    return found | {"message": rest[at:].removeprefix(" ").removeprefix("\ufeff")}


_ESCAPE = re.compile(r"\\([\"\\\]])")
