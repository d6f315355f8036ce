"""What has come to the topics of a gateway during a test."""

from collections import Counter
from typing import Any

from tests.kit.kafka_topics import read
from tracelink.kafka.messages import EncodedRecord
from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.settings import KafkaSettings


class Arrivals:
    """The records that come after this is made; a record that comes twice is there twice."""

    def __init__(self, where: KafkaSettings) -> None:
        self._where = where
        self._earlier = Counter(read(where))

    def spans(self) -> list[dict[str, Any]]:
        """Return the spans by their names, without fields that are not set."""
        found = [SPAN.decode(one.value) for one in self._new() if one.topic.endswith("spans")]
        return sorted(map(_given, found), key=lambda span: span["name"])

    def lines(self) -> list[dict[str, Any]]:
        """Return the log records by their messages, also those without a trace."""
        found = [LOG_RECORD.decode(one.value) for one in self._new() if one.topic.endswith("logs")]
        return sorted(map(_given, found), key=lambda line: line["message"])

    def _new(self) -> list[EncodedRecord]:
        return list((Counter(read(self._where)) - self._earlier).elements())


def _given(value: object) -> Any:  # noqa: ANN401 - a record, or the value of a field
    """Leave out the fields that are not set."""
    if isinstance(value, dict):
        return {name: _given(of) for name, of in value.items() if of not in (None, [], {})}
    return value
