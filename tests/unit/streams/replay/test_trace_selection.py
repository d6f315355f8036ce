import pytest

from streams.replay.trace_selection import partition_of

_PARTITIONS = 0x7FFFFFFF


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        (b"21", -973932308),
        (b"abc", 479470107),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    ],
)
def test_a_key_is_hashed_as_kafka_s_own_clients_do(key: bytes, hashed: int) -> None:
    """The hashes are those of Kafka's UtilsTest."""
    assert partition_of(key, _PARTITIONS) == (hashed & _PARTITIONS) % _PARTITIONS
