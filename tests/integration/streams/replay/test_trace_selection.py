"""Traces that are chosen one by one: by their ids, and by what the join has found of them."""

import io
from pathlib import Path
from threading import Event

import pytest
from confluent_kafka import Message, Producer
from confluent_kafka.admin import NewTopic

from pipeline.cli.times import shown
from pipeline.kafka.joined import JoinedParts
from pipeline.local.stack import Endpoints
from pipeline.model import splice
from streams.replay.replay import Asked, Replays
from streams.replay.trace_selection import joined_keys, parse_keys, partition_of
from tests.kit.records import key, log_message, span_message, trace_id
from tests.kit.replay_traffic import FAR, PARTITIONS, START, Inputs
from tracelink.errors import UserError
from tracelink.kafka.client import PARTITIONER
from tracelink.model.records import Flag

ID = "4bf92f3577b34da6a3ce929d0e0e4736"
ALL = (shown(START - FAR), shown(START + FAR))


@pytest.fixture
def inputs(stack: Endpoints, topic_prefix: str) -> Inputs:
    return Inputs(stack.kafka, topic_prefix)


def part(trace: int, *services: str, errored: bool = False, line: str | None = None, opened: int = 0) -> bytes:
    """Return a part with a span of each service, and a line of one."""
    return splice.splice(
        flags=Flag.ERROR * errored,
        trace_id=trace_id(trace),
        name=f"s{trace % PARTITIONS}-{trace}",
        opened=START + opened,
        closed=START + opened + 5000,
        reason=0,
        spans=[span_message(trace, localEndpoint={"serviceName": service}) for service in services],
        logs=[] if line is None else [log_message(trace, service=line)],
    )


def put_parts(inputs: Inputs, *parts: bytes) -> None:
    producer = Producer({"bootstrap.servers": inputs.servers})
    for value in parts:
        producer.produce(inputs.names.traces, value, timestamp=START + 6000)
    assert producer.flush(20) == 0


def found(inputs: Inputs, *services: str, errored: bool = False, begin: int = 0, end: int = FAR) -> set[int]:
    """Return the numbers of the traces that are found."""
    parts = JoinedParts(inputs.settings, inputs.lookup, START + begin, START + end)
    seen: list[tuple[int, int]] = []
    keys = joined_keys(
        parts, errored=errored, services=frozenset(services), on_progress=lambda *numbers: seen.append(numbers)
    )
    assert seen[-1] == (parts.total, parts.total)
    return {int(one, 16) for one in keys}


@pytest.mark.parametrize("partitions", [1, 4, 7])
def test_a_key_is_looked_for_where_producers_send_it(inputs: Inputs, partitions: int) -> None:
    topic = f"{inputs.names.prefix}keys"
    inputs.admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(20)
    sent: dict[bytes, int] = {}

    def delivered(_: object, message: Message) -> None:
        sent[message.key() or b""] = message.partition() or 0

    producer = Producer({"bootstrap.servers": inputs.servers, "partitioner": PARTITIONER})
    keys = [key(number**9) for number in range(1, 200)]
    for one in keys:
        producer.produce(topic, b"", one, on_delivery=delivered)
    assert producer.flush(20) == 0
    assert sent == {one: partition_of(one, partitions) for one in keys}
    assert set(sent.values()) == set(range(partitions))


def test_ids_come_as_people_have_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = tmp_path / "ids"
    listed.write_text(f"# of yesterday\n{ID.upper()}\n\n  a3ce929d0e0e4736  # short\r\n{ID}\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("0000000000000001\n"))
    assert parse_keys([ID, "00f067aa0ba902b7"], [listed, Path("-")]) == {
        ID.encode(),
        b"0000000000000000a3ce929d0e0e4736",
        b"000000000000000000f067aa0ba902b7",
        key(1),
    }
    assert parse_keys([], []) == frozenset()


@pytest.mark.parametrize("text", ["", "nonsense", f"{ID}0", "0" * 32, "4bf9 2f35", "0x4bf92f3577b34d"])
def test_what_is_no_id_is_refused_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    with pytest.raises(UserError) as refused:
        parse_keys([text], [])
    assert refused.value.message.startswith(f"--trace-id: {text!r} is not a trace id")
    if not text:
        return
    listed = tmp_path / "ids"
    listed.write_text(f"{ID}\n# none\n{text}\n")
    with pytest.raises(UserError) as refused:
        parse_keys([], [listed])
    assert refused.value.message.startswith(f"{listed}:3: {text!r} is not a trace id")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{ID}\n{text}\n"))
    with pytest.raises(UserError) as refused:
        parse_keys([], [Path("-")])
    assert refused.value.message.startswith(f"standard input:2: {text!r} is not a trace id")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none: No such file or directory"):
        parse_keys([], [tmp_path / "none"])
    binary = tmp_path / "ids.gz"
    binary.write_bytes(b"\x1f\x8b\xff\xfe")
    with pytest.raises(UserError, match=r"ids\.gz is not UTF-8 text"):
        parse_keys([], [binary])


def test_traces_are_found_by_their_errors_and_by_the_services_of_all_their_parts(inputs: Inputs) -> None:
    put_parts(
        inputs,
        part(1, "shop", errored=True),
        part(2, "shop", "payment"),
        part(3, "shop"),
        part(3, "payment", errored=True),
        part(4, "shopping"),
        part(5, line="payment", errored=True),
        part(6, "shop", "payment", errored=True, opened=-9000),
        b"no part",
    )
    assert found(inputs, errored=True) == {1, 3, 5}
    assert found(inputs, "shop") == {1, 2, 3}
    assert found(inputs, "payment") == {2, 3, 5}
    assert found(inputs, "shop", "payment") == {2, 3}
    assert found(inputs, "payment", errored=True) == {3, 5}
    assert found(inputs, "nobody") == set()
    assert found(inputs, errored=True, begin=-5000, end=0) == {6}


def test_all_that_is_asked_for_narrows_it_down_together(inputs: Inputs) -> None:
    put_parts(inputs, *(part(trace, "shop", errored=trace % 2 == 0) for trace in range(1, 9)))
    made = Replays(inputs.settings, Event(), lambda *_: None)
    keys = frozenset(map(key, (1, 2, 4)))
    selected = made.select(Asked(*ALL, keys=keys, errored=True, services=frozenset({"shop"})))
    assert selected.keys == frozenset({key(2), key(4)})
    assert selected.numbers == frozenset(partition_of(key(trace), PARTITIONS) for trace in (2, 4))
    one = partition_of(key(2), PARTITIONS)
    assert made.select(Asked(*ALL, keys=frozenset({key(2)}), numbers=frozenset({0, 1}))).numbers == frozenset({one})
    assert made.select(Asked(*ALL, keys=keys, all_partitions=True)).numbers is None
    with pytest.raises(UserError, match="No trace matches the selection"):
        made.select(Asked(*ALL, keys=frozenset({key(1)}), errored=True))
    with pytest.raises(UserError, match="has no partition 2: it has 2"):
        made.select(Asked(*ALL, numbers=frozenset({0, 2})))
    with pytest.raises(UserError, match="is not before"):
        made.select(Asked(ALL[1], ALL[0]))
