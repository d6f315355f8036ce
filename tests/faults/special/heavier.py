"""Records made longer, for scenarios in which bytes matter."""

from dataclasses import replace

from tests.faults.traffic import Message
from tests.faults.wire import Json, encode

_WORD = " padding"


class Heavier:
    """Adds so many bytes to the records of some topics; the same message always comes out the same."""

    def __init__(self, padding: int, *topics: str) -> None:
        self._padding = _WORD * (padding // len(_WORD))
        self._topics = topics

    def __call__(self, message: Message) -> Message:
        if message.topic not in self._topics or message.record is None:
            return message
        name, body = self._padded(message.record.body)
        return replace(message, value=encode(name, body), record=replace(message.record, body=body))

    def _padded(self, body: Json) -> tuple[str, Json]:
        if "tags" in body:
            return "span", body | {"tags": body["tags"] | {"padding": self._padding}}
        return "log_record", body | {"message": body["message"] + self._padding}
