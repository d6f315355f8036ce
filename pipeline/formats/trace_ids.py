"""Trace and span ids as other systems spell them, mapped to ours; one function for log lines, spans and commands.

Sources: W3C Trace Context (`traceparent`), B3 (https://github.com/openzipkin/b3-propagation), Jaeger's
`uber-trace-id`, AWS X-Ray, Google's `projects/…/traces/…` and X-Cloud-Trace-Context, Datadog's decimals, SkyWalking,
and the base64 of protobuf's JSON.
"""

import re
from base64 import b64decode
from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

from tracelink.model.records import NO_TRACE, Flag

_HEX = frozenset("0123456789abcdefABCDEF")
_WIDTH, _SHORT = 32, 16
_LENGTHS = (_WIDTH, _SHORT)
_SPAN = 16
# Shorter texts are words, counters or request numbers, not ids whose leading zeros were dropped.
_LEAST_HEX = 8
_MAX_64 = 1 << 64
_MAX_128 = 1 << 128
_PLAIN = re.compile(r"(?:0[xX])?([0-9a-fA-F]{32}|[0-9a-fA-F]{16})")
_UUID = re.compile(r"([0-9a-fA-F]{8})-([0-9a-fA-F]{4})-([0-9a-fA-F]{4})-([0-9a-fA-F]{4})-([0-9a-fA-F]{12})")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")
_B3 = re.compile(r"([0-9a-fA-F]{32}|[0-9a-fA-F]{16})-([0-9a-fA-F]{16})(?:-[01d](?:-[0-9a-fA-F]{16})?)?")
_XRAY = re.compile(r"(?:.*\bRoot=)?1-([0-9a-fA-F]{8})-([0-9a-fA-F]{24})(?:;.*)?")
_XRAY_PARENT = re.compile(r";\s*Parent=([0-9a-fA-F]{16})")
_GOOGLE = re.compile(r"projects/[^/]+/traces/([0-9a-fA-F]{32})")
_GOOGLE_HEADER = re.compile(r"([0-9a-fA-F]{32})/(\d{1,20})(?:;.*)?")
_UBER = re.compile(r"([0-9a-fA-F]{1,32}):([0-9a-fA-F]{1,16}):[0-9a-fA-F]{1,16}:[0-9a-fA-F]{1,2}")
# protobuf's JSON writes bytes as base64.
_BASE64 = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
_BASE64_SPAN = re.compile(r"[A-Za-z0-9+/]{10}[AEIMQUYcgkosw048]=")
# SkyWalking's Java agent: process id, thread and sequence.
_SKYWALKING = re.compile(r"[0-9a-fA-F]{32}\.\d+\.\d{10,}")
# Service, instance, trace, segment and span.
_SKYWALKING_CONTEXT = re.compile(r"[^,]+,[^,]+,([^,]+),[^,]+,-?\d+")


class TraceId(NamedTuple):
    """A trace id of 16 bytes, its flag (`Flag.SHORT_ID` or 0), and the span id that stood beside it."""

    value: bytes
    flags: int
    span_id: str | None = None


_NO_IDS = frozenset({"", "N/A", "Ignored_Trace"})
UNTRACED = TraceId(NO_TRACE, 0)
"""A trace id that means "no trace": empty, zero, or SkyWalking's N/A."""


def read_trace_id(text: str, *, decimal: bool = False) -> TraceId | None:
    """Return the trace id that a text spells, `UNTRACED` if it says that there is none, or None if it spells no id.

    `decimal`: the text is Datadog's, which writes 64 bits as a decimal number. Elsewhere digits are hex only if they
    are as many as an id has, since a decimal number read as hex would link the record to another trace.
    """
    size = len(text)
    if decimal and text.isdecimal() and size != _WIDTH:
        return _from_number(int(text)) if size <= len(str(_MAX_128)) else None
    if size in _LENGTHS and text.isalnum():
        try:
            return _from_hex(text)
        except ValueError:  # other letters than a to f
            return _from_form(text)
    if not text.strip("0"):
        return UNTRACED
    if size < _WIDTH and _HEX.issuperset(text):
        return _from_hex(text) if size >= _LEAST_HEX and not text.isdecimal() else None
    return _from_form(text.strip().strip("\"'{}[]").replace("%3A", ":"))


def _from_form(text: str) -> TraceId | None:
    """Return the trace id of a text that is not hex alone."""
    if text[:4].upper() == "TID:":
        return UNTRACED if (inner := text[4:].strip()) in _NO_IDS else read_trace_id(inner)
    if text in _NO_IDS:
        return UNTRACED
    for form, build in _FORMS:
        if found := form.fullmatch(text):
            return build(found)
    return None


def _base64(found: re.Match[str]) -> TraceId:
    return _from_hex(b64decode(found[0]).hex())


def _xray(found: re.Match[str]) -> TraceId:
    parent = _XRAY_PARENT.search(found[0])
    return _from_hex(found[1] + found[2], parent[1].lower() if parent else None)


def _context(found: re.Match[str]) -> TraceId | None:
    return read_trace_id(found[1])


def _skywalking(found: re.Match[str]) -> TraceId:
    # It has more than 128 bits. The hash depends on the whole text, so all services get the same id.
    return TraceId(blake2b(found[0].encode(), digest_size=16).digest(), 0)


_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], TraceId | None]], ...] = (
    (_PLAIN, lambda found: _from_hex(found[1])),
    (_UUID, lambda found: _from_hex("".join(found.groups()))),
    (_TRACEPARENT, lambda found: _from_hex(found[1], found[2])),
    (_B3, lambda found: _from_hex(found[1], found[2].lower())),
    (_XRAY, _xray),
    (_GOOGLE, lambda found: _from_hex(found[1])),
    (_GOOGLE_HEADER, lambda found: _from_hex(found[1], read_span_id(found[2], decimal=True) or None)),
    (_UBER, lambda found: _from_hex(found[1], read_span_id(found[2].zfill(_SPAN)) or None)),
    (_SKYWALKING, _skywalking),
    (_SKYWALKING_CONTEXT, _context),
    (_BASE64, _base64),
)


def _from_hex(digits: str, span_id: str | None = None) -> TraceId:
    value = bytes.fromhex(digits if len(digits) == _WIDTH else digits.zfill(_WIDTH))
    if value == NO_TRACE:
        return UNTRACED
    return TraceId(value, int(Flag.SHORT_ID) if len(digits) <= _SHORT else 0, span_id)


def _from_number(number: int) -> TraceId | None:
    if number >= _MAX_128:
        return None
    if not number:
        return UNTRACED
    return TraceId(number.to_bytes(16), int(Flag.SHORT_ID) if number < _MAX_64 else 0)


def read_span_id(text: str, *, decimal: bool = False) -> str | None:
    """Return a span id as 16 lower-case hex characters; an empty text for none or zero, None if the text spells no id.

    `decimal`: as for `read_trace_id`.
    """
    if len(text) == _SPAN and not decimal and text.isalnum():
        try:
            bytes.fromhex(text)
        except ValueError:  # other letters than a to f
            return None
        return text.lower() if text.strip("0") else ""
    if not text.strip("0"):
        return ""
    if decimal and text.isdecimal():
        number = int(text) if len(text) <= len(str(_MAX_64)) else _MAX_64
        return f"{number:016x}" if number < _MAX_64 else None
    if _BASE64_SPAN.fullmatch(text):
        text = b64decode(text).hex()
    digits = text[2:] if text[:2] in ("0x", "0X") else text
    return digits.lower().zfill(_SPAN) if 0 < len(digits) <= _SPAN and _HEX.issuperset(digits) else None
