"""What a line gets that is no span or log, and the JSON text of values that are kept as such."""

import orjson


class InvalidInput(Exception):
    """A line that is no record: `reason` is one of few, for counting; `detail` says what is wrong with this one."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def kept(value: object) -> str:
    """Return a string as it is, and any other JSON value as its JSON text; raises Refused where it nests endlessly."""
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except TypeError as error:
        raise InvalidInput("value", f"cannot be kept as text ({error})") from None


def shown(value: object) -> str:
    """Return a value as a message shows it: short."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


_SHOWN = 60
