"""A trace from Elasticsearch to Zipkin: for one that the Zipkin sink had left out before its error came."""

from contextlib import closing

from pipeline.settings import without_credentials
from sinks.trace.search import FoundTrace
from sinks.zipkin.client import ZipkinClient
from sinks.zipkin.settings import ZipkinSettings
from tracelink.errors import Unavailable, UserError


def send(found: FoundTrace, settings: ZipkinSettings) -> str:
    """Send the spans as the sink does, and say how many; raises UserError where Zipkin has not taken them all."""
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
        raise UserError(f"Zipkin took {sent} of {len(spans)} spans of trace {found.shown_id}: {why}")
    where = f"{without_credentials(settings.zipkin_url).rstrip('/')}/zipkin/traces/{found.shown_id}"
    rest = "" if found.limit is None else f", the first ones: there are more (--limit {found.limit})"
    return f"Sent {len(spans):,} spans to Zipkin{rest}: {where}"
