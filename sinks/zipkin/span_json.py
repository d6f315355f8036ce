"""Spans as JSON for Zipkin, changed where Zipkin 3.6.1 would take them, and then lose them or break its own answers.

- An annotation at time 0 cannot be read back from Elasticsearch: Zipkin answers 400 to every search that finds it.
- A name beyond the longest keyword is refused by Elasticsearch after Zipkin has accepted the span; Zipkin stores names
  in lower case, which may be longer. A tag name beyond 50,000 characters cannot be read back.
- The size of a text with U+2028 or U+2029 beside other characters beyond ASCII is counted wrongly: the answer ends in
  NUL bytes.
- The presence of an `error` tag is an error to Zipkin, also if its text is `false`.

The changes are for Zipkin alone, and the tag `tracelink.changed` names those that lose text or times.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

import orjson

from pipeline.formats.zipkin_json import zipkin_span
from tracelink.model.records import Annotation, Flag, Span, error_tag

CHANGED = "tracelink.changed"

_LONGEST = 32_766
"""Bytes in UTF-8 of a keyword in Elasticsearch."""
_SHORT = _LONGEST // 4
"""So many characters are never too long."""
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_SEPARATORS = {0x2028: "\n", 0x2029: "\n"}


def encode(spans: Iterable[Span]) -> bytes:
    """Return spans as a JSON list in ASCII.

    Zipkin garbles a multi-byte character that crosses the boundary of two buffers.
    """
    body = orjson.dumps([zipkin_object(span) for span in spans])
    return body if body.isascii() else _NOT_ASCII.sub(_escaped, body.decode()).encode()


def zipkin_object(span: Span) -> dict[str, Any]:
    """Return a span as a JSON object that Zipkin stores and returns; see the module."""
    found = zipkin_span(span)
    changes: list[str] = []
    if (name := found.get("name")) and len(name) > _SHORT:
        _cut_name(found, "name", "name", changes)
    for side in "localEndpoint", "remoteEndpoint":
        if (endpoint := found.get(side)) and (name := endpoint.get("serviceName")) and len(name) > _SHORT:
            _cut_name(endpoint, "serviceName", f"{side}.serviceName", changes)
    if (annotations := found.get("annotations")) and any(one["timestamp"] < 1 for one in annotations):
        found["annotations"] = _timed(annotations, found.get("timestamp"), changes)
    if tags := found.get("tags"):
        if max(map(len, tags)) > _SHORT:
            found["tags"] = tags = _short_names(tags, changes)
        if "error" in tags and error_tag(tags) is None and not span["flags"] & Flag.ERROR:
            found["tags"] = {name: text for name, text in tags.items() if name != "error"}
    if changes:
        found["tags"] = {**found.get("tags", {}), CHANGED: ", ".join(changes)}
    return found


def _cut_name(holder: dict[str, Any], field: str, shown: str, changes: list[str]) -> None:
    cut = _cut(holder[field].lower())
    if cut is not None:
        holder[field] = cut
        changes.append(f"{shown} cut")


def _cut(text: str) -> str | None:
    """Return the beginning of a text that is too long, None if it is short enough."""
    encoded = text.encode()
    return None if len(encoded) <= _LONGEST else encoded[: _LONGEST - 3].decode(errors="ignore") + "…"


def _timed(annotations: list[Annotation], time: int | None, changes: list[str]) -> list[Annotation]:
    """Return annotations without times below a microsecond: they get the span's, or are left out if it has none."""
    right = [one for one in annotations if one["timestamp"] >= 1]
    wrong = [one for one in annotations if one["timestamp"] < 1]
    if time is None or time < 1:
        changes.append(f"{len(wrong)} annotations without a time left out")
        return right
    changes.append(f"{len(wrong)} annotations without a time have the span's")
    return right + [{"timestamp": time, "value": one["value"]} for one in wrong]


def _short_names(tags: dict[str, str], changes: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    long = [name for name in tags if len(name) > _SHORT and _cut(name) is not None]
    for name, text in tags.items():
        cut = name
        if name in long:
            cut = _cut(name) or name
            while cut in found or cut in tags:
                cut += "'"
        found[cut] = text
    if long:
        changes.append(f"{len(long)} tag names cut")
    return found


def _escaped(text: re.Match[str]) -> str:
    return json.dumps(text.group().translate(_SEPARATORS))[1:-1]
