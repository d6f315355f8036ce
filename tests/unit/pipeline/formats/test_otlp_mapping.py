"""A span or log record is the same record on all ways: from the SDK, and in OTLP as protobuf and as JSON.

Differences that are meant: the SDK numbers its log records itself. An empty service name is `unknown_service`. A span
that ends before it starts has no duration, but a tag with the end. Times before September 2001 go by their magnitude.
A span that is its own parent, or whose parent is zero, is a root. The tables of `test_otlp_requests` have these.
"""

from operator import itemgetter

import orjson
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.trace import ReadableSpan

from pipeline.formats.invalid_input import InvalidInput
from pipeline.formats.otlp_requests import logs_of_json, logs_of_protobuf, spans_of_json, spans_of_protobuf
from pipeline.formats.spans import SpanReader
from tests.kit import otlp
from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.model.encoding import encode_log, encode_span
from tracelink.model.records import ErrorRule, LogRecord, Span
from tracelink.otel.logs import LogMapper
from tracelink.otel.spans import SpanMapper

RULE = ErrorRule()
MOST = 10
DIGEST = "0123456789abcdef0123456789abcdef"


def encoded(span: Span) -> Span:
    """Return a span as it comes out of Kafka: with all its fields."""
    found = SPAN.decode(encode_span(span))
    assert found == SPAN.decode(SPAN.encode(span))
    return found


def encoded_log(record: LogRecord) -> LogRecord:
    """Return a log record as it comes out of Kafka."""
    found = LOG_RECORD.decode(encode_log(record))
    assert found == LOG_RECORD.decode(LOG_RECORD.encode(record))
    return found


def span_id(span: ReadableSpan) -> object:
    assert span.context
    return span.context.span_id


# The encoder groups spans by resource and scope.
@given(st.lists(otlp.spans(), min_size=1, max_size=3, unique_by=span_id))
def test_a_span_is_the_same_record_on_all_ways(spans: list[ReadableSpan]) -> None:
    request = encode_spans(spans)
    mapper = SpanMapper(RULE)
    expected = sorted([encoded(mapper.map(span)) for span in spans], key=itemgetter("id"))
    for found in (
        spans_of_protobuf(request.SerializeToString(), RULE, MOST),
        spans_of_json(otlp.as_json(request), RULE, MOST),
    ):
        assert not found.invalid
        assert not found.notes
        assert sorted([encoded(one) for one in found.records], key=itemgetter("id")) == expected


@given(otlp.spans())
def test_a_span_of_a_file_is_the_same_but_for_the_spelling_of_an_address(span: ReadableSpan) -> None:
    (found,) = SpanReader(RULE).read(orjson.loads(otlp.as_json(encode_spans([span]))))
    assert not isinstance(found, InvalidInput)
    expected = encoded(SpanMapper(RULE).map(span))
    assert encoded(found) | {"remoteEndpoint": None} == expected | {"remoteEndpoint": None}


@given(otlp.log_records())
def test_a_log_record_is_the_same_record_on_all_ways(record: ReadableLogRecord) -> None:
    request = encode_logs([record])
    expected = encoded_log(LogMapper(RULE).map(record, f"{DIGEST}-0"))
    for found in (
        logs_of_protobuf(request.SerializeToString(), RULE, MOST, DIGEST, 0),
        logs_of_json(otlp.as_json(request), RULE, MOST, DIGEST, 0),
    ):
        assert not found.invalid
        assert not found.notes
        assert [encoded_log(one) for one in found.records] == [expected]
