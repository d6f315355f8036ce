"""Trace ids that a person gives to a command."""

from pipeline.formats.trace_ids import UNTRACED, read_trace_id
from tracelink.errors import UserError
from tracelink.model.records import parse_trace_id


def given_trace_id(text: str, where: str = "") -> bytes:
    """Return the 16 bytes of a trace id in any spelling that log lines have it in; raises UserError.

    `where` is the place of the id in a file, for the error.
    """
    spelled = text.strip()
    found = read_trace_id(spelled) or read_trace_id(spelled, decimal=True)
    if found is not None and found is not UNTRACED:
        return found.value
    try:
        return parse_trace_id(spelled.lower())[0]
    except ValueError:
        place = f"{where}: " if where else ""
        raise UserError(
            f"{place}{text!r} is not a trace id: give 16 or 32 hex characters, not all zero, or another system's "
            "spelling (traceparent, X-Ray, Datadog's decimals, SkyWalking)."
        ) from None
