"""The windows as settings, variables and errors; what a user may give beside those that the join has recorded."""

from dataclasses import replace

import pytest

from pipeline.kafka.join_windows import (
    as_settings,
    as_variables,
    given_windows,
    key_of,
    refuse_other_windows,
    resolved,
    windows_in,
    windows_of,
)
from pipeline.model.join_windows import BEFORE, Period, Recorded
from pipeline.settings import WindowSettings
from streams.join.settings import JoinSettings
from tracelink.errors import UserError

RAN = Period(0, 10, BEFORE)
UNKNOWN = RAN._replace(is_recorded=False)


def test_settings_become_windows_and_windows_the_same_settings() -> None:
    given = {"idle_gap": 2.5, "max_age": 33.0, "root_grace": 0.25, "max_trace_records": 7, "max_trace_bytes": 4096}
    settings = JoinSettings.load(**given)
    assert as_settings(windows_of(settings)) == given
    changed = JoinSettings.load().model_copy(update=as_settings(windows_of(settings)))
    assert changed.limits() == settings.limits()


def test_windows_become_variables_that_give_the_same_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = replace(BEFORE, idle_gap=100_001, root_grace=123, max_bytes=123_456_789)
    for name, value in as_variables(windows).items():
        monkeypatch.setenv(name, value)
    assert windows_of(JoinSettings.load()) == windows


def test_only_settings_that_a_user_gives_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    assert given_windows(JoinSettings.load()) == {}
    monkeypatch.setenv("TRACELINK_ROOT_GRACE", "2")
    assert given_windows(JoinSettings.load(idle_gap="7")) == {"idle_gap": 7000, "root_grace": 2000}
    assert given_windows(WindowSettings.load(max_age="8")) == {"max_age": 8000}


def test_without_given_ones_the_recorded_windows_are_taken() -> None:
    assert resolved([UNKNOWN, RAN], {}, beside=False) == [UNKNOWN, RAN]


def test_given_windows_hold_where_none_are_recorded_or_where_documents_are_apart() -> None:
    other = replace(BEFORE, idle_gap=7000)
    assert resolved([UNKNOWN], {"idle_gap": 7000}, beside=False) == [UNKNOWN._replace(windows=other)]
    assert resolved([RAN], {"idle_gap": 7000}, beside=True) == [RAN._replace(windows=other)]
    assert resolved([RAN], {"idle_gap": 5000}, beside=False) == [RAN]


def test_others_than_the_recorded_windows_are_refused_by_name_with_both_values() -> None:
    with pytest.raises(UserError, match=r"^TRACELINK_IDLE_GAP is 7\.5, but the join ran with 5 .*--index-suffix"):
        resolved([UNKNOWN, RAN], {"max_records": 20_000, "idle_gap": 7500}, beside=False)


def test_a_job_refuses_others_than_its_own_windows() -> None:
    refuse_other_windows("j", BEFORE, {"max_records": 20_000})
    with pytest.raises(UserError, match=r"^The job j was copied for TRACELINK_MAX_TRACE_RECORDS=20000, but .* is 9: "):
        refuse_other_windows("j", BEFORE, {"max_records": 9})


def test_records_are_found_among_jobs_and_an_invalid_one_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    one = Recorded(10, 12, BEFORE)
    found = windows_in({b"job": b"?", b"job/0": b"?", b"/windows/7": b"?", key_of(one): one.encode()})
    assert found == [one]
    assert "/windows/7" in caplog.text
