"""A trace from Elasticsearch to Zipkin: for one that the Zipkin sink had left out before its error came."""

from contextlib import closing

from prometheus_client import CollectorRegistry

from pipeline.model.dead_letters import Origin
from pipeline.settings import without_credentials
from sinks.base.contract import Batch, Message, Outcome, Part
from sinks.base.metrics import SinkMetrics
from sinks.trace.search import FoundTrace
from sinks.zipkin.settings import ZipkinSettings
from sinks.zipkin.sink import ZipkinSink
from tracelink.errors import Unavailable, UserError
from tracelink.model.records import Trace


def send(found: FoundTrace, settings: ZipkinSettings) -> str:
    """Send the spans as the sink does, and say how many; raises UserError where Zipkin has not taken them all."""
    if not found.spans:
        raise UserError(f"Elasticsearch has log lines of trace {found.shown_id}, but no spans to send.")
    whole = Trace(
        flags=0, traceId=found.trace_id, name="", opened=0, closed=0, reason="", spans=found.records(), logs=[]
    )
    part = Part(Message(Origin("", 0, 0, 0), None, b""), whole)
    try:
        with closing(ZipkinSink(settings, SinkMetrics(CollectorRegistry(), "trace"))) as sink:
            report = sink.write(Batch((part,)))
    except Unavailable as error:
        raise UserError(f"{error}.") from None
    sent = report.records["span", Outcome.WRITTEN]
    if report.dead_letters:
        why = report.dead_letters[0].error.detail
        raise UserError(f"Zipkin took {sent} of {len(found.spans)} spans of trace {found.shown_id}: {why}")
    where = f"{without_credentials(settings.zipkin_url).rstrip('/')}/zipkin/traces/{found.shown_id}"
    rest = "" if found.limit is None else f", the first ones: there are more (--limit {found.limit})"
    return f"Sent {sent:,} spans to Zipkin{rest}: {where}"
