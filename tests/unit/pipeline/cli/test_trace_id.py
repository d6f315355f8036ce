"""Trace ids given to a command."""

import pytest

from pipeline.cli.trace_id import given_trace_id
from tracelink.errors import UserError

TRACE = "45e7c977bbbdeae5c8d57fca53057a57"


@pytest.mark.parametrize(
    ("text", "trace_id"),
    [
        (TRACE, TRACE),
        (f" {TRACE.upper()} ", TRACE),
        ("48485a3953bb6124", f"{0x48485A3953BB6124:032x}"),
        ("abc", f"{0xABC:032x}"),
        (f"00-{TRACE}-63ad9ba29811519d-01", TRACE),
        (f"1-{TRACE[:8]}-{TRACE[8:]}", TRACE),
        ("6603237610001450838", f"{6603237610001450838:032x}"),
    ],
)
def test_an_id_is_taken_in_the_senders_spelling(text: str, trace_id: str) -> None:
    assert given_trace_id(text).hex() == trace_id


@pytest.mark.parametrize("text", ["", "xyz", "0" * 32, "N/A", "checkout-7"])
def test_another_text_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(UserError) as refused:
        given_trace_id(text, "ids.txt:3")
    assert refused.value.message.startswith(f"ids.txt:3: {text!r} is not a trace id")
