"""Kafka messages that no broker has sent, for the join's pure core."""

from dataclasses import dataclass

LOG_APPEND_TIME, CREATE_TIME = 2, 1


@dataclass
class FakeMessage:
    at: int
    stamp: int
    sent_key: bytes | None
    body: bytes | None
    clock: int = LOG_APPEND_TIME

    def key(self) -> bytes | None:
        return self.sent_key

    def value(self) -> bytes | None:
        return self.body

    def offset(self) -> int:
        return self.at

    def headers(self) -> list[tuple[str, bytes]] | None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return self.clock, self.stamp
