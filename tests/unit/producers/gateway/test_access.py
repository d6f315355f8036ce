"""Who may send: the tokens of a file."""

import base64
import os
from pathlib import Path

import pytest

from producers.gateway import access
from producers.gateway.access import Senders
from tracelink.errors import UserError


def _basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "tokens"
    file.write_text("# who: team\nshop:s3cret\n\n  mobile:other:with:colons  \n")
    return file


@pytest.mark.parametrize(
    ("authorization", "sender"),
    [
        ("Bearer s3cret", "shop"),
        ("bearer   s3cret", "shop"),
        ("Bearer other:with:colons", "mobile"),
        (_basic("shop:s3cret"), "shop"),
        (_basic("mobile:s3cret"), None),
        (_basic("s3cret"), None),
        ("Basic ***", None),
        (f"Basic {base64.b64encode(bytes([255, 58, 255])).decode()}", None),
        ("Bearer s3cre", None),
        ("Bearer shop:s3cret", None),
        ("Bearer ", None),
        ("s3cret", None),
        ("Digest s3cret", None),
        ("", None),
        (None, None),
    ],
)
def test_a_token_names_its_sender(file: Path, authorization: str | None, sender: str | None) -> None:
    assert Senders(file).sender(authorization) == sender


def test_a_file_that_changes_is_read_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_SECONDS_BETWEEN_LOOKS", 0.0)
    senders = Senders(file)
    _write(file, "shop:changed\n", at=1)
    assert senders.sender("Bearer s3cret") is None
    assert senders.sender("Bearer changed") == "shop"


@pytest.mark.parametrize("text", ["no colon\n", "", "shop:a\nshop:b\n"])
def test_a_change_that_cannot_be_read_leaves_the_senders_as_they_are(
    file: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "_SECONDS_BETWEEN_LOOKS", 0.0)
    senders = Senders(file)
    _write(file, text, at=1)
    assert senders.sender("Bearer s3cret") == "shop"
    file.unlink()
    assert senders.sender("Bearer s3cret") == "shop"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("shop:secret\nmobile\n", "line 2"),
        (":secret\n", "line 1"),
        ("shop:\n", "line 1"),
        ("shop:a\nshop:b\n", "line 2"),
        ("# nobody\n", "has no NAME:TOKEN"),
    ],
)
def test_a_file_with_a_wrong_line_is_refused_by_its_number_and_without_its_text(
    tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "tokens"
    file.write_text(text)
    with pytest.raises(UserError, match=said) as refused:
        Senders(file)
    assert "secret" not in refused.value.message


def _write(file: Path, text: str, *, at: int) -> None:
    """Change a file, and its time: a clock may not have ticked since it was made."""
    file.write_text(text)
    os.utime(file, (at, at))
