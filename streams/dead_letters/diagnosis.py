"""Finds the faults of a dead letter: in its key, its frame, and its body under its schema. Pure."""

from dataclasses import dataclass
from typing import Any

from pipeline.model.problems import ALERT, OCCURRENCE, PROBLEM
from streams.dead_letters.dead_letter import DeadLetter
from streams.dead_letters.walk import Fault, Leaf, walk
from tracelink.errors import Reason
from tracelink.model.codec import HEADER_BYTES, LOG_RECORD, MAGIC, SPAN, TRACE, TRACE_ID, Codec
from tracelink.model.records import TRACE_ID_CHARS

_CODECS: dict[str, Codec[Any]] = {
    "span": SPAN,
    "log record": LOG_RECORD,
    "trace": TRACE,
    "problem": PROBLEM,
    "alert": ALERT,
    "occurrence": OCCURRENCE,
}
_OF_KIND = {"span": "span", "log": "log record", "trace": "trace", "problem": "problem", "alert": "alert"}
# By the ends of topic names, because a prefix may have any text. The first match counts.
_OF_TOPIC = {
    "unlinked-logs": "log record",
    "spans": "span",
    "logs": "log record",
    "traces": "trace",
    "problems": "problem",
    "alerts": "alert",
    "errors": "occurrence",
}
_OF_HEADER = {codec.header: name for name, codec in _CODECS.items()}
_NO_TRACE = "0" * TRACE_ID_CHARS
_NOT_ONE_BYTE = 0x81


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The type of a payload (`span`, …; None if unknown), its values and faults, and remarks."""

    what: str | None
    leaves: tuple[Leaf, ...] = ()
    faults: tuple[Fault, ...] = ()
    remarks: tuple[str, ...] = ()


def diagnose(letter: DeadLetter) -> Diagnosis:
    """Find the faults of a dead letter; remarks are faults without a byte."""
    expected = _expected(letter)
    remarks = _remarks(letter, expected)
    payload = letter.payload
    if payload is None:
        return Diagnosis(None, remarks=(*remarks, "There is no payload: the message had no value."))
    what, framing = _frame(payload, expected)
    leaves: list[Leaf] = []
    faults = [*framing, *_opening(letter, payload, what)]
    if what is not None:
        for found in walk(_CODECS[what].schema, payload, HEADER_BYTES):
            if isinstance(found, Leaf):
                leaves.append(found)
            else:
                faults.append(found)
    if not faults and not remarks:
        remarks = (_sound(letter),)
    return Diagnosis(what, tuple(leaves), tuple(faults), remarks)


def _expected(letter: DeadLetter) -> str | None:
    """Return the expected type of a payload, by the dead letter's kind or its topic."""
    if letter.headers.kind is not None:
        return _OF_KIND.get(letter.headers.kind)
    return next((what for ending, what in _OF_TOPIC.items() if letter.headers.topic.endswith(ending)), None)


def _remarks(letter: DeadLetter, expected: str | None) -> tuple[str, ...]:
    found: list[str] = []
    if letter.headers.cut_from is not None:
        cut = f"{letter.size} of {letter.headers.cut_from} bytes"
        found.append(f"The payload was cut when it was dead-lettered: {cut}.")
    if letter.headers.reason == Reason.SIZE and letter.payload is not None:
        found.append(f"The size is wrong: {letter.headers.detail}")
    if expected in {"span", "log record", "trace"} and not letter.headers.topic.endswith("unlinked-logs"):
        key = letter.key
        if key is None:
            found.append("There is no key: it must be the trace id, 32 lower-case hex characters.")
        elif not _is_trace_id(key):
            found.append(f"The key is not a trace id of 32 lower-case hex characters, not all zero ({len(key)} bytes).")
    return tuple(found)


def _frame(payload: bytes, expected: str | None) -> tuple[str | None, list[Fault]]:
    """Return the type of the payload by its schema fingerprint, and the faults of its frame."""
    for at, byte in enumerate(MAGIC):
        if payload[at : at + 1] != bytes([byte]):
            return None, [
                Fault((), at, f"not an Avro message of tracelink: it starts with {_start(payload)}, not {MAGIC.hex()}")
            ]
    if len(payload) < HEADER_BYTES:
        return None, [Fault((), len(payload), f"it ends in its frame, which has {HEADER_BYTES} bytes")]
    fingerprint = payload[len(MAGIC) : HEADER_BYTES].hex()
    what = _OF_HEADER.get(payload[:HEADER_BYTES])
    if what is None:
        query = f"; a {expected} has {_CODECS[expected].header[2:].hex()}" if expected else ""
        return None, [Fault((), len(MAGIC), f"the fingerprint {fingerprint} is not of a schema of this version{query}")]
    if expected is not None and what != expected:
        return what, [Fault((), len(MAGIC), f"the fingerprint is that of a {what}, but a {expected} is expected")]
    return what, []


def _start(payload: bytes) -> str:
    return payload[: len(MAGIC)].hex() or "nothing"


def _opening(letter: DeadLetter, payload: bytes, what: str | None) -> list[Fault]:
    """Return the faults of the flags and the trace id, which the join reads without decoding."""
    if what not in {"span", "log record", "trace"} or len(payload) < TRACE_ID.stop:
        return []
    found: list[Fault] = []
    if payload[HEADER_BYTES] & _NOT_ONE_BYTE:
        found.append(Fault(("flags",), HEADER_BYTES, "flags take one byte, and are not negative"))
    elif letter.key is not None and _is_trace_id(letter.key) and not letter.headers.topic.endswith("unlinked-logs"):
        key, inside = bytes.fromhex(letter.key.decode()), payload[TRACE_ID]
        wrong = next((at for at, (a, b) in enumerate(zip(key, inside, strict=True)) if a != b), None)
        if wrong is not None:
            why = f"the trace id is {inside.hex()}, but the key is {key.hex()}"
            found.append(Fault(("traceId",), TRACE_ID.start + wrong, why))
    return found


def _sound(letter: DeadLetter) -> str:
    who = letter.headers.sink or "the reader"
    if letter.headers.reason == Reason.REFUSED:
        return f"These bytes are valid, but the target of {who} refuses them: {letter.headers.detail}"
    reported = f"{who} reported: {letter.headers.reason} {letter.headers.detail}"
    return f"These bytes are valid for this version; {reported}"


def _is_trace_id(key: bytes) -> bool:
    text = key.decode(errors="replace")
    return len(text) == TRACE_ID_CHARS and not text.strip("0123456789abcdef") and text != _NO_TRACE
