"""The content of a compacted topic: the newest value of each key."""

from collections.abc import Iterable
from typing import Self

from confluent_kafka import Message


class Newest(dict[bytes, bytes]):
    """The newest value of each key; an empty value removes its key."""

    @classmethod
    def of(cls, messages: Iterable[Message]) -> Self:
        """Return the newest values of these messages, which are in order."""
        newest = cls()
        for message in messages:
            newest.take(message.key() or b"", message.value())
        return newest

    def take(self, key: bytes, value: bytes | None) -> None:
        """Apply a record."""
        if value:
            self[key] = value
        else:
            self.pop(key, None)
