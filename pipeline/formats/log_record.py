"""Log records from decoded lines, by the names of the loggers' table."""

import re
from typing import Any

from pipeline.formats.envelopes import Entry
from pipeline.formats.exceptions import exception_of, exception_of_text, header
from pipeline.formats.invalid_input import InvalidInput, kept, shown
from pipeline.formats.level_numbers import level_of_number
from pipeline.formats.line_fields import LineFields
from pipeline.formats.names import Part, canonical
from pipeline.formats.times import is_date, may_be_time, parse_time
from pipeline.formats.trace_ids import UNTRACED, TraceId, read_span_id, read_trace_id
from tracelink.model.levels import known_level, shown_level
from tracelink.model.records import ErrorRule, Flag, LoggedException, LogRecord

_MAX_MADE_MESSAGE = 512
_DATE_CHARS = 10
_CLOCK = re.compile(r"\s*\d{1,2}:\d{2}")
# Names under which only words are levels, not numbers: HTTP statuses, and single letters of other meaning.
_WORDS_ONLY = frozenset({"status", "s", "label"})
# Only these names have levels of an application's own; `priority` may be that of an order.
_NAMES_OF_OWN_WORDS = ("level", "loglevel", "lvl", "severity", "@l")
_LEVEL_WORDS = ("name", "Name", "label", "DisplayName", "displayName", "text", "levelStr")
_MESSAGE_OBJECTS = frozenset({"message", "msg", "body"})
_TEMPLATES = frozenset({"@mt", "messagetemplate"})
_PLACEHOLDER = re.compile(r"\{[@$]?(\w+)(?:[,:][^}]*)?\}")
# The comment that SQL instrumentations add to a statement (https://google.github.io/sqlcommenter/).
_SQL_COMMENT = re.compile(r"traceparent='([0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})'")
# A trace id of these lengths is hex, as we print it.
_OUR_LENGTHS = (16, 32)


def parse_log(
    value: object, record_id: str, rule: ErrorRule, *, otherwise: int | None = None, strict: bool = True
) -> LogRecord:
    """Return a decoded JSON object as a log record with this id; raises InvalidInput.

    Each part of the record comes from the first of its names (`names.LOGGERS`) that has a usable value. A field stays
    among the record's fields, with its value as text, unless the record says the same. Null fields are ignored.
    `otherwise` is the time of a line that has none, in microseconds since the epoch; without it such a line is refused.
    `strict`: so is a line whose time cannot be read.
    """
    if not isinstance(value, dict):
        raise InvalidInput("no object", f"a log line is a JSON object, not {shown(value)}")
    line = LineFields(value)
    timestamp = _take_time(line, otherwise, strict=strict)
    level = _take_level(line)
    trace = _take_trace_id(line)
    span_id = _take_span_id(line) or trace.span_id
    exception = _take_exception(line) if line.may_have_exception else None
    message = _take_message(line)
    if message is not None and exception is None and (exception := exception_of_text(message)) is not None:
        message = _before(message, exception)
    if message is None:
        message = _text_of(exception) or _as_text(line)
    service, logger = _take_text(line, Part.SERVICE), _take_text(line, Part.LOGGER)
    return {
        "flags": trace.flags | Flag.ERROR if rule.log(level) else trace.flags,
        "traceId": trace.value,
        "id": record_id,
        "spanId": span_id,
        "timestamp": timestamp,
        "service": service,
        "level": level,
        "logger": logger,
        "message": message,
        "exception": exception,
        "fields": {name: field if type(field) is str else kept(field) for name, field in line.fields.items()},
    }


class LineReader:
    """Reads the lines of one file: a line without a time takes that of the line before it, the first ones `otherwise`.

    So a second reading of the file gives the same times.
    """

    def __init__(self, rule: ErrorRule, otherwise: int) -> None:
        """`otherwise` is in microseconds since the epoch."""
        self._rule = rule
        self._last = otherwise

    def read(self, entry: Entry, record_id: str) -> LogRecord:
        """Return a line as a log record with this id; raises InvalidInput."""
        record = parse_log(entry.fields, record_id, self._rule, otherwise=self._otherwise(entry), strict=not entry.text)
        self._last = record["timestamp"]
        return record

    def _otherwise(self, entry: Entry) -> int:
        """Return the time of a line that has none: that of its envelope, else of the line before it."""
        if entry.time is None:
            return self._last
        try:
            return parse_time(entry.time)
        except InvalidInput:
            return self._last


def _take_time(line: LineFields, otherwise: int | None, *, strict: bool) -> int:
    """Take the time, in microseconds; a date and a time of day in two fields are joined."""
    refused: InvalidInput | None = None
    day: str | None = None
    for name, _ in line.candidates[Part.TIME]:
        value = line.values.get(name)
        if day is None and type(value) is str and len(value) <= _DATE_CHARS and is_date(value):
            day = name
            continue
        try:
            time = parse_time(value)
        except InvalidInput as error:
            if may_be_time(value):
                refused = refused or error
            continue
        line.drop(name)
        return time
    joined = _time_of_two(line) if day is not None or refused is not None else None
    if joined is not None:
        return joined
    if day is not None:
        time = parse_time(line.values[day])
        line.drop(day)
        return time
    if refused is not None and (strict or otherwise is None):
        raise refused
    if otherwise is None:
        raise InvalidInput("no time", "the line has no time")
    return otherwise


def _time_of_two(line: LineFields) -> int | None:
    """Take a time whose day is in one field and whose time of day is in another, if any."""
    names = [name for name, _ in line.candidates[Part.TIME] if isinstance(line.values.get(name), str)]
    for clock in names:
        if _CLOCK.match(line.values[clock]) is None:
            continue
        for day in names:
            try:
                time = parse_time(f"{line.values[day]} {line.values[clock]}")
            except InvalidInput:
                continue
            line.drop(day)
            line.drop(clock)
            return time
    return None


def _take_level(line: LineFields) -> str | None:
    """Take the level; a word or number that says more than the level stays a field."""
    unknown: str | None = None
    for name, _ in line.candidates[Part.LEVEL]:
        value = line.values.get(name)
        if isinstance(value, dict):
            value = next((value[word] for word in _LEVEL_WORDS if isinstance(value.get(word), str)), None)
        if isinstance(value, str):
            level = known_level(value)
            if level is None:
                number = _number(value)
                level = _numbered(line, name, number) if number is not None else None
                if number is None and value.strip() and canonical(name).startswith(_NAMES_OF_OWN_WORDS):
                    unknown = unknown or name
            elif value.upper() == level and value == line.fields.get(name):
                line.drop(name)
        else:
            level = _numbered(line, name, value)
        if level is not None:
            return level
    return _unknown_level(line, unknown) if unknown is not None else None


def _numbered(line: LineFields, name: str, value: object) -> str | None:
    """Return the level that a number stands for."""
    if isinstance(value, bool) or not isinstance(value, int | float) or (plain := canonical(name)) in _WORDS_ONLY:
        return None
    return level_of_number(value, plain, line.fields)


def _unknown_level(line: LineFields, name: str) -> str | None:
    """Take a level that is a word of the application's own."""
    if not isinstance(value := line.values.get(name), str):  # it is in an object
        return None
    word = shown_level(value)
    if word == value.upper():
        line.drop(name)
    return word or None


def _take_trace_id(line: LineFields) -> TraceId:
    """Take the trace id; one in another spelling than ours stays a field, too."""
    for name, decimal in line.candidates[Part.TRACE_ID]:
        text = _id_text(line, name, decimal=decimal)
        if text is None or (trace := read_trace_id(text, decimal=decimal)) is None:
            continue
        if trace.value == UNTRACED.value:
            line.drop(name)
            continue
        if not decimal and len(text) in _OUR_LENGTHS:
            line.drop(name)
        return trace
    for value in line.fields.values():
        if isinstance(value, str) and "traceparent=" in value and (comment := _SQL_COMMENT.search(value)):
            return read_trace_id(comment[1]) or UNTRACED
    return UNTRACED


def _id_text(line: LineFields, name: str, *, decimal: bool) -> str | None:
    """Return an id as text, which may be a number where ids are decimals; None for any other value."""
    value = line.values.get(name)
    if decimal and type(value) is int:
        return str(value)
    return value if isinstance(value, str) else None


def _take_span_id(line: LineFields) -> str | None:
    """Take the span id; one in another spelling than ours stays a field, too."""
    for name, decimal in line.candidates[Part.SPAN_ID]:
        text = _id_text(line, name, decimal=decimal)
        if text is None or (span_id := read_span_id(text, decimal=decimal)) is None:
            continue
        if not span_id or text.lower() == span_id.lstrip("0") or text.lower() == span_id:
            line.drop(name)
        if span_id:
            return span_id
    return None


def _take_text(line: LineFields, part: Part) -> str | None:
    """Take the first text that is not empty."""
    for name, _ in line.candidates[part]:
        if isinstance(text := line.values.get(name), str) and text:
            line.drop(name)
            return text
    return None


def _take_message(line: LineFields) -> str | None:
    """Take the message: a text, else a number or the like, else an object as JSON text."""
    objects: list[str] = []
    for name, _ in line.candidates[Part.MESSAGE]:
        value = line.values.get(name)
        if isinstance(value, str) and value.strip():
            line.drop(name)
            return _rendered(line, name, value) if "{" in value else value
        if isinstance(value, dict | list):
            if value and canonical(name) in _MESSAGE_OBJECTS:
                objects.append(name)
        elif value is not None and not isinstance(value, str):
            line.drop(name)
            return kept(value)
    for name in objects:
        value = line.values.get(name)
        line.drop(name)
        return _of_object(value)
    return None


def _rendered(line: LineFields, name: str, text: str) -> str:
    """Return a text; a template of Serilog's with its values, and the template stays a field."""
    if canonical(name) not in _TEMPLATES:
        return text
    line.fields[name] = text

    def value(placeholder: re.Match[str]) -> str:
        for property_name in (placeholder[1], f"Properties.{placeholder[1]}"):
            if property_name in line.fields:
                return kept(line.fields[property_name])
        return placeholder[0]

    return _PLACEHOLDER.sub(value, text)


def _of_object(value: Any) -> str:  # noqa: ANN401 - a message of any shape
    """Return a message that is no text: OpenTelemetry's AnyValue, journald's bytes, any other object as JSON text."""
    if isinstance(value, dict) and len(value) == 1 and isinstance(text := value.get("stringValue"), str):
        return text
    if isinstance(value, list) and all(type(one) is int and 0 <= one < 1 << 8 for one in value):
        return bytes(value).decode(errors="replace")
    return kept(value)


def _take_exception(line: LineFields) -> LoggedException | None:
    """Take the exception from the fields of its parts, and what they do not say from a whole one."""
    kind, message = _take_text(line, Part.ERROR_TYPE), _take_text(line, Part.ERROR_MESSAGE)
    stack = _take_stack(line)
    for name, _ in line.candidates[Part.ERROR]:
        if (whole := exception_of(line.values.get(name))) is not None:
            _drop_said(line, name, [text for text in whole.values() if isinstance(text, str)])
            kind, message = kind or whole.get("type"), message or whole.get("message")
            stack = stack or whole.get("stackTrace")
            break
    if stack and not (kind and message) and (said := exception_of_text(stack)) is not None:
        kind, message = kind or said.get("type"), message or said.get("message")
    if kind is None and message is None and stack is None:
        return None
    return {"type": kind, "message": message, "stackTrace": stack}


def _take_stack(line: LineFields) -> str | None:
    for name, _ in line.candidates[Part.STACK_TRACE]:
        value = line.values.get(name)
        if isinstance(value, str) and value:
            line.drop(name)
            return value
        if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
            line.drop(name)
            return "\n".join(one.rstrip("\n") for one in value)
        if isinstance(value, list) and (whole := exception_of(value)) is not None:
            return whole.get("stackTrace")
    return None


def _drop_said(line: LineFields, name: str, said: list[str]) -> None:
    """Remove the fields of an exception that the record's exception says."""
    for inner in (name, *line.of_object(name)):
        if line.fields.get(inner) in said:
            del line.fields[inner]


def _as_text(line: LineFields) -> str:
    """Return the fields as JSON text, cut after 512 characters: the message of a line without one."""
    text = kept(line.fields)
    return text if len(text) <= _MAX_MADE_MESSAGE else f"{text[:_MAX_MADE_MESSAGE]}…"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _before(message: str, exception: LoggedException) -> str:
    """Return a message without the stack trace at its end, which the exception has."""
    stack = exception.get("stackTrace")
    if not stack or not message.rstrip().endswith(stack.rstrip()):
        return message
    return message.rstrip()[: -len(stack.rstrip())].rstrip() or _text_of(exception) or message


def _text_of(exception: LoggedException | None) -> str | None:
    """Return the first line of an exception: its type and message."""
    return (header(exception.get("type"), exception.get("message")) or None) if exception else None
