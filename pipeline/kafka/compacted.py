"""What a compacted topic says: the newest value of each key."""

from collections.abc import Iterable
from typing import Self

from confluent_kafka import Message


class Newest(dict[bytes, bytes]):
    """The newest value of each key, from the records in their order; an empty value takes its key out."""

    @classmethod
    def of(cls, messages: Iterable[Message]) -> Self:
        """Return what is left of messages."""
        newest = cls()
        for message in messages:
            newest.take(message.key() or b"", message.value())
        return newest

    def take(self, key: bytes, value: bytes | None) -> None:
        """Take a record in."""
        if value:
            self[key] = value
        else:
            self.pop(key, None)
