"""The error for input that is not a span or a log line, and texts of JSON values."""

import json

import orjson


class InvalidInput(Exception):
    """Input that is not a record; `reason` is one of a few, for counting; `detail` describes this case."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def at(self, place: str) -> "InvalidInput":
        """Return the same error with its place before the detail; unchanged for no place."""
        return InvalidInput(self.reason, f"{place}: {self.detail}") if place else self


def kept(value: object) -> str:
    """Return a string unchanged, any other value as its JSON text; raises InvalidInput if it is nested too deeply."""
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # integers of more than 64 bits, or deep nesting
        pass
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        raise InvalidInput("value", "cannot be kept as text (nested too deeply)") from None


def shown(value: object) -> str:
    """Return a short form of a value for a message."""
    try:
        text = repr(value)
    except RecursionError:
        return f"a {type(value).__name__} that is nested too deeply"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


_SHOWN = 60
