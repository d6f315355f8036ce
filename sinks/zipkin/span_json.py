"""Spans as JSON for Zipkin, changed where Zipkin 3.6.1 would take them, and then lose them or break its own answers.

- An annotation at time 0 cannot be read back from Elasticsearch: Zipkin answers 400 to every search that finds it.
- A name beyond the longest keyword is refused by Elasticsearch after Zipkin has accepted the span; Zipkin stores names
  in lower case, which may be longer. The name of a tag beyond 50,000 characters cannot be read back.
- Zipkin reads at most 10 MiB of spans for an answer: a few values of a megabyte break a search. Longer values than
  keywords may have are cut.
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
_SMALL = _LONGEST * 2 // 3
"""A span of so many bytes has no text that is too long: in lower case no character has more than half as many again."""
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_SEPARATORS = {0x2028: "\n", 0x2029: "\n"}


def encode(spans: Iterable[Span]) -> bytes:
    """Return spans as a JSON list in ASCII.

    Zipkin garbles a multi-byte character that crosses the boundary of two buffers.
    """
    body = b"[%b]" % b",".join(map(_encoded, spans))
    return body if body.isascii() else _NOT_ASCII.sub(_escaped, body.decode()).encode()


def _encoded(span: Span) -> bytes:
    found = zipkin_span(span)
    changes: list[str] = []
    if (annotations := found.get("annotations")) and any(one["timestamp"] < 1 for one in annotations):
        found["annotations"] = _timed(annotations, found.get("timestamp"), changes)
    if (tags := found.get("tags")) and "error" in tags and error_tag(tags) is None and not span["flags"] & Flag.ERROR:
        found["tags"] = {name: text for name, text in tags.items() if name != "error"}
    encoded = orjson.dumps(found)
    if len(encoded) > _SMALL:
        _shorten(found, changes)
    elif not changes:
        return encoded
    if changes:
        found["tags"] = {**found.get("tags", {}), CHANGED: ", ".join(changes)}
        encoded = orjson.dumps(found)
    return encoded


def _timed(annotations: list[Annotation], time: int | None, changes: list[str]) -> list[Annotation]:
    """Return annotations without times below a microsecond: they get the span's, or are left out if it has none."""
    right = [one for one in annotations if one["timestamp"] >= 1]
    wrong = [one for one in annotations if one["timestamp"] < 1]
    if time is None or time < 1:
        changes.append(f"{len(wrong)} annotations without a time left out")
        return right
    changes.append(f"{len(wrong)} annotations without a time have the span's")
    return right + [{"timestamp": time, "value": one["value"]} for one in wrong]


def _shorten(found: dict[str, Any], changes: list[str]) -> None:
    """Cut the texts of a span that are too long."""
    for holder, field, shown in (
        (found, "name", "name"),
        (found.get("localEndpoint", {}), "serviceName", "localEndpoint.serviceName"),
        (found.get("remoteEndpoint", {}), "serviceName", "remoteEndpoint.serviceName"),
    ):
        if _is_long(holder.get(field, "").lower()):
            holder[field] = _cut(holder[field].lower())
            changes.append(f"{shown} cut")
    if any(_is_long(one["value"]) for one in found.get("annotations", ())):
        changes.append(f"{sum(_is_long(one['value']) for one in found['annotations'])} annotations cut")
        found["annotations"] = [{**one, "value": _cut(one["value"])} for one in found["annotations"]]
    tags = found.get("tags", {})
    if names := sum(map(_is_long, tags)):
        changes.append(f"{names} names of tags cut")
    if values := sum(map(_is_long, tags.values())):
        changes.append(f"{values} tags cut")
    if names or values:
        found["tags"] = _short_tags(tags)


def _short_tags(tags: dict[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, text in tags.items():
        short = _cut(name)
        while short in found or (short != name and short in tags):
            short += "'"
        found[short] = _cut(text)
    return found


def _is_long(text: str) -> bool:
    return len(text) > _LONGEST // 4 and len(text.encode()) > _LONGEST


def _cut(text: str) -> str:
    """Return a text that is short enough, or its beginning."""
    return text.encode()[: _LONGEST - 3].decode(errors="ignore") + "…" if _is_long(text) else text


def _escaped(text: re.Match[str]) -> str:
    return json.dumps(text.group().translate(_SEPARATORS))[1:-1]
