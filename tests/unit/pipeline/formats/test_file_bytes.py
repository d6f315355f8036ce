"""Lines of files in any compression and encoding."""

import bz2
import gzip
import io
import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats.file_bytes import decompressed, utf8_lines
from pipeline.formats.invalid_input import InvalidInput

TEXT = '{"message":"café"}\n{"message":"\U0001f600"}\n'
LINES = [line.encode() for line in TEXT.splitlines(keepends=True)]


def lines(content: bytes) -> list[bytes]:
    return list(utf8_lines(decompressed(io.BufferedReader(io.BytesIO(content)))))


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        b"\xfe\xff" + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-16-le"),
        gzip.compress(TEXT.encode()),
        gzip.compress(LINES[0]) + gzip.compress(LINES[1]),
        bz2.compress(TEXT.encode()),
        lzma.compress(TEXT.encode()),
        gzip.compress(TEXT.encode("utf-16")),
    ],
    ids=["plain", "mark", "utf-16", "big", "no-mark", "gzip", "members", "bzip2", "xz", "gzip-utf-16"],
)
def test_a_file_is_read_in_any_compression_and_encoding(content: bytes) -> None:
    assert lines(content) == LINES


def test_zstd_is_refused_with_what_to_do() -> None:
    with pytest.raises(InvalidInput, match="zstd -d"):
        lines(b"\x28\xb5\x2f\xfd\x04\x00")


def test_bytes_that_are_no_utf_8_stay() -> None:
    assert lines(b"caf\xe9\n\xff") == [b"caf\xe9\n", b"\xff"]


@pytest.mark.parametrize("content", [b"x\x000", b"x\x00", b"x\0\x80\0", b"x\0yz\n"])
def test_a_single_nul_makes_no_utf_16(content: bytes) -> None:
    assert lines(content) == [content]


@given(
    # A NUL after the first character may be UTF-16.
    st.text(st.characters(exclude_categories=["Cs"]), min_size=2).map(lambda text: "xy" + text),
    st.sampled_from(["utf-8", "utf-16"]),
)
def test_any_text_is_read_back(text: str, encoding: str) -> None:
    assert b"".join(lines(text.encode(encoding))).decode() == text


@given(st.binary(max_size=60).filter(lambda content: content[:2] not in (b"\x1f\x8b", b"BZ", b"\xfd7", b"\x28\xb5")))
def test_any_bytes_are_lines(content: bytes) -> None:
    assert all(line.endswith(b"\n") for line in lines(content)[:-1])
