"""What is fuzzed: each target takes any bytes and raises if a promise of its decoder is broken.

Any bytes end in messages for Kafka and refused records, which together are all records of the request, or in one of the
errors that the gateway answers. Both can be answered. Time grows with the length of the input.
"""

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from time import thread_time
from typing import Any

import orjson
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from py_zipkin.encoding.protobuf import zipkin_pb2

from pipeline.formats.decoded import TooManyRecords
from pipeline.formats.inflate import Inflater, TooLarge
from pipeline.formats.invalid_input import InvalidInput
from producers.gateway import lines, otlp, zipkin
from producers.gateway.protocol import JSON, PROTOBUF, Door, Encoder, Request
from producers.gateway.settings import GatewaySettings
from tracelink.model.codec import LOG_RECORD, SPAN

_MOST_RECORDS = 1000
_MOST_BYTES = 1024 * 1024
_ENCODER = Encoder(
    GatewaySettings.load(
        max_body_bytes=str(_MOST_BYTES),
        max_in_hand_bytes=str(8 * _MOST_BYTES),
        max_request_records=str(_MOST_RECORDS),
        # It reads all texts of a record, so it is fuzzed with them.
        gateway_redact="true",
        redact_names="ssn,*user*",
    )
)
_RECEIVED = 1_795_162_531_000_000
# CPU time: fuzzing measures which lines run, and takes several times as long as the decoders alone.
_SECONDS = 1.0
_SECONDS_PER_BYTE = 50e-6
_ENCODINGS = ("gzip", "deflate", "zstd", "identity")


@contextmanager
def _in_time(size: int) -> Iterator[None]:
    """Check the CPU time of what is done to so many bytes, however it ends."""
    begun = thread_time()
    try:
        yield
    finally:
        took = thread_time() - begun
        assert took < _SECONDS + _SECONDS_PER_BYTE * size, f"{size} bytes took {took:.1f} s"


def _decode(door: Door, content_type: str, body: bytes, count: Callable[[bytes], tuple[int, int]]) -> None:
    """Decode a request; `count` returns the least and the largest number of its records."""
    request = Request(content_type, body, _RECEIVED)
    try:
        with _in_time(len(body)):
            taken = door.decode(request)
    except (InvalidInput, TooManyRecords) as error:
        door.refused(content_type, HTTPStatus.BAD_REQUEST, str(error))
        return
    answer = door.accepted(request, taken, 0)
    assert bool(taken.invalid) == bool(taken.refusal(0)), answer
    least, most = count(body)
    assert least <= taken.records <= most, f"{taken.records} records, and not {least} to {most}"
    _check_messages(taken.messages)


def _check_messages(messages: list[Any]) -> None:
    ids = set()
    for message in messages:
        if message.kind == "span":
            SPAN.decode(message.value)
        else:
            ids.add(LOG_RECORD.decode(message.value)["id"])
    logs = sum(message.kind != "span" for message in messages)
    assert len(ids) == logs, "log records share an id: one would overwrite the other"


def _in_protobuf(kind: type[Any], resources: str, scopes: str, records: str) -> Callable[[bytes], tuple[int, int]]:
    def count(body: bytes) -> tuple[int, int]:
        try:
            request = kind.FromString(body)
        except DecodeError:  # a string that is not UTF-8, which the gateway repairs
            return 0, _MOST_RECORDS
        number = sum(
            len(getattr(one, records)) for group in getattr(request, resources) for one in getattr(group, scopes)
        )
        return number, number

    return count


def _in_json(resources: str, scopes: str, records: str) -> Callable[[bytes], tuple[int, int]]:
    """Count what has the names of today; there may be more under those of yesterday."""

    def count(body: bytes) -> tuple[int, int]:
        try:
            groups = orjson.loads(body).get(resources)
        except orjson.JSONDecodeError:
            groups = None
        found = [one for group in _objects(groups) for one in _objects(group.get(scopes))]
        lists = [one[records] for one in found if isinstance(one.get(records), list)]
        return sum(map(len, lists)), len(body)

    return count


def _objects(found: object) -> list[dict[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _zipkin_in_json(body: bytes) -> tuple[int, int]:
    """A span of Zipkin's first format may become several."""
    with suppress(orjson.JSONDecodeError):
        return len(orjson.loads(body)), len(body)
    return 0, len(body)


def _zipkin_in_protobuf(body: bytes) -> tuple[int, int]:
    try:
        number = len(zipkin_pb2.ListOfSpans.FromString(body).spans)
    except DecodeError:  # one of the spans is none, and the others are taken
        return 0, _MOST_RECORDS
    return number, number


def _lines(body: bytes) -> tuple[int, int]:
    """A line of text is a record, or belongs to the one before it; JSON may have several lines, or several in one."""
    return int(body.strip(b" \t\r\n\0\x1e\xef\xbb\xbf\xfe\xff[],").isalnum()), len(body)


def _inflate(data: bytes) -> None:
    """Inflate; the first byte chooses the encoding, and the second the size of the pieces in which the rest comes."""
    head, rest = data[:2].ljust(2, b"\0"), data[2:]
    encoding, size = _ENCODINGS[head[0] % len(_ENCODINGS)], head[1] + 1
    inflater = Inflater(encoding, _MOST_BYTES)
    try:
        with _in_time(len(rest)):
            for at in range(0, len(rest), size):
                inflater.feed(rest[at : at + size])
            found = inflater.finish()
    except (InvalidInput, TooLarge):
        return
    finally:
        assert inflater.size <= _MOST_BYTES
    if not rest or encoding == "identity":
        assert found == rest
    elif encoding == "gzip":
        assert found == gzip.decompress(rest)
    elif encoding == "deflate":
        assert found in {_inflated(rest, zlib.MAX_WBITS), _inflated(rest, -zlib.MAX_WBITS)}


def _inflated(data: bytes, bits: int) -> bytes | None:
    try:
        return zlib.decompress(data, bits)
    except zlib.error:
        return None


def _target(door: Door, content_type: str, count: Callable[[bytes], tuple[int, int]]) -> Callable[[bytes], None]:
    return lambda body: _decode(door, content_type, body, count)


_SPAN_NAMES, _LOG_NAMES = ("resourceSpans", "scopeSpans", "spans"), ("resourceLogs", "scopeLogs", "logRecords")
_TRACES, _LOGS, _ZIPKIN = otlp.Traces(_ENCODER), otlp.Logs(_ENCODER), zipkin.Spans(_ENCODER, version=2)
TARGETS: dict[str, Callable[[bytes], None]] = {
    "otlp_spans_protobuf": _target(
        _TRACES, PROTOBUF, _in_protobuf(ExportTraceServiceRequest, "resource_spans", "scope_spans", "spans")
    ),
    "otlp_logs_protobuf": _target(
        _LOGS, PROTOBUF, _in_protobuf(ExportLogsServiceRequest, "resource_logs", "scope_logs", "log_records")
    ),
    "otlp_spans_json": _target(_TRACES, JSON, _in_json(*_SPAN_NAMES)),
    "otlp_logs_json": _target(_LOGS, JSON, _in_json(*_LOG_NAMES)),
    "zipkin_json": _target(_ZIPKIN, JSON, _zipkin_in_json),
    "zipkin_protobuf": _target(_ZIPKIN, PROTOBUF, _zipkin_in_protobuf),
    "lines": _target(lines.Lines(_ENCODER), "", _lines),
    "inflate": _inflate,
}
"""By name; each raises any exception for a broken promise."""
