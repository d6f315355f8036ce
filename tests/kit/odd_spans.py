"""Odd spans as JSON: what instrumentations wrote into public bug reports, drawn at random and mixed."""

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

Json = dict[str, object]
T = TypeVar("T")

START = 1_795_162_530_123_456
"""The time of an ordinary span, in microseconds."""
_TEXTS = (
    "", " ", "x", "a.b", ".", "..", "a..b", ".a", "a.", "_id", "_source", "__proto__", "*", "$ref", "error",
    "é", "café", "雪", "\U0001f35c", "İ", "ẞ", "\u202eabc", "\ufeff", "\uffff", "\ufdd0", "\u0301", "e\u0301",
    "\u2028", "\u2029", "é\u2028", "\u2029雪\u2028", "\u2028\U0001f35c", "\u0085", "\x7f", "\x80", "\0", "a\0b", "\x1f",
    "\r\n", "\t", "\b\f", '"', "\\", "\\u2028", "\\\\", "'", "</script>", "{}", "[]", "null", "false", "0", "%00",
    "\x1b[31m", "http.path",
)  # fmt: skip
_LENGTHS = (255, 256, 257, 1_024, 8_191, 8_192, 16_383, 32_766, 32_767, 50_000, 50_001, 70_000)
_TIMES: Sequence[object] = (
    0, 1, -1, 5, 999, 1000, 10**8, 10**11, 10**14, -(2**63), 2**63 - 1, 2**63, 0.5, -0.5, 1.5e15, 1e30, "", "0", "-1",
    "1.5", "soon", None, True, False, [], {}, 1_795_162_530, 1_795_162_530_123, 1_795_162_530_123_456_789,
    "1795162530123456", "1795162530123456.7", "2026-11-20T08:15:30.123Z",
)  # fmt: skip
_KINDS: Sequence[object] = (
    "SERVER",
    "CLIENT",
    "PRODUCER",
    "CONSUMER",
    "server",
    "INTERNAL",
    "SPAN_KIND_CLIENT",
    "",
    "?",
    None,
    2,
    [],
    {},
)
_PORTS: Sequence[object] = (0, 1, -1, 65535, 65536, "80", "http", 80.0, 80.5, None, True, [], 2**40)
_ADDRESSES: Sequence[object] = (
    "10.0.0.7", "010.0.0.7", "256.0.0.1", "2001:db8::c001", "::", "::1", "::1.2.3.4", "::ffff:1.2.3.4",
    "fe80::1%eth0", "localhost", "", None, 7, "::ffff:0:0", "64:ff9b::1.2.3.4",
)  # fmt: skip
_FLAGS: Sequence[object] = (True, False, None, 0, 1, "true", "False", "yes", 2, [])
_VALUES: Sequence[object] = (None, True, False, 0, -1, 1.5, 2**63, [], {}, [None], {"a": {"b": []}}, "x")


class OddSpans:
    """Draws spans; the same seed gives the same spans."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def span(self) -> Json:
        """Draw a span with valid ids, and any other field right, odd or absent."""
        span: Json = {"traceId": self._id(), "id": self._id()[:16], "timestamp": START, "duration": 1431}
        fields: dict[str, Callable[[], object]] = {
            "parentId": lambda: self._one((None, "", "0", "a", span["id"], 7)),
            "kind": lambda: self._one(_KINDS),
            "name": self._text_or_value,
            "timestamp": lambda: self._one(_TIMES),
            "duration": lambda: self._one(_TIMES),
            "localEndpoint": self._endpoint,
            "remoteEndpoint": self._endpoint,
            "annotations": self._annotations,
            "tags": self._tags,
            "debug": lambda: self._one(_FLAGS),
            "shared": lambda: self._one(_FLAGS),
            "unknown": lambda: self._one(_VALUES),
        }
        for name, draw in fields.items():
            if self._random.random() < 0.5:
                span[name] = draw()
        return span

    def text(self) -> str:
        """Draw a text: an odd one, several of them, or a long one of one of them."""
        drawn = self._random.random()
        if drawn < 0.5:
            return self._one(_TEXTS)
        if drawn < 0.9:
            return "".join(self._random.choices(_TEXTS, k=self._random.randint(2, 5)))
        letter = self._one(("x", "é", "雪", "\U0001f35c", "İ", "\u2028", self._one(_TEXTS) or "x"))
        return (letter * (length := self._one(_LENGTHS)))[:length]

    def _endpoint(self) -> object:
        if self._random.random() < 0.1:
            return self._one((None, [], {}))
        endpoint: Json = {}
        if self._random.random() < 0.8:
            endpoint["serviceName"] = self._text_or_value()
        for name in "ipv4", "ipv6":
            if self._random.random() < 0.3:
                endpoint[name] = self._one(_ADDRESSES)
        if self._random.random() < 0.3:
            endpoint["port"] = self._one(_PORTS)
        return endpoint

    def _annotations(self) -> object:
        return [
            {"timestamp": self._one((START, *_TIMES)), "value": self._text_or_value()}
            for _ in range(self._random.randint(0, 4))
        ]

    def _tags(self) -> object:
        return {self.text(): self._text_or_value() for _ in range(self._random.randint(0, 5))}

    def _text_or_value(self) -> object:
        return self.text() if self._random.random() < 0.9 else self._one(_VALUES)

    def _id(self) -> str:
        return f"{self._random.getrandbits(128) | 1 << 64 | 1:032x}"

    def _one(self, some: Sequence[T]) -> T:
        return self._random.choice(some)
