"""Which traces are kept: the same in every part, process and run."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.base.sampling import TailSampling, hashed, severity
from tests.kit.sink_examples import ERRORED, log, new_trace_id, part, span


def test_everything_is_kept_by_default() -> None:
    assert TailSampling().keeps(part([span(new_trace_id())]).trace)


def test_errored_and_slow_traces_are_kept_whatever_the_share() -> None:
    policy = TailSampling(share=0, slower_than=2.0)
    trace_id = new_trace_id()
    assert policy.keeps(part([span(trace_id, flags=ERRORED)]).trace)
    assert policy.keeps(part([span(trace_id), span(trace_id, duration=2_000_000)]).trace)
    assert not policy.keeps(part([span(trace_id, duration=1_999_999)]).trace)
    assert not policy.keeps(part([span(trace_id, duration=None)]).trace)


@given(st.binary(min_size=16, max_size=16), st.floats(0, 1), st.floats(0, 1))
def test_a_trace_kept_at_a_share_is_kept_at_every_larger_one(trace_id: bytes, one: float, other: float) -> None:
    trace = part([span(trace_id)]).trace
    if TailSampling(min(one, other)).keeps(trace):
        assert TailSampling(max(one, other)).keeps(trace)


def test_a_share_is_a_share_even_of_ids_that_count_up() -> None:
    kept = sum(hashed(number.to_bytes(16)) < 0.1 for number in range(1, 10_001))
    assert 900 < kept < 1100


def test_another_process_decides_the_same() -> None:
    trace_id = bytes(range(16))
    code = f"from sinks.base.sampling import hashed; print(hashed({trace_id!r}))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(other.stdout) == hashed(trace_id)


@pytest.mark.parametrize(
    ("level", "rank"),
    [("TRACE", 0), ("debug", 1), ("INFO", 2), (None, 2), ("odd", 2), ("WARNING", 3), ("ERROR", 4), ("FATAL", 4)],
)
def test_levels_are_ranked_under_their_common_spellings(level: str | None, rank: int) -> None:
    assert severity(level) == rank


def test_log_lines_are_kept_from_a_level_up_if_one_is_set() -> None:
    trace_id = new_trace_id()
    policy = TailSampling(share=0, log_level="WARN")
    assert policy.keeps_log(log(trace_id, level="WARNING"))
    assert not policy.keeps_log(log(trace_id, level="INFO"))
    assert not TailSampling(share=0).keeps_log(log(trace_id, level="ERROR"))
