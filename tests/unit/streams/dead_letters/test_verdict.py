"""Where a letter goes, and what stops it. Pure."""

import pytest

from streams.dead_letters.dead_letter import DeadLetter, Name
from streams.dead_letters.resolutions import RESOLUTION, Action, Owner, Resolution, Resolutions
from streams.dead_letters.verdict import Disposition, destination, judge
from tests.kit.dead_letter_examples import NAMES, START, letter

LIVE = Owner()
MINUTE = 60_000


def resolutions(*found: tuple[bytes, Resolution | None]) -> Resolutions:
    made = Resolutions()
    for key, resolution in found:
        made.take(key, resolution and RESOLUTION.encode(resolution))
    return made


def resolution(of: DeadLetter, *, action: Action = "REDRIVEN", time: int = START, count: int = 1) -> Resolution:
    return Resolution(action=action, time=time, letterTimestamp=of.timestamp, digest=of.digest(), count=count)


@pytest.mark.parametrize(
    ("topic", "kind", "goes"),
    [
        ("t.spans", None, "t.spans"),
        ("t.logs", None, "t.logs"),
        ("t.unlinked-logs", None, "t.unlinked-logs"),
        ("t.traces", None, "t.traces"),
        ("t.traces", "span", "t.spans"),
        ("t.traces", "log", "t.logs"),
        ("t.unlinked-logs", "log", "t.unlinked-logs"),
        ("t.replay.job-1.traces", None, "t.traces"),
        ("t.replay.job-1.traces", "span", "t.spans"),
        ("t.replay.job-1.unlinked-logs", "log", "t.unlinked-logs"),
        ("t.replay.job-1.dead-letters", None, None),
        ("t.error-traces", None, None),
        ("t.alerts", "alert", None),
        ("t.traces", "whatever", None),
        ("other.spans", None, None),
        ("", None, None),
    ],
)
def test_a_letter_goes_back_to_the_live_topic_that_it_belongs_to(
    topic: str, kind: str | None, goes: str | None
) -> None:
    assert destination(letter(topic=topic, kind=kind), NAMES) == goes


def test_a_settled_letter_is_left() -> None:
    one = letter()
    for action in ("REDRIVEN", "DISCARDED"):
        assert (
            judge(one, resolutions((b"0-0", resolution(one, action=action))), LIVE, NAMES, 3).disposition
            is Disposition.RESOLVED
        )


def test_a_tombstone_opens_a_letter_again() -> None:
    one = letter()
    assert (
        judge(one, resolutions((b"0-0", resolution(one)), (b"0-0", None)), LIVE, NAMES, 3).disposition
        is Disposition.SENT
    )


def test_a_mark_of_a_topic_that_was_made_anew_is_not_mistaken() -> None:
    one, before = letter(b"new"), letter(timestamp=START - 1)
    assert judge(one, resolutions((b"0-0", resolution(before))), LIVE, NAMES, 3).disposition is Disposition.SENT


def test_marks_of_a_replay_job_are_its_own() -> None:
    one = letter()
    job = Owner("j")
    of_job = resolutions((b"j/0-0", resolution(one)))
    assert of_job.of(job, one) is not None
    assert of_job.of(LIVE, one) is None
    assert resolutions((b"0-0", resolution(one))).of(job, one) is None
    assert Owner.parse(job.key(Name(3, 17))) == (job, Name(3, 17))
    assert Owner.parse(LIVE.key(Name(3, 17))) == (LIVE, Name(3, 17))


def test_a_cut_letter_is_refused() -> None:
    for cut in ("5000000", "", "?"):
        assert judge(letter(cut_from_bytes=cut), Resolutions(), LIVE, NAMES, 3).disposition is Disposition.CUT


def test_the_header_and_the_newest_mark_of_the_same_message_count() -> None:
    back = letter(name=Name(1, 5), timestamp=START + 1)
    assert Resolutions().count(letter(redriven="2")) == 2
    assert Resolutions().count(letter(redriven="nonsense")) == 0
    seen = resolutions((b"0-0", resolution(letter(), count=1)), (b"0-9", resolution(letter(), count=2)))
    assert seen.count(back) == 2
    assert seen.count(letter(b"another", timestamp=START + 1)) == 0
    assert seen.count(letter(key=b"another", timestamp=START + 1)) == 0
    assert judge(back, seen, LIVE, NAMES, 3).count == 3
    refused = judge(back, seen, LIVE, NAMES, 2)
    assert refused.disposition is Disposition.TOO_OFTEN
    assert "--at-most 3" in refused.why


def test_what_was_alike_from_the_beginning_or_was_discarded_does_not_count() -> None:
    seen = resolutions((b"0-0", resolution(letter(), time=START + 10 * MINUTE, count=3)))
    assert seen.count(letter(timestamp=START + 5 * MINUTE)) == 0
    assert seen.count(letter(timestamp=START + 10 * MINUTE)) == 3
    assert seen.count(letter(timestamp=START + 9 * MINUTE)) == 3  # clocks differ
    assert (
        resolutions((b"0-0", resolution(letter(), action="DISCARDED", count=3))).count(letter(timestamp=START + MINUTE))
        == 0
    )


def test_no_value_and_an_empty_one_are_not_the_same() -> None:
    digests = {
        letter(b"", key=b"").digest(), letter(None, key=b"").digest(), letter(b"", key=None).digest(),
        letter(b"ab", key=b"c").digest(), letter(b"b", key=b"ca").digest(),
    }  # fmt: skip
    assert len(digests) == 5


def test_marks_are_outdated_below_the_beginning_of_their_partition_alone() -> None:
    one = resolution(letter())
    seen = resolutions((b"0-4", one), (b"0-5", one), (b"1-4", one), (b"j/0-4", one), (b"gone/0-9", one), (b"?", one))
    assert seen.jobs() == {"j", "gone"}
    assert seen.outdated({(LIVE, 0): 5, (LIVE, 1): 0}, [Owner("gone")]) == [b"0-4", b"gone/0-9"]
    assert seen.outdated({(Owner("j"), 0): 5}) == [b"j/0-4"]
