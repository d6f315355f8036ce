"""A file of rules that changes while a worker runs."""

import logging
import os
from pathlib import Path

import pytest

from streams.alerts.rules import Rules, RulesFile
from tests.kit.problem_examples import occurrence
from tracelink.errors import UserError


def text(name: str) -> str:
    return f'[[rule]]\nname = "{name}"\n'


def holding(rules: Rules) -> str | None:
    return rules.match(occurrence(), "f").name


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "rules.toml"
    found.write_text(text("one"))
    return found


def test_without_a_file_the_defaults_hold_for_good() -> None:
    file = RulesFile(None)
    assert not file.refresh()
    assert holding(file.rules) is None
    assert file.error is None


def test_a_file_that_is_wrong_at_the_start_is_refused(path: Path) -> None:
    path.write_text("[[rule]]\n")
    with pytest.raises(UserError, match=r"rules.toml:1: rule\[1\].name"):
        RulesFile(path)
    with pytest.raises(UserError, match="Cannot read"):
        RulesFile(path.with_name("gone"))


def test_what_has_not_changed_is_not_taken_for_new(path: Path) -> None:
    file = RulesFile(path)
    before = file.rules
    os.utime(path)
    assert not file.refresh()
    assert file.rules is before


def test_a_change_counts_although_time_and_size_are_the_same(path: Path) -> None:
    file = RulesFile(path)
    was = path.stat()
    path.write_text(text("two"))
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert path.stat().st_size == was.st_size
    assert file.refresh()
    assert holding(file.rules) == "two"


def test_a_file_that_another_replaces_is_read_again(path: Path) -> None:
    file = RulesFile(path)
    new = path.with_name("new")
    new.write_text(text("two"))
    new.replace(path)
    assert file.refresh()
    assert holding(file.rules) == "two"


def test_links_that_kubernetes_swaps_are_followed(tmp_path: Path) -> None:
    for version, name in (("v1", "one"), ("v2", "two")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "rules.toml").write_text(text(name))
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "rules.toml").symlink_to("..data/rules.toml")
    file = RulesFile(tmp_path / "rules.toml")
    (tmp_path / "..new").symlink_to("v2")
    (tmp_path / "..new").replace(tmp_path / "..data")
    assert file.refresh()
    assert holding(file.rules) == "two"


def test_a_wrong_file_leaves_the_rules_before_and_is_logged_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = RulesFile(path)
    path.write_text('[[rule]]\nname = "two"\nnme = 1\nmatch = 2\n')
    with caplog.at_level(logging.INFO):
        assert [file.refresh() for _ in range(3)] == [False] * 3
    assert holding(file.rules) == "one"
    assert file.error is not None
    assert file.error.startswith(f"{path}:3: rule[1].nme")
    (told,) = caplog.messages
    assert "\n" not in told
    assert f"{path}:4: rule[1].match" in told


def test_a_file_that_is_gone_leaves_the_rules_before(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = RulesFile(path)
    path.unlink()
    assert not file.refresh()
    assert file.error == (
        f"TRACELINK_RULES_FILE (--rules-file): Cannot read the rules in {path}: No such file or directory."
    )
    assert holding(file.rules) == "one"
    assert len(caplog.messages) == 1


def test_a_file_that_was_mended_counts_again(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = RulesFile(path)
    path.write_text("[[")
    assert not file.refresh()
    path.write_text(text("two"))
    assert file.refresh()
    assert (holding(file.rules), file.error) == ("two", None)
    # Back to what held all the time: nothing is new, and nothing is wrong any more.
    path.write_text("[[")
    assert not file.refresh()
    path.write_text(text("two"))
    caplog.clear()
    with caplog.at_level(logging.INFO):
        assert not file.refresh()
    assert file.error is None
    assert caplog.messages == [f"the rules in {path} are in effect: 1"]
