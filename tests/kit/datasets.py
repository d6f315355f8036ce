"""Files of spans and log lines, with what is known to be in them."""

import gzip
import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

Json = dict[str, Any]

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
"""Recorded traces and logs that lie beside some clones; continuous integration must have them."""

needs_shared = pytest.mark.skipif(
    not SHARED.is_dir() and os.environ.get("CI") != "true", reason="the shared data set is not beside this clone"
)


@dataclass(frozen=True)
class Dataset:
    """Files, and the truth about them: span ids by trace, log lines by trace, and the errored traces."""

    spans: Path
    logs: Path | None
    span_ids: dict[str, list[str]]
    lines: dict[str, int]
    errored: frozenset[str]

    @property
    def traces(self) -> set[str]:
        return {*self.span_ids, *self.lines}


def recorded(name: str) -> Dataset:
    """Return a recorded data set of spans and logs; its truth is read without a line of the product."""
    spans, logs = SHARED / f"{name}.spans.jsonl.gz", SHARED / f"{name}.logs.jsonl.gz"
    return _known(spans, logs, list(_lines(spans)), list(_lines(logs)))


def recorded_trace(path: Path) -> Dataset:
    """Return a recorded single trace in Zipkin's JSON."""
    return _known(path, None, json.loads(path.read_text()), [])


def generated(folder: Path, *, traces: int = 40, seed: int = 1) -> Dataset:
    """Write a data set of our own: several services, some traces errored by a span, some by a log line alone."""
    chance = random.Random(seed)
    spans: list[Json] = []
    lines: list[Json] = []
    for number in range(traces):
        trace, parent, start = f"{chance.getrandbits(128):032x}", None, 1_700_000_000_000_000 + number * 50_000
        for depth in range(chance.randint(2, 8)):
            span = f"{chance.getrandbits(64):016x}"
            service = f"service-{depth}"
            tags = {"http.path": f"/{depth}"} | ({"error": "no stock"} if number % 5 == 0 and depth == 1 else {})
            spans.append(
                {
                    "traceId": trace,
                    "id": span,
                    "kind": "SERVER",
                    "name": f"get /{depth}",
                    "timestamp": start + depth * 1000,
                    "duration": 9000 - depth * 1000,
                    "localEndpoint": {"serviceName": service},
                    "tags": tags,
                }
                | ({"parentId": parent} if parent else {})
            )
            level = "error" if number % 7 == 0 and depth == 0 else "info"
            seconds = (start + depth * 1000 + 500) / 1_000_000
            lines.append(
                {
                    "@timestamp": seconds,
                    "message": f"depth {depth}",
                    "log.level": level,
                    "service.name": service,
                    "trace.id": trace,
                    "span.id": span,
                }
            )
            parent = span
    files = folder / "spans.json", folder / "logs.jsonl.gz"
    files[0].write_text(json.dumps(spans))
    with gzip.open(files[1], "wt") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    return _known(*files, spans, lines)


def _lines(path: Path) -> Iterator[Json]:
    with gzip.open(path, "rt") as file:
        for line in file:
            yield json.loads(line)


def _known(
    spans_file: Path, logs_file: Path | None, spans: list[dict[str, Any]], lines: list[dict[str, Any]]
) -> Dataset:
    span_ids: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for span in spans:
        span_ids.setdefault(span["traceId"], []).append(span["id"].zfill(16))
    for line in lines:
        counts[line["trace.id"]] = counts.get(line["trace.id"], 0) + 1
    errored = {span["traceId"] for span in spans if _failed(span.get("tags", {}))}
    errored |= {line["trace.id"] for line in lines if line["log.level"].lower() in {"error", "fatal"}}
    return Dataset(spans_file, logs_file, span_ids, counts, frozenset(errored))


def _failed(tags: dict[str, str]) -> bool:
    return "error" in tags or int(tags.get("http.status_code", "0")) >= 500
