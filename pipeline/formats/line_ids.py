"""Ids, levels and pairs of names and values in text lines."""

import re
from functools import lru_cache

from pipeline.formats.field_names import put

LEVELS = frozenset(
    {
        "TRACE", "TRC", "VERBOSE", "VRB", "FINEST", "FINER", "FINE", "CONFIG", "DEBUG", "DBG", "INFO", "INF",
        "INFORMATION", "LOG", "NOTICE", "SUCCESS", "WARN", "WARNING", "WRN", "ERROR", "ERR", "SEVERE", "FATAL", "FTL",
        "CRITICAL", "CRIT", "ALERT", "EMERG", "EMERGENCY", "PANIC",
    }
)  # fmt: skip
"""The words of levels in upper case, as text layouts print them."""

# Names without case, `.`, `_` and `-`. Not Datadog's: its values are decimals, so their names must stay known.
_PLAIN = {
    "traceid": "trace_id", "oteltraceid": "trace_id", "xb3traceid": "trace_id", "xtraceid": "trace_id",
    "tid": "trace_id", "spanid": "span_id", "otelspanid": "span_id", "xb3spanid": "span_id", "xspanid": "span_id",
    "resourceservicename": "service", "servicename": "service", "otelservicename": "service",
}  # fmt: skip
_SPELLING = str.maketrans("", "", "._-")
_NO_ID = frozenset({"", "-", "null", "none", "n/a", "undefined"})
_HEX = frozenset("0123456789abcdefABCDEF")
TRACE_CHARS, SPAN_CHARS = 32, 16

_ID = r"(?:otel|dd[._]|X-B3-|X-)?(?:trace|span)[._-]?id"
ID_PAIR = re.compile(
    rf"(?P<name>\b{_ID}\b|\bTID\b)[\"']?(?:=|: ?)[\"']?(?P<value>[^\s\"',;|()\[\]{{}}]++)[\"']?(?:[,;|](?= ))?",
    re.IGNORECASE | re.ASCII,
)
"""A trace or span id with its name, and the comma behind it."""
_PAIR = re.compile(
    r"(?P<name>[A-Za-z_@][\w.@/-]*+)=(?P<value>\"(?:[^\"\\]|\\.)*+\"|[^\s,;\"]*+)(?:[,;] ?| ++|\Z)", re.ASCII
)


def named_id(name: str, value: str) -> tuple[str, str]:
    """Return `trace_id`, `span_id` or `service` for a name that stands for one of them, any other name unchanged.

    A value that stands for no id, such as SkyWalking's `N/A`, keeps the name in the line.
    """
    return (name if value.lower() in _NO_ID else _plain(name)), value


@lru_cache(maxsize=1000)
def _plain(name: str) -> str:
    return _PLAIN.get(name.translate(_SPELLING).lower(), name)


def is_hex(text: str, chars: int) -> bool:
    """Return True if a text is a hex number of so many characters."""
    return len(text) == chars and _HEX.issuperset(text)


def pairs(text: str) -> dict[str, str] | None:
    """Return the pairs `name=value` of which a text consists, ids under their plain names, or None."""
    found: dict[str, str] = {}
    at, end = 0, len(text)
    while at < end:
        match = _PAIR.match(text, at)
        if match is None:
            return None
        put(found, *named_id(match["name"], unquoted(match["value"])))
        at = match.end()
    return found


def unquoted(value: str) -> str:
    """Return a value without its quotes and escapes."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
        return _ESCAPE.sub(_unescaped, value) if "\\" in value else value
    return value


_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "/": "/"}


def _unescaped(match: re.Match[str]) -> str:
    return _ESCAPED.get(match[1], match[0])


def ids_of(content: str) -> dict[str, str] | None:
    """Return the ids, service and other pairs in brackets of a layout, or None if it has no ids.

    `TRACE-SPAN` and a trace id alone; Sleuth's `service,TRACE,SPAN[,exportable]`; SkyWalking's `TID: …`; and pairs.
    """
    if "=" in content:
        return pairs(content.strip())
    if "," in content:
        return _sleuth([part.strip() for part in content.split(",")])
    if ":" in content:
        match = ID_PAIR.fullmatch(content.strip())
        return dict([named_id(match["name"], match["value"])]) if match else None
    trace, dash, span = content.partition("-")
    if is_hex(trace, TRACE_CHARS) and (not dash or is_hex(span, SPAN_CHARS)):
        return {"trace_id": trace, "span_id": span} if dash else {"trace_id": trace}
    return None


def _sleuth(parts: list[str]) -> dict[str, str] | None:
    most = 4
    if len(parts) > most:
        return None
    if len(parts) == 2:  # noqa: PLR2004 - trace and span without a service
        parts = ["", *parts]
    service, trace, span = parts[0], parts[1], parts[2]
    if (trace and not is_hex(trace, len(trace))) or (span and not is_hex(span, SPAN_CHARS)):
        return None
    if trace and len(trace) not in (SPAN_CHARS, TRACE_CHARS):
        return None
    found = {"service": service, "trace_id": trace, "span_id": span, "exportable": parts[3] if parts[3:] else ""}
    return {name: value for name, value in found.items() if value}
