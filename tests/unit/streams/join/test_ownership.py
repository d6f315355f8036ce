"""What a worker keeps of its partitions and what it lets go; whole schedules are in `test_model`."""

import pytest

from streams.join.journal import Ledger
from streams.join.ownership import Committed, Ownership
from streams.join.partition import JoinPartition
from streams.join.window import LOGS, SPANS
from tests.kit.join_model import make_partition
from tests.kit.messages import FakeMessage
from tests.kit.records import key, log_message, span_message

BEGINNING = Committed((0, 0))


def with_a_closed_part_after_an_open_one() -> tuple[Ownership, JoinPartition]:
    """Trace 1 holds the offsets where they are, trace 2 is full and goes out."""
    ownership = Ownership(make_partition)
    ownership.assign({0: BEGINNING}, {0: Ledger(0)})
    (partition,) = ownership.partitions()
    spans = [FakeMessage(at, 1000, key(trace), span_message(trace)) for at, trace in enumerate((1, 2, 2, 2))]
    partition.receive(SPANS, spans, now=0, wall=2000)
    partition.receive(LOGS, [FakeMessage(0, 1001, key(3), log_message(3))], now=0, wall=2000)
    partition.advance(0)
    return ownership, partition


def commit(ownership: Ownership, *, at: int) -> Committed:
    list(ownership.unsent())
    written = ownership.written(ownership.due(), {0: [at]})
    ownership.committed(written)
    return written[0].committing


def test_a_message_is_sent_once_in_a_transaction_and_again_after_an_abort() -> None:
    ownership, _ = with_a_closed_part_after_an_open_one()
    (sent,) = ownership.unsent()
    assert list(ownership.unsent()) == []
    ownership.aborted()
    assert list(ownership.unsent()) == [sent]
    commit(ownership, at=0)
    assert list(ownership.unsent()) == []
    assert ownership.due() == {}


def test_a_partition_that_nobody_committed_for_comes_back_as_it_was() -> None:
    ownership, partition = with_a_closed_part_after_an_open_one()
    committed = commit(ownership, at=0)
    ownership.revoke()
    assert ownership.partitions() == []
    assert ownership.unknown({0: committed}) == {}
    assert ownership.assign({0: committed}, {}) == []
    assert ownership.partitions() == [partition]


def test_a_transaction_of_another_worker_shows_though_it_left_the_offsets_where_they_were() -> None:
    ownership, partition = with_a_closed_part_after_an_open_one()
    committed = commit(ownership, at=0)
    ownership.revoke()
    by_another = Committed(committed.positions, committed.journal, 1, committed.times)
    assert ownership.unknown({0: by_another}) == {0: by_another}
    assert ownership.assign({0: by_another}, {0: Ledger(0)}) == [partition]
    assert ownership.partitions() != [partition]


def test_a_lost_partition_leaves_nothing_behind() -> None:
    ownership, partition = with_a_closed_part_after_an_open_one()
    list(ownership.unsent())
    assert ownership.release_all() == [partition]
    ownership.assign({0: BEGINNING}, {0: Ledger(0)})
    assert list(ownership.unsent()) == []
    assert ownership.due() == {}


def test_a_parked_partition_does_not_outlive_the_membership() -> None:
    ownership, partition = with_a_closed_part_after_an_open_one()
    committed = commit(ownership, at=0)
    ownership.revoke()
    assert ownership.release_all() == [partition]
    assert ownership.unknown({0: committed}) == {0: committed}


def test_what_is_committed_comes_back_out_of_its_metadata() -> None:
    committed = Committed((5, 6), journal=7, last=8, times=(9, 10))
    assert Committed.read((5, 6), committed.metadata()) == committed


@pytest.mark.parametrize("metadata", [None, "", "something", "7,8"])
def test_offsets_that_somebody_has_reset_have_the_journal_read_whole(metadata: str | None) -> None:
    assert Committed.read((5, 6), metadata) == Committed((5, 6))
