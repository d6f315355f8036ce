"""A sink as a process that gets no further: one that only waits says for what, one that is stuck ends and says why."""

import logging
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest
from confluent_kafka import Producer

from pipeline.local.stack import Endpoints
from pipeline.runtime.watchdog import STUCK_EXIT_CODE
from tests.kit.http import http_request
from tests.kit.processes import Process, running
from tests.kit.sink_examples import new_trace_id, span, trace_message
from tests.kit.sink_topics import Topics
from tests.kit.waiting import PATIENCE, eventually

STUCK_AFTER = 3.0


@pytest.fixture
def topics(stack: Endpoints, topic_prefix: str) -> Topics:
    return Topics(stack.kafka, topic_prefix)


@contextmanager
def sink(topics: Topics, zipkin: str, log: Path) -> Iterator[Process]:
    with running(
        "sink",
        "zipkin",
        log=log / "sink.log",
        TRACELINK_KAFKA_BOOTSTRAP_SERVERS=topics.brokers,
        TRACELINK_TOPIC_PREFIX=topics.names.prefix,
        TRACELINK_SINK_GROUP=group(topics),
        TRACELINK_ZIPKIN_URL=zipkin,
        TRACELINK_REQUEST_TIMEOUT="0.3",
        TRACELINK_BATCH_WAIT="0",
        TRACELINK_STUCK_AFTER=str(STUCK_AFTER),
    ) as process:
        yield process


def group(topics: Topics) -> str:
    return topics.names.prefix + "sink"


def committed(topics: Topics) -> int:
    return topics.committed(group(topics), topics.names.traces)


def readiness(url: str) -> str:
    answer = http_request("GET", f"{url}/readyz", timeout=5, retries=False)
    return answer.data.decode().strip()


def message() -> bytes:
    return trace_message([span(new_trace_id())])


def test_somebody_elses_open_transaction_is_waited_for_and_named(
    stack: Endpoints, topics: Topics, tmp_path: Path
) -> None:
    topics.produce(topics.names.traces, message())
    somebody = Producer({"bootstrap.servers": topics.brokers, "transactional.id": uuid.uuid4().hex})
    somebody.init_transactions(20)
    somebody.begin_transaction()
    somebody.produce(topics.names.traces, message(), b"key", partition=0)
    somebody.flush(20)
    topics.produce(topics.names.traces, message())
    with sink(topics, stack.zipkin, tmp_path) as process:
        url = process.wait_until_ready()
        eventually(lambda: committed(topics) == 1)
        said = re.escape(f"waiting for a transaction that is open on {topics.names.traces}[0] at offset 1, for ")

        def waits_for_long() -> bool:
            found = re.fullmatch(said + r"(\d+) s so far", readiness(url))
            return found is not None and int(found.group(1)) > 2 * STUCK_AFTER

        eventually(waits_for_long)
        somebody.commit_transaction(20)
        eventually(lambda: committed(topics) == 4)  # three messages, and the marker of the transaction
        eventually(lambda: readiness(url) == "ready")
        assert process.stop() == 0
    assert "stuck" not in process.output()


def test_a_write_that_never_returns_ends_the_sink_with_its_batch_uncommitted(topics: Topics, tmp_path: Path) -> None:
    topics.produce(topics.names.traces, message())
    with endless() as (zipkin, written), sink(topics, zipkin, tmp_path) as process:
        assert written.wait(20)
        assert process.wait(seconds=PATIENCE) == STUCK_EXIT_CODE
    found = process.output()
    reason = rf"no progress for \d+ s at a lag of 1, most of it on {re.escape(topics.names.traces)}\[0\], "
    assert re.search(rf"stuck, ending: {reason}", found)
    assert re.search(rf"Error: Ended because it was stuck: {reason}", found)
    assert "Traceback" not in found
    assert "exiting at once" not in found
    assert committed(topics) < 0


@contextmanager
def endless() -> Iterator[tuple[str, Event]]:
    """Serve a Zipkin that is in good health and answers to spans without end, so that no time-out is reached."""
    written, over = Event(), Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            written.set()
            self.send_response(HTTPStatus.ACCEPTED)
            self.end_headers()
            while not over.wait(0.05):
                try:
                    self.wfile.write(b".")
                except OSError:
                    return

        def log_message(self, *arguments: object) -> None:
            logging.getLogger(__name__).debug("%s", arguments)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", written
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()
