"""Records as messages."""

from binascii import hexlify

from hypothesis import given

from tests.kit.strategies import logs, spans
from tracelink.kafka.messages import LOGS, SPANS, RecordEncoder
from tracelink.kafka.topics import TopicNames
from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.model.records import LogRecord, Span

MESSAGES = RecordEncoder(TopicNames("p."))


@given(spans())
def test_a_spans_message_has_its_trace_id_as_key(record: Span) -> None:
    assert MESSAGES.span(record) == (SPANS, "p.spans", hexlify(record["traceId"]), SPAN.encode(record))


@given(logs())
def test_a_log_records_message_has_its_trace_id_as_key(record: LogRecord) -> None:
    assert MESSAGES.log(record) == (LOGS, "p.logs", hexlify(record["traceId"]), LOG_RECORD.encode(record))
