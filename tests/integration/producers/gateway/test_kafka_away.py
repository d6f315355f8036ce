"""The gateway while its broker is away, and as it ends: what it has said yes to is in Kafka."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import grpc
import pytest
import urllib3
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from pipeline.local.ports import Ports, free_port
from pipeline.local.stack import Stack
from tests.kit.gateway import Running, gateway
from tests.kit.kafka_topics import create, read, settings
from tests.kit.waiting import wait_for
from tracelink.model.codec import SPAN

_PREFIX = "away."
_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_REQUEST = ExportTraceServiceRequest()
_REQUEST.resource_spans.add().scope_spans.add().spans.add(trace_id=bytes(15) + b"a", span_id=bytes(7) + b"b", name="x")


@pytest.fixture
def kafka(own_stack: Path) -> Iterator[Stack]:
    with Stack(own_stack, ports=Ports(kafka=free_port()), only=("kafka",)) as kafka:
        create(kafka.start().kafka, _PREFIX)
        yield kafka


@pytest.fixture
def door(kafka: Stack, tmp_path: Path) -> Iterator[Running]:
    with gateway(kafka.start().kafka, _PREFIX, tmp_path, answer_within="2") as running:
        yield running


def _body(span_id: int) -> bytes:
    return json.dumps([{"traceId": uuid4().hex, "id": f"{span_id:x}", "name": "get /"}]).encode()


def _ids(kafka: Stack) -> list[int]:
    where = settings(kafka.start().kafka, _PREFIX)
    return sorted(int(SPAN.decode(one.value)["id"], 16) for one in read(where))


def test_while_kafka_is_away_senders_get_503_and_what_they_repeat_arrives(door: Running, kafka: Stack) -> None:
    with urllib3.PoolManager(retries=False, timeout=30) as pool:

        def post(span_id: int) -> urllib3.BaseHTTPResponse:
            return pool.request("POST", f"{door.url}/api/v2/spans", body=_body(span_id))

        assert post(1).status == 202
        kafka.stop()
        for span_id in (2, 3):
            began = time.monotonic()
            answer = post(span_id)
            assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
            assert time.monotonic() - began < 8
        ready = pool.request("GET", f"{door.monitoring}/readyz")
        assert ready.status == 503
        assert b"Kafka does not acknowledge records" in ready.data
        with grpc.insecure_channel(door.grpc) as channel:
            export: Any = channel.unary_unary(_EXPORT)  # its types need serializers
            with pytest.raises(grpc.RpcError) as refused:
                export(_REQUEST.SerializeToString(), timeout=30)
        call: Any = refused.value
        assert call.code() is grpc.StatusCode.UNAVAILABLE
        details = dict(call.trailing_metadata())["grpc-status-details-bin"]
        retry = RetryInfo()
        assert Status.FromString(details).details[0].Unpack(retry)
        assert retry.retry_delay.seconds == 2
        kafka.start()
        wait_for("it to be ready", lambda: pool.request("GET", f"{door.monitoring}/readyz").status == 200)
        wait_for("a span to be taken again", lambda: post(4).status == 202)
        assert {1, 4} <= set(_ids(kafka)) <= {1, 2, 3, 4, ord("b")}
        for sample in ("received", "written", "refused"):
            assert door.counted(f"{sample}_records_total")
        assert door.counted("received_records_total") == (
            door.counted("written_records_total") + door.counted("refused_records_total", reason="unavailable")
        )


def test_the_end_waits_for_the_requests_in_hand_and_says_no_to_later_ones(door: Running, kafka: Stack) -> None:
    """A request in hand is one whose body is still coming: it is answered although the end was asked for."""
    body = _body(7)
    head = f"POST /api/v2/spans HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", door.port), timeout=20) as sender:
        sender.sendall(head + body[:10])
        wait_for("the request to be in hand", lambda: door.counted("in_hand_requests") == 1)
        ended: list[int] = []
        end = Thread(target=lambda: ended.append(door.process.stop(signal.SIGTERM, seconds=30)))
        end.start()
        wait_for("it to be ending", lambda: "ends after 1 requests in hand" in door.process.output())
        with urllib3.PoolManager(retries=False) as pool:
            assert pool.request("POST", f"{door.url}/api/v2/spans", body=_body(8)).status == 503
        sender.sendall(body[10:])
        assert b" 202 " in sender.recv(1000)
        end.join()
    assert ended == [0]
    assert _ids(kafka) == [7]
