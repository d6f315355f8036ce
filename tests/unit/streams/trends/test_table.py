"""The Faust table of the curves, as a recovery fills it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from faust.types import TP

from pipeline.model.trends import CURVE
from streams.trends.app import TrendsApp
from streams.trends.settings import TrendsSettings
from streams.trends.table import CurveTable

Check = Callable[[CurveTable], Awaitable[None]]


@dataclass
class Message:
    key: bytes | None
    value: bytes | None
    topic: str = "changelog"
    partition: int = 0
    offset: int = 0


@dataclass
class Event:
    message: Message


def restore(table: CurveTable, *records: tuple[bytes | None, bytes | None]) -> None:
    events: list[Any] = [Event(Message(key, value)) for key, value in records]
    table.apply_changelog_batch(events)


def entry(offset: int) -> bytes:
    return CURVE.encode(
        {
            "offset": offset,
            "newest": 5,
            "ages": [0],
            "counts": [offset],
            "kind": "service",
            "partition": 0,
            "name": "a",
        }
    )


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Check], None]:
    """Run a check on an empty table in an event loop."""

    async def main(check: Check) -> None:
        partitions = dict.fromkeys((f"tracelink.trends.tracelink-trends.{kind}" for kind in _KINDS), 2)
        app = TrendsApp(TrendsSettings.load(), {}, partitions, tmp_path)
        await check(app.curve_tables["service"])

    return lambda check: asyncio.run(main(check))


_KINDS = ("fingerprint", "service", "reason")


def test_the_newest_record_of_a_key_is_restored_unless_it_counts_less(run: Callable[[Check], None]) -> None:
    async def check(table: CurveTable) -> None:
        restore(table, (b"service|0|a", entry(3)), (b"service|0|a", entry(9)), (b"service|0|a", entry(8)))
        assert dict(table.data) == {b"service|0|a": entry(9)}
        restore(table, (b"service|0|a", entry(9)), (b"service|0|a", entry(10)))
        assert dict(table.data) == {b"service|0|a": entry(10)}
        restore(table, (b"service|0|a", None))
        assert dict(table.data) == {}

    run(check)


def test_an_invalid_record_is_skipped(run: Callable[[Check], None]) -> None:
    async def check(table: CurveTable) -> None:
        restore(
            table,
            (b"service|0|a", entry(3)),
            (b"service|0|a", b"?"),
            (b"service|0|a", entry(4)[:-1]),
            (b"a", entry(5)),
            (None, entry(6)),
        )
        assert dict(table.data) == {b"service|0|a": entry(3)}

    run(check)


def test_the_entries_of_lost_partitions_are_dropped(run: Callable[[Check], None]) -> None:
    async def check(table: CurveTable) -> None:
        table.data[b"service|0|a"] = table.data[b"service|1|a"] = entry(1)
        await table.on_recovery_completed({TP("changelog", 1)}, set())
        assert dict(table.data) == {b"service|1|a": entry(1)}

    run(check)
