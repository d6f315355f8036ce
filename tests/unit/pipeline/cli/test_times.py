"""Moments as people write them."""

import click
import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.cli.times import TimeSpec, parse, shown
from tracelink.kafka.topics import TopicNames

NAMES = TopicNames("t.")
NOW = 1_795_500_000_000
FIRST, LAST = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 and 9999."""


def of(text: str) -> int:
    return parse(text, NOW, NAMES, lambda *_: 0)


@given(st.integers(FIRST, LAST))
@example(LAST)
@example(253_402_300_799_001)
@example(-1)
def test_a_moment_is_read_as_it_is_shown_to_the_millisecond(milliseconds: int) -> None:
    assert of(shown(milliseconds)) == milliseconds


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("now", NOW),
        ("90ms", NOW - 90),
        ("1.5 s", NOW - 1500),
        ("2h", NOW - 7_200_000),
        (" 1d ", NOW - 86_400_000),
        ("1w", NOW - 604_800_000),
        ("2026-11-24T12:00", 1_795_521_600_000),
        ("2026-11-24T12:00:00.001+01:00", 1_795_518_000_001),
        ("2026-11-24", 1_795_478_400_000),
    ],
)
def test_instants_and_what_is_ago(text: str, milliseconds: int) -> None:
    assert of(text) == milliseconds


def test_a_record_stands_for_its_time() -> None:
    asked = []

    def time_of(topic: str, partition: int, offset: int) -> int:
        asked.append((topic, partition, offset))
        return 4711

    assert parse("s3-4711", NOW, NAMES, time_of) == 4711
    assert parse("l0-7", NOW, NAMES, time_of) == 4711
    assert asked == [("t.spans", 3, 4711), ("t.logs", 0, 7)]


@given(st.one_of(st.text(), st.from_regex(r"\A\d{1,400}(\.\d+)?(ms|s|m|h|d|w)\Z"), st.from_regex(r"\A\d{4}-\d\d-\d\d")))
@example("9" * 310 + "w")
@example("99999999w")
@example("0001-01-01T00:00+23:00")
@example("2026-11-24T25:00")
@example("x3-4711")
def test_whatever_is_no_moment_that_can_be_shown_again_is_refused(text: str) -> None:
    refusal = ""
    try:
        shown(of(text))
    except ValueError as error:
        refusal = str(error)
    assert not refusal or "is not a time" in refusal


def test_an_option_refuses_what_is_no_moment_and_keeps_the_text_of_what_is() -> None:
    @click.command()
    @click.option("--from", "begin", type=TimeSpec())
    def command(begin: str) -> None:
        click.echo(f"<{begin}>")

    assert CliRunner().invoke(command, ["--from", "2h"]).output == "<2h>\n"
    refused = CliRunner().invoke(command, ["--from", "yesterday"])
    assert refused.exit_code == 2
    assert "'yesterday' is not a time: write an instant" in refused.output
