"""Opens what container runtimes and log shippers wrap around a line.

Sources: Docker's json-file driver, CRI, `kubectl logs --prefix`, Compose, Fluent Bit, Filebeat, Logstash, journald's
JSON export, AWS Lambda and CloudWatch, Splunk's HTTP event collector, exported documents of Elasticsearch.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.json_values import load_json
from pipeline.formats.names import Part, places
from pipeline.formats.text_lines import parse_text_line
from pipeline.formats.times import parse_time
from tracelink.texts import free_name

# Fields in which runtimes and shippers keep the line of the application.
_LINES = ("log", "message", "MESSAGE", "line")
# Under these names a text is a line of the application even if it is not JSON.
_TEXTS = frozenset({"log", "MESSAGE"})
# Fields that a shipper adds; a logger's own line has none of them.
_SHIPPERS = frozenset(
    {
        "@metadata", "agent", "beat", "input", "stream", "kubernetes", "container", "docker", "_SYSTEMD_UNIT",
        "__CURSOR", "source_type", "sourcetype", "container_id",
    }
)  # fmt: skip
_HOLDERS = frozenset({"log", "MESSAGE", "line", "_source"})
# The parts of the record that the line of the application says, and not what is wrapped around it.
_INNER = frozenset({Part.TIME, Part.LEVEL, Part.MESSAGE})


class Entry(NamedTuple):
    """The fields of a line of the application, and the time of what was wrapped around it, as it was written."""

    fields: dict[str, object]
    time: object | None
    text: bool = False
    """The line was no JSON: an unreadable time is no reason to refuse it."""


def may_be_envelope(names: Collection[str]) -> bool:
    """Return True if an object with these names may hold a line of the application in another field than `message`."""
    return not (_HOLDERS.isdisjoint(names) and _SHIPPERS.isdisjoint(names))


def opened(value: dict[str, object], envelope: Entry | None) -> Entry:
    """Return a JSON object without its envelope; `envelope` is what was wrapped around the whole line."""
    if "_source" in value and "_index" in value and isinstance(source := value["_source"], dict):
        value = _joined(source, {name: field for name, field in value.items() if name != "_source"})
    if "sourcetype" in value and isinstance(event := value.get("event"), dict):  # Splunk's HTTP event collector
        others = {name: field for name, field in value.items() if name != "event"}
        own = opened(event, None)
        return Entry(_joined(own.fields, _outside(others)), own.time or _time_of(others), own.text)
    for name in _LINES:
        text = value.get(name)
        if not isinstance(text, str) or not text:
            continue
        inner = _line_in(text, value, name)
        if inner is not None:
            others = {field: other for field, other in value.items() if field != name}
            time = _time_of(others)
            entry = Entry(_joined(inner.fields, _outside(others)), inner.time or time, inner.text)
            return entry if envelope is None else _within(entry, envelope)
    return Entry(value, None) if envelope is None else _within(Entry(value, None), envelope)


def opened_text(text: str, envelope: Entry | None) -> Entry:
    """Return a line of text, with the lines that continue it; JSON behind a prefix is opened."""
    entry = None if "\n" in text else _behind_prefix(text)
    if entry is None:
        entry = Entry(dict(parse_text_line(text)), None, text=True)
    return entry if envelope is None else _within(entry, envelope)


def _line_in(text: str, outer: Mapping[str, object], name: str) -> Entry | None:
    """Return the line of the application in a field, or None if the object itself is that line."""
    begins = text[:1] if text[:1] > " " else text.lstrip()[:1]
    if begins != "{" and name not in _TEXTS and _SHIPPERS.isdisjoint(outer):
        return None
    if name == "message" and any(place.part is Part.LEVEL for field in outer for place in places(field)):
        return None
    if begins == "{":
        try:
            inner = load_json(text.encode())
        except InvalidInput:
            inner = None
        if isinstance(inner, dict):
            return opened(inner, None)
    if name not in _TEXTS and _SHIPPERS.isdisjoint(outer):
        return None
    return opened_text(text.rstrip("\r\n"), None)


def _behind_prefix(line: str) -> Entry | None:
    """Return the JSON record at the end of a line of text, with what the text before it says, or None."""
    start = line.find('{"')
    if start < 1 or not line.rstrip().endswith("}"):
        return None
    try:
        inner = load_json(line[start:].encode())
    except InvalidInput:
        return None
    if not isinstance(inner, dict) or not _is_record(inner):
        return None
    prefix = line[:start].strip()
    before = parse_text_line(prefix)
    entry = opened(inner, None)
    return Entry(_joined(entry.fields, {"prefix": prefix}), entry.time or before.get("time"))


def _is_record(value: Mapping[str, object]) -> bool:
    """Return True for an object with two of time, level and message: it is a log line, and not what one is about."""
    parts = {place.part for name in value for place in places(name)}
    return len(parts & _INNER) > 1


def _within(entry: Entry, envelope: Entry) -> Entry:
    return Entry(_joined(entry.fields, envelope.fields), entry.time or envelope.time, entry.text)


def _joined(inner: Mapping[str, object], outer: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of both; a name that both have gets an apostrophe in the outer one."""
    joined = dict(inner)
    for name, field in outer.items():
        joined[free_name(joined, name)] = field
    return joined


def _outside(outer: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of an envelope under names that do not stand for the application's time, level and message."""
    return {
        f"envelope.{name}"
        if not isinstance(field, dict) and any(place.part in _INNER for place in places(name))
        else name: field
        for name, field in outer.items()
    }


def _time_of(outer: Mapping[str, object]) -> object | None:
    """Return the time in an envelope that can be read, or None."""
    for name in sorted(outer, key=lambda name: [place.rank for place in places(name)]):
        if any(place.part is Part.TIME for place in places(name)):
            try:
                parse_time(outer[name])
            except InvalidInput:
                continue
            return outer[name]
    return None
