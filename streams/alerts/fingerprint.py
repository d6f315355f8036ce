"""The fingerprint of a problem: it does not depend on the ids, numbers and names in a message.

All variable parts are replaced by the same `*`: an id without letters may have letters the next time, and an address
may be redacted or not. Patterns are ASCII, so they do not depend on the version of Unicode. Each reads a text in linear
time: words match only from their beginning, and quantifiers are possessive.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

from pipeline.model.problems import RootCause

VERSION = 2
"""The version of fingerprints: that of the texts of which they are made.

1: the message of a line as it is. 2: without the header of the line's layout, and with an exception in its text.
"""
VERSION_HEADER = "tracelink.fingerprint-version"
"""Header of a problem's state: the version of its fingerprint. A state without it has version 1."""
SUCCESSOR_HEADER = "tracelink.fingerprint"
"""Header of an occurrence that comes under its fingerprint of the version before: its fingerprint of this version."""

VALID_ADD = frozenset({"httpStatus", "grpcStatus", "peer", "logger"})
"""The values of `Fields.add`, besides tags: `tags.NAME`."""
VALID_IGNORE = frozenset({"service", "operation", "exception", "message"})
"""The values of `Fields.ignore`."""
TAG_PREFIX = "tags."

LONGEST_MESSAGE = 1_000
"""Only so many characters of a message are read."""
_LONGEST_NORMALISED = 300
"""Only so many normalised characters count: the end of a cut message depends on the lengths of its variable parts."""


@dataclass(frozen=True, slots=True)
class Fields:
    """Fields of the root cause to add to a fingerprint, and default ones to ignore."""

    add: tuple[str, ...] = ()
    """Any of `httpStatus`, `grpcStatus`, `peer`, `logger`, `tags.NAME`."""
    ignore: frozenset[str] = frozenset()
    """Any of `service`, `operation`, `exception`, `message`."""


def fingerprint(origin: RootCause, fields: Fields) -> str:
    """Return the fingerprint of a problem: 16 lower-case hex characters.

    It is a hash of service, operation, exception type and message, the latter three without their variable parts, and
    of the added fields, unchanged.
    """
    usual = {
        "service": origin["service"],
        "operation": _normalised_name(origin["operation"]),
        "exception": _normalised_name(origin["exception"]),
        "message": normalised(origin["message"] or "")[:_LONGEST_NORMALISED],
    }
    found = {name: value or None for name, value in usual.items() if name not in fields.ignore}
    found |= {name: _added(origin, name) for name in fields.add}
    return blake2b(json.dumps(found, sort_keys=True).encode(), digest_size=8).hexdigest()


Headers = Mapping[str, object] | Iterable[tuple[str, object]] | None


def version_of(headers: Headers) -> int:
    """Return the version of a state's fingerprint from the headers of its message."""
    found = _header(headers, VERSION_HEADER)
    return int(found) if found is not None and found.isdecimal() else 1


def successor_of(headers: Headers) -> str | None:
    """Return the fingerprint of this version from the headers of an occurrence, or None if it comes under that one."""
    return _header(headers, SUCCESSOR_HEADER)


def _header(headers: Headers, name: str) -> str | None:
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    found = next((value for one, value in pairs if one == name), None)
    return found.decode("ascii", "replace") if isinstance(found, bytes) else None


def normalised(message: str) -> str:
    """Return a message without its variable parts and without stack frames.

    Each id, number, time, address, path and quoted text becomes `*`, and so does a list of them.
    """
    text = _FRAMES.split(message[:LONGEST_MESSAGE], maxsplit=1)[0]
    return _LIST.sub("*", _SPACE.sub(" ", _VARIES.sub("*", text))).strip()


def _normalised_name(name: str | None) -> str | None:
    """Return the name of an operation or class without ids, numbers and query string; the rest of a path is kept."""
    return _VARIES_IN_NAME.sub("*", _QUERY.sub("", name[:LONGEST_MESSAGE])) if name else None


def _added(origin: RootCause, name: str) -> str | None:
    if name.startswith(TAG_PREFIX):
        return origin["tags"].get(name.removeprefix(TAG_PREFIX))
    others = {
        "httpStatus": origin["httpStatus"],
        "grpcStatus": origin["grpcStatus"],
        "peer": origin["peer"],
        "logger": origin["logger"],
    }
    return others.get(name)


_WORD = r"(?<![A-Za-z0-9])"
_UNITS = (
    r"(?:\s?(?:%|(?:ns|us|µs|ms|s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?|(?:milli|micro|nano)seconds?|millis"
    r"|[kKMGT]i?[bB]|[bB]ytes?|B|k|K|M|G)(?![A-Za-z0-9])))?"
)
# At least two colons, so that `a:b` does not match.
_V6 = r"(?:[\da-fA-F]{0,4}:){2,7}+(?:\d{1,3}(?:\.\d{1,3}){3}|[\da-fA-F]{0,4})(?:%\w++)?"
_IDS = (
    r"\[redacted[^\]\n]{0,60}+\]",
    r"(?<![\w.+-])[\w.+-]{1,64}+@[\w-]++(?:\.[\w-]++)*+",  # e-mail
    _WORD + r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?![A-Za-z0-9])",  # UUID
    # Date and time, or one of them.
    _WORD + r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d++)?)?(?:\s?Z|\s?[+-]\d\d:?\d\d)?)?(?![A-Za-z0-9])",
    _WORD + r"\d\d?:\d\d(?::\d\d(?:[.,]\d++)?)?Z?(?![\w:])",
    r"\[" + _V6 + r"\](?::\d++)?",
    r"(?<![\w:])" + _V6 + r"(?![\w:])",
    _WORD + r"\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?:/\d{1,2})?(?![\w.])",  # IPv4
    # The suffix of a pod's name, in the letters that Kubernetes uses.
    r"(?<=-)[b-df-hj-np-tv-xz2456789]{6,10}+-[b-df-hj-np-tv-xz2456789]{5}(?![A-Za-z0-9-])",
    _WORD + r"0[xX][0-9a-fA-F]++",
    _WORD + r"[0-9a-fA-F]{8,}+(?![A-Za-z0-9])",
    # Alternating digits and letters, one or two letters before a number, or a long word with a digit: an id.
    _WORD + r"[A-Za-z]*+\d++[A-Za-z]++\d[A-Za-z0-9]*+",
    _WORD + r"[A-Za-z]{1,2}\d{3,}+(?![A-Za-z0-9])",
    _WORD + r"(?=[A-Za-z]*+\d)[A-Za-z0-9]{16,}+",
    r"(?:(?<!\S)[+-])?\d++(?:[.,]\d++)*+(?:[eE][+-]?\d++)?" + _UNITS,
)
_TEXTS = (
    r"[A-Za-z][A-Za-z0-9+.-]{1,15}+://[^\s\"'<>\])]*[^\s\"'<>\]),.;:!?]",  # URL
    r'"[^"\n]*+"',
    r"`[^`\n]*+`",
    r"(?<!\w)'[^'\n]*+'(?!\w)",  # not the apostrophes of two words
    "\u201c[^\u201d\n]*+\u201d",
    "\u2018[^\u2019\n]*+\u2019",
    "\u00ab[^\u00bb\n]*+\u00bb",
    r"(?<![\w/.~-])(?:~|\.\.?)?(?:/[\w.@%+~=$-]++)++/?",  # path
    r"(?<!\w)(?:[A-Za-z]:|\\)\\[^\s\"'<>|]++",  # path on Windows
)
_VARIES = re.compile("|".join((*_TEXTS, *_IDS)), re.ASCII)
_VARIES_IN_NAME = re.compile("|".join(_IDS), re.ASCII)
_QUERY = re.compile(r"(?<=[\w/])\?\S*+", re.ASCII)
_SPACE = re.compile(r"\s++", re.ASCII)
_LIST = re.compile(r"\*(?:[ ,;]{1,3}\*)++")
# The beginning of a stack trace in a message: its frames differ between callers.
_FRAMES = re.compile(r"\r?\n[ \t]*+(?:at |Caused by: |Traceback \(|goroutine |\.\.\. \d)", re.ASCII)
