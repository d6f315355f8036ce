"""A whole pipeline for a test: on the servers of the tests, under names of its own."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from pipeline.local.stack import Endpoints
from tests.kit.processes import Process, running
from tests.kit.waiting import wait_for

_START_SECONDS = 90.0


def pipeline_environment(stack: Endpoints, topic_prefix: str, index_prefix: str) -> dict[str, str]:
    """Return the variables under which `tracelink up` or `demo` uses these servers and meets no other test."""
    return {
        "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": stack.kafka,
        "TRACELINK_ZIPKIN_URL": stack.zipkin,
        "TRACELINK_ELASTICSEARCH_URL": stack.elasticsearch,
        "TRACELINK_TOPIC_PREFIX": topic_prefix,
        "TRACELINK_INDEX_PREFIX": index_prefix,
        "TRACELINK_JOIN_GROUP": f"{topic_prefix}join",
        "TRACELINK_ALERTS_GROUP": f"{topic_prefix}alerts",
        "TRACELINK_SINK_GROUP": f"{topic_prefix}sink",
        "TRACELINK_INSTANCE_ID": topic_prefix,
        "TRACELINK_STACK_GATEWAY_PORT": "0",
        "TRACELINK_STACK_PAGE_PORT": "0",
        "TRACELINK_STACK_GATEWAY_GRPC_PORT": "0",
        "TRACELINK_PARTITIONS": "2",
    }


def processes_of(environment: dict[str, str]) -> list[psutil.Process]:
    """Find all processes under the topic prefix of an environment, whoever started them: children inherit it."""
    name = "TRACELINK_TOPIC_PREFIX"
    found = []
    for process in psutil.process_iter():
        # One that has ended has no environment any more.
        with suppress(psutil.Error):
            if process.environ().get(name) == environment[name]:
                found.append(process)
    return found


@contextmanager
def up(directory: Path, *options: str, **environment: str) -> Iterator[tuple[Process, dict[str, Any]]]:
    """Run `tracelink up` in a directory of the test, and give what it announces once it is ready."""
    arguments = ("up", "--json", "--dir", str(directory), *options)
    with running(*arguments, log=directory.with_suffix(".log"), **environment) as process:
        yield process, wait_for("its announcement", lambda: _announced(process), seconds=_START_SECONDS)


def _announced(process: Process) -> dict[str, Any]:
    """Find the JSON among the lines of the log; empty while it is not there."""
    assert "Error:" not in process.output(), process.output()
    _, opening, rest = f"\n{process.output()}".partition("\n{\n")
    text, closing, _ = rest.partition("\n}\n")
    found: dict[str, Any] = json.loads(f"{{{text}}}") if opening and closing else {}
    return found
