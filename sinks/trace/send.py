"""Sends a trace from Elasticsearch to Zipkin, for traces that the Zipkin sink sampled out before their error came."""

from contextlib import closing

from pipeline.settings import zipkin_ui
from sinks.trace.search import FoundTrace
from sinks.zipkin.client import ZipkinClient
from sinks.zipkin.settings import ZipkinSettings
from tracelink.errors import Unavailable, UserError


def send(found: FoundTrace, settings: ZipkinSettings) -> str:
    """Send the spans as the sink does; returns a message with their number. Raises UserError if any span is refused."""
    spans = found.records()
    if not spans:
        raise UserError(f"Elasticsearch has log lines of trace {found.shown_id}, but no spans to send.")
    try:
        with closing(ZipkinClient(settings)) as client:
            refused = client.send(spans)
    except Unavailable as error:
        raise UserError(f"{error}.") from None
    if refused:
        sent, why = len(spans) - len(refused), refused[0][1].detail
        raise UserError(f"Zipkin accepted {sent} of {len(spans)} spans of trace {found.shown_id}: {why}")
    where = f"{zipkin_ui(settings.zipkin_url)}/traces/{found.shown_id}"
    rest = "" if found.limit is None else f" (truncated: --limit {found.limit})"
    return f"Sent {len(spans):,} spans to Zipkin{rest}: {where}"
