"""Inflation of request bodies: in any chunks, never more than allowed, and only what is whole."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Iterable
from itertools import repeat

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats.inflate import Inflater, TooLarge
from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.zstd_frames import MAX_WINDOW

BODY = b'[{"traceId":"463ac35c9f6413ad","id":"a2fb4a1d1a96d312","name":"get /cart"}]' * 9
MOST = 4 * 1024 * 1024


def raw_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


def zstd(body: bytes, level: int = 3, **parameters: int) -> bytes:
    """Return one frame of an unknown size, as it is when a body is compressed while it is sent."""
    chosen = zstandard.ZstdCompressionParameters.from_level(level, write_checksum=1, **parameters)
    compressor = zstandard.ZstdCompressor(compression_params=chosen).compressobj()
    return compressor.compress(body) + compressor.flush()


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "raw deflate": raw_deflate,
    "zstd": zstd,
    "zstd of a known size": lambda body: zstandard.ZstdCompressor().compress(body),
}
CASES = pytest.mark.parametrize("case", COMPRESSED)
SKIPPED = b"\x5a\x2a\x4d\x18\x03\x00\x00\x00abc"


def encoding_of(case: str) -> str:
    return case.removeprefix("raw ").split()[0]


def feed(inflater: Inflater, chunks: Iterable[bytes]) -> None:
    for chunk in chunks:
        inflater.feed(chunk)


def inflated(encoding: str, chunks: Iterable[bytes], most: int = MOST) -> bytes:
    inflater = Inflater(encoding, most)
    feed(inflater, chunks)
    return inflater.finish()


def refusal(encoding: str, *chunks: bytes) -> InvalidInput:
    with pytest.raises(InvalidInput) as refused:
        inflated(encoding, chunks)
    return refused.value


def cut(body: bytes, sizes: list[int]) -> list[bytes]:
    """Return a body in chunks of these sizes, again and again."""
    chunks: list[bytes] = []
    at = 0
    while at < len(body):
        chunks.append(body[at : at + sizes[len(chunks) % len(sizes)]])
        at += len(chunks[-1])
    return chunks


@given(
    st.sampled_from(sorted(COMPRESSED)),
    st.lists(st.binary(max_size=40) | st.binary(min_size=1, max_size=9).map(lambda text: text * 50_000), max_size=5),
    st.lists(st.integers(1, 60) | st.integers(1, 100_000), min_size=1, max_size=5),
)
def test_a_body_in_any_chunks_is_the_one_that_was_compressed(case: str, parts: list[bytes], sizes: list[int]) -> None:
    body = b"".join(parts)
    assert inflated(encoding_of(case), cut(COMPRESSED[case](body), sizes)) == body


def test_a_stream_whose_last_byte_fills_a_step_is_whole() -> None:
    for size in range(64 * 1024 - 2, 64 * 1024 + 300):
        assert len(inflated("deflate", [raw_deflate(bytes(size))])) == size


@pytest.mark.parametrize(
    ("encoding", "case"),
    [
        ("", "identity"),
        ("identity", "identity"),
        ("Identity, identity", "identity"),
        ("x-gzip", "gzip"),
        ("GZIP", "gzip"),
        (" gzip , identity", "gzip"),
        ("identity,zstd", "zstd"),
        ("zlib", "deflate"),
    ],
)
def test_an_encoding_is_known_in_any_spelling_and_beside_identity(encoding: str, case: str) -> None:
    assert inflated(encoding, [COMPRESSED[case](BODY)]) == BODY


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("br", "gzip, deflate, zstd and identity"),
        ("snappy", "'snappy' is not taken"),
        ("gzip, gzip", "compressed once"),
        ("gzip;q=1", "not taken"),
        ("x" * 1000, "…"),
    ],
)
def test_another_encoding_is_refused_with_those_that_are_taken(encoding: str, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Inflater(encoding, MOST)
    assert refused.value.reason == "encoding"
    assert words in refused.value.detail


@CASES
def test_no_bytes_are_an_empty_body_in_every_encoding(case: str) -> None:
    assert inflated(encoding_of(case), []) == b""
    assert inflated(encoding_of(case), [b"", b""]) == b""
    assert inflated(encoding_of(case), [COMPRESSED[case](b"")]) == b""


@CASES
def test_a_body_may_have_as_many_bytes_as_allowed_and_no_more(case: str) -> None:
    sent = COMPRESSED[case](BODY)
    assert inflated(encoding_of(case), cut(sent, [7]), len(BODY)) == BODY
    with pytest.raises(TooLarge, match=f"{len(BODY) - 1} bytes"):
        inflated(encoding_of(case), cut(sent, [7]), len(BODY) - 1)


@pytest.mark.parametrize("case", sorted(COMPRESSED.keys() - {"identity"}))
@pytest.mark.parametrize("kept", [0.01, 0.3, 0.9, 0.999])
def test_a_body_that_ends_early_is_refused(case: str, kept: float) -> None:
    sent = COMPRESSED[case](BODY)
    refused = refusal(encoding_of(case), sent[: max(1, min(len(sent) - 1, int(len(sent) * kept)))])
    assert refused.reason == "compressed"
    assert "ends before" in refused.detail


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
@pytest.mark.parametrize("body", [BODY, b"\xff" * 99, b"\x1f\x8b\x08" + b"\xff" * 99, zstandard.FRAME_HEADER * 9])
def test_a_body_that_is_not_compressed_so_is_refused(encoding: str, body: bytes) -> None:
    assert f"no valid {encoding} data" in refusal(encoding, body).detail


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
@pytest.mark.parametrize("place", [0.5, 0.9, 0.99])
def test_a_damaged_body_is_refused(encoding: str, place: float) -> None:
    sent = bytearray(COMPRESSED[encoding](BODY))
    sent[int(len(sent) * place)] ^= 0xFF
    assert refusal(encoding, *cut(bytes(sent), [50])).reason == "compressed"


@pytest.mark.parametrize("case", ["gzip", "zstd", "zstd of a known size"])
def test_several_members_or_frames_are_read_as_one(case: str) -> None:
    sent = COMPRESSED[case](BODY) + COMPRESSED[case](b"") + COMPRESSED[case](b"end")
    for sizes in [1], [20], [len(sent)]:
        assert inflated(encoding_of(case), cut(sent, sizes)) == BODY + b"end"


def test_a_frame_to_be_skipped_is_skipped() -> None:
    sent = SKIPPED + zstd(BODY) + SKIPPED
    for sizes in [1], [5], [len(sent)]:
        assert inflated("zstd", cut(sent, sizes)) == BODY
    assert "ends before" in refusal("zstd", zstd(BODY) + SKIPPED[:-1]).detail


@pytest.mark.parametrize("case", sorted(COMPRESSED.keys() - {"identity"}))
@pytest.mark.parametrize("garbage", [b"\0", b"\n", b"garbage", b"\0" * 512, BODY])
def test_garbage_behind_the_end_is_refused(case: str, garbage: bytes) -> None:
    sent = COMPRESSED[case](BODY)
    assert refusal(encoding_of(case), sent + garbage).reason == "compressed"
    assert refusal(encoding_of(case), sent, garbage).reason == "compressed"


# What inflates to 128 KiB of zeros, and may be repeated: a block of deflate that refers to nothing before it; and a
# block of zstd behind the header of a frame.
ZEROS = 128 * 1024


def deflate_block() -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(bytes(ZEROS)) + compressor.flush(zlib.Z_FULL_FLUSH)


BOMBS = {
    "gzip": (gzip.compress(b"")[:10], deflate_block()),
    "deflate": (b"", deflate_block()),
    "zstd": (zstandard.FRAME_HEADER + b"\x00\x38", (ZEROS << 3 | 2).to_bytes(3, "little") + b"\0"),
}


def test_a_frame_may_be_one_byte_that_is_repeated() -> None:
    head, block = BOMBS["zstd"]
    sent = head + block + bytes([block[0] | 1]) + block[1:]
    for sizes in [1], [9], [20]:
        assert inflated("zstd", cut(sent, sizes)) == bytes(2 * ZEROS)


GIBIBYTE = 1024 * 1024 * 1024 // ZEROS


@pytest.mark.parametrize("encoding", BOMBS)
@pytest.mark.parametrize("at_once", [1, GIBIBYTE], ids=["in chunks", "at once"])
def test_a_gibibyte_of_zeros_is_refused_before_it_fills_the_memory(encoding: str, at_once: int) -> None:
    head, block = BOMBS[encoding]
    chunk = block * at_once
    inflater = Inflater(encoding, MOST)
    inflater.feed(head)
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match="inflated"):
            feed(inflater, repeat(chunk, GIBIBYTE // at_once))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The buffer of the body grows by an eighth.
    assert peak < MOST * 9 / 8 + 300_000


@pytest.mark.parametrize(
    ("encoding", "head", "nothing"),
    [
        ("gzip", b"", gzip.compress(b"")),
        ("gzip", gzip.compress(b"")[:3] + b"\x10" + bytes(6), b"a name without an end"),
        ("deflate", b"", b"\x00\x00\x00\xff\xff"),
        ("zstd", zstandard.FRAME_HEADER + b"\x00\x38", bytes(3)),
        ("zstd", b"", SKIPPED),
    ],
    ids=["members", "a name", "blocks of deflate", "blocks of zstd", "frames"],
)
def test_data_that_inflates_to_nothing_does_not_go_on_for_ever(encoding: str, head: bytes, nothing: bytes) -> None:
    inflater = Inflater(encoding, 1000)
    inflater.feed(head)
    with pytest.raises(TooLarge, match="as it was sent"):
        feed(inflater, repeat(nothing, 100_000))


@pytest.mark.parametrize("window_log", [20, 23, 25])
def test_a_frame_with_a_window_as_collectors_use_it_is_taken(window_log: int) -> None:
    body = BODY * 3000
    assert inflated("zstd", cut(zstd(body, window_log=window_log), [1000])) == body


@pytest.mark.parametrize(
    "sent",
    [
        zstd(BODY, window_log=27),
        # A single segment: the window is the content's size.
        zstandard.FRAME_HEADER + b"\xa0" + (MAX_WINDOW + 1024 * 1024).to_bytes(4, "little") + b"\1\0\0",
    ],
    ids=["window", "single segment"],
)
def test_a_frame_with_a_huge_window_is_refused_in_plain_words(sent: bytes) -> None:
    refused = refusal("zstd", sent)
    assert refused.reason == "compressed"
    assert "MiB, and at most 32 MiB are taken" in refused.detail


@given(st.sampled_from(["gzip", "deflate", "zstd", ""]), st.lists(st.binary(max_size=50), max_size=4), st.booleans())
def test_any_bytes_are_a_body_or_refused(encoding: str, chunks: list[bytes], begins: bool) -> None:  # noqa: FBT001 - drawn
    head = {"gzip": b"\x1f\x8b\x08\0", "zstd": zstandard.FRAME_HEADER}.get(encoding, b"") if begins else b""
    try:
        inflated(encoding, [head, *chunks], 100)
    except (InvalidInput, TooLarge):
        return
