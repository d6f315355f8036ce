"""The naive join: a stock Faust app with an agent a topic, which keeps open traces in a dict.

It promises nothing: traces that are open when it ends are lost, and records that it reads again come out twice.

usage: BROKERS=… TOPIC_PREFIX=… GROUP=… python -m benchmarks.peers.faust_join worker
"""

import os
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import faust
from faust.types import K, StreamT

_IDLE_GAP = 5.0

_prefix = os.environ["TOPIC_PREFIX"]
app = faust.App(
    os.environ["GROUP"],
    broker=f"kafka://{os.environ['BROKERS']}",
    key_serializer="raw",
    value_serializer="raw",
)
spans = app.topic(f"{_prefix}spans", key_type=bytes, value_type=bytes)
logs = app.topic(f"{_prefix}logs", key_type=bytes, value_type=bytes)
joined = app.topic(f"{_prefix}faust-traces", key_type=bytes, value_type=bytes)


@dataclass(slots=True)
class Trace:
    """An open trace: its records, and the monotonic time of the last."""

    records: list[bytes] = field(default_factory=list)
    touched: float = 0.0


_open: dict[K, Trace] = {}
_processed = 0


def _add(trace_id: K, record: bytes) -> None:
    global _processed  # noqa: PLW0603 - as a naive program does
    trace = _open.get(trace_id)
    if trace is None:
        trace = _open[trace_id] = Trace()
    trace.records.append(record)
    trace.touched = time.monotonic()
    _processed += 1


@app.agent(spans)
async def add_spans(stream: StreamT[Any]) -> None:
    """Add spans to their traces."""
    async for trace_id, span in stream.items():
        _add(trace_id, span)


@app.agent(logs)
async def add_logs(stream: StreamT[Any]) -> None:
    """Add log lines to their traces."""
    async for trace_id, log in stream.items():
        _add(trace_id, log)


@app.timer(1.0)  # type: ignore[untyped-decorator]  # Faust does not annotate it
async def close_idle() -> None:
    """Send the traces that have been quiet for the idle gap."""
    quiet_since = time.monotonic() - _IDLE_GAP
    for trace_id in [trace_id for trace_id, trace in _open.items() if trace.touched <= quiet_since]:
        await joined.send(key=trace_id, value=b"".join(_open.pop(trace_id).records))


@app.timer(0.2)  # type: ignore[untyped-decorator]  # as above
async def say() -> None:
    """Print the number of processed records."""
    # Faust redirects `sys.stdout` to its log.
    print(_processed, file=sys.__stdout__, flush=True)


if __name__ == "__main__":
    app.main()
