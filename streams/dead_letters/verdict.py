"""What is to be done with a dead letter that is to go out again. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from streams.dead_letters.dead_letter import DeadLetter, Name
from streams.dead_letters.resolutions import Owner, Resolutions
from tracelink.kafka.topics import TopicNames


class Disposition(StrEnum):
    """What becomes of a letter; the name of its count in the summary."""

    SENT = "sent"
    DISCARDED = "discarded"
    RESOLVED = "settled"
    """It was redriven or discarded before."""
    CUT = "cut"
    """A part of its payload is all there is."""
    TOO_OFTEN = "too_often"
    """It has come back as often as it may."""
    NO_WAY_BACK = "no_way_back"
    """It came from no topic that takes anything from outside."""
    NOT_TAKEN = "not_taken"
    """Kafka refuses it."""
    MISSING = "missing"
    """There is no letter of that name."""


REFUSED = (Disposition.CUT, Disposition.TOO_OFTEN, Disposition.NO_WAY_BACK, Disposition.NOT_TAKEN, Disposition.MISSING)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a letter: where it goes, how many times it was redriven with that, and why it does not."""

    name: Name
    disposition: Disposition
    topic: str | None = None
    count: int = 0
    why: str = ""


def destination(letter: DeadLetter, live: TopicNames) -> str | None:
    """Return the live topic that a letter goes back to; None where there is none.

    A line without a trace that a sink has cut out goes back to those, for the join would not take it.
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
    """Return whether and where a letter goes, no message more than `at_most` times."""
    name = letter.name
    resolution = resolutions.of(owner, letter)
    if resolution is not None:
        return Verdict(name, Disposition.RESOLVED, why=f"it was {resolution['action'].lower()} before")
    if owner.job is not None and resolutions.has(letter):
        return Verdict(
            name, Disposition.RESOLVED, why="the same message was settled before, as a live letter or another job's"
        )
    if letter.headers.cut_from is not None:
        why = f"only {letter.size} of {letter.headers.cut_from} bytes are here: what is left of it is no message"
        return Verdict(name, Disposition.CUT, why=why)
    topic = destination(letter, live)
    if topic is None:
        why = f"it came from {letter.headers.topic or 'nowhere'}, which takes nothing from outside"
        return Verdict(name, Disposition.NO_WAY_BACK, why=why)
    count = resolutions.count(letter) + 1
    if count > at_most:
        why = f"it has come back {count - 1} times; send it all the same with --at-most {count}"
        return Verdict(name, Disposition.TOO_OFTEN, topic, count, why)
    return Verdict(name, Disposition.SENT, topic, count)
