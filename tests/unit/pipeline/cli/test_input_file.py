"""Reading files: forms, places, identities, and files that are broken."""

import gzip
import io
import os
import threading
from pathlib import Path

import pytest

from pipeline.cli.input_file import STDIN, InputFile, Item, LineItem, Refusal
from tracelink.errors import UserError


def items(path: Path) -> list[Item | Refusal]:
    source = InputFile(path)
    try:
        return list(source.items())
    finally:
        source.close()


def written(tmp_path: Path, content: bytes, name: str = "f.json") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def found(path: Path) -> list[tuple[str, object]]:
    """Return values by place, refusals by place with their reason; a place without its file."""
    return [
        (one.place.removeprefix(str(path)), one.value if isinstance(one, Item) else one.reason) for one in items(path)
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"\n\n", []),
        (b'{"a":1}\n\n{"a":2}', [(":1", {"a": 1}), (":3", {"a": 2})]),
        (b'\xef\xbb\xbf{"a":1}\r\n', [(":1", {"a": 1})]),
        (b"[1,2]", [(":1[0]", 1), (":1[1]", 2)]),
        (b"[[1],[2,3]]\n[4]", [(":1[0][0]", 1), (":1[1][0]", 2), (":1[1][1]", 3), (":2[0]", 4)]),
        (b"[\n 1,\n 2\n]\n", [("[0]", 1), ("[1]", 2)]),
        (b"[\n [1],\n [2]\n]\n", [("[0][0]", 1), ("[1][0]", 2)]),
        (b"\n[\n 1\n]", [("[0]", 1)]),
        (b"[]", []),
        (b'{\n "a": 1\n}\n', [("", {"a": 1})]),
        (b'\n{"a": [\n 1]}', [("", {"a": [1]})]),
        (b'{"a": 1,\r\n "b": 2}', [("", {"a": 1, "b": 2})]),
    ],
)
def test_a_list_an_object_and_lines_give_their_values_with_their_places(
    tmp_path: Path, content: bytes, expected: list[tuple[str, object]]
) -> None:
    assert found(written(tmp_path, content)) == expected
    assert found(written(tmp_path, gzip.compress(content), "f.json.gz")) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"a":1}\nnonsense\n{"a":2}\n', [(":1", {"a": 1}), (":2", "no JSON"), (":3", {"a": 2})]),
        (b'{"a":"\xff"}\n{"a":2}\n', [(":1", "no JSON"), (":2", {"a": 2})]),
        (b'[broken\n{"a":2}\n', [(":1", "no JSON"), (":2", {"a": 2})]),
        (b'[\n {"a":1},\n {"a"', [(":3", "no JSON")]),
        (b'\n[\n {"a":1},\n {"a"', [(":4", "no JSON")]),
        (b'{"a":\n{"a":2}\n', [(":1", "no JSON"), (":2", {"a": 2})]),
        (b'{"a":[\n{"a":2}\n', [(":1", "no JSON"), (":2", {"a": 2})]),
        (b'{\n "a":1,\n "b', [(":3", "no JSON")]),
    ],
)
def test_a_broken_line_is_one_refusal_and_the_rest_goes_on(
    tmp_path: Path, content: bytes, expected: list[tuple[str, object]]
) -> None:
    assert found(written(tmp_path, content)) == expected


def test_a_gzip_file_that_breaks_off_gives_what_is_whole_and_one_refusal(tmp_path: Path) -> None:
    content = b"".join(b'{"a":%d}\n' % number for number in range(10_000))
    path = written(tmp_path, gzip.compress(content)[:-100], "f.gz")
    *values, last = items(path)
    assert len(values) > 1000
    assert all(isinstance(value, Item) for value in values)
    assert isinstance(last, Refusal)
    assert last.reason == "unreadable"


def test_the_same_file_gives_the_same_identities_and_every_value_its_own(tmp_path: Path) -> None:
    content = b'{"a":1}\n{"a":1}\n[1,1]\n[1,1]\n'
    first, again = (items(written(tmp_path, content, name)) for name in ("a.json", "b.json"))
    identities = [one.identity for one in first if isinstance(one, Item)]
    assert len(set(identities)) == 6
    assert identities == [one.identity for one in again if isinstance(one, Item)]
    other = items(written(tmp_path, content + b"\n", "c.json"))
    assert not set(identities) & {one.identity for one in other if isinstance(one, Item)}


def test_a_pipe_is_read_once_and_its_lines_have_identities_too(tmp_path: Path) -> None:
    def piped(content: bytes) -> list[str]:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_bytes, args=(content,))
        writer.start()
        found = items(pipe)
        writer.join()
        pipe.unlink()
        return [one.identity for one in found if isinstance(one, Item)]

    identities = piped(b'{"a":1}\n{"a":1}\n')
    assert len(set(identities)) == 2
    assert piped(b'{"a":1}\n{"a":1}\n') == identities


@pytest.mark.parametrize(("name", "content"), [("missing.json", None), ("plain.gz", b"{}"), ("folder", b"")])
def test_a_file_that_cannot_be_read_is_the_users_mistake(tmp_path: Path, name: str, content: bytes | None) -> None:
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=name):
        InputFile(path)


def test_a_line_of_a_pipe_has_an_identity_whatever_numbers_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    content = b'{"message":"x","n":136226447259282480168556905957809988804}\n'
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))
    (line,) = InputFile(STDIN).log_lines()
    assert isinstance(line, LineItem)
    assert line.identity.endswith("-1")
