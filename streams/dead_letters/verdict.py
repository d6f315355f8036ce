"""Decides if and to which topic a dead letter is redriven. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from streams.dead_letters.dead_letter import DeadLetter, Name
from streams.dead_letters.resolutions import Owner, Resolutions
from tracelink.kafka.topics import TopicNames


class Disposition(StrEnum):
    """The outcome for a dead letter; its value is the name of its count in the summary."""

    SENT = "sent"
    DISCARDED = "discarded"
    RESOLVED = "settled"
    """It is already redriven or discarded."""
    CUT = "cut"
    """Only a part of its payload is stored."""
    TOO_OFTEN = "too_often"
    """It was redriven the allowed number of times."""
    NO_WAY_BACK = "no_way_back"
    """Its topic accepts no messages from outside."""
    NOT_TAKEN = "not_taken"
    """Kafka refuses it."""
    MISSING = "missing"
    """There is no dead letter of this name."""


REFUSED = (Disposition.CUT, Disposition.TOO_OFTEN, Disposition.NO_WAY_BACK, Disposition.NOT_TAKEN, Disposition.MISSING)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision for a dead letter: its topic, its number of redrives including this one, or why it is not sent."""

    name: Name
    disposition: Disposition
    topic: str | None = None
    count: int = 0
    why: str = ""


def destination(letter: DeadLetter, live: TopicNames) -> str | None:
    """Return the live topic to which a dead letter goes back, or None.

    A sink's dead letter of an unlinked log line goes back to `unlinked-logs`, because the join would not accept it.
    """
    whole = {name: name for name in (live.spans, live.logs, live.unlinked_logs, live.traces)}
    topic = whole.get(letter.headers.topic)
    if topic is None and letter.headers.topic.startswith(f"{live.prefix}replay."):
        topic = whole.get(live.prefix + letter.headers.topic.rpartition(".")[2])
    if topic is None or letter.headers.kind is None:
        return topic
    if letter.headers.kind == "log":
        return topic if topic == live.unlinked_logs else live.logs
    return live.spans if letter.headers.kind == "span" else None


def judge(letter: DeadLetter, resolutions: Resolutions, owner: Owner, live: TopicNames, at_most: int) -> Verdict:
    """Return the verdict for a dead letter; no message is redriven more than `at_most` times."""
    name = letter.name
    resolution = resolutions.of(owner, letter)
    if resolution is not None:
        return Verdict(name, Disposition.RESOLVED, why=f"it is already {resolution['action'].lower()}")
    if owner.job is not None and resolutions.has(letter):
        return Verdict(
            name, Disposition.RESOLVED, why="the same message is already resolved, as a live one or another job's"
        )
    if letter.headers.cut_from is not None:
        why = f"only {letter.size} of {letter.headers.cut_from} bytes are here: the message is incomplete"
        return Verdict(name, Disposition.CUT, why=why)
    topic = destination(letter, live)
    if topic is None:
        why = f"it came from {letter.headers.topic or 'an unknown topic'}, which accepts no messages from outside"
        return Verdict(name, Disposition.NO_WAY_BACK, why=why)
    count = resolutions.count(letter) + 1
    if count > at_most:
        why = f"it has come back {count - 1} times; to send it nevertheless, use --at-most {count}"
        return Verdict(name, Disposition.TOO_OFTEN, topic, count, why)
    return Verdict(name, Disposition.SENT, topic, count)
