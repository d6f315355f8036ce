"""The command `tracelink trace`.

The clients are imported where they are used: `--help` needs none of them.
"""

import json
from typing import TYPE_CHECKING

import click

from pipeline.cli.options import settings_options
from pipeline.cli.trace_id import given_trace_id
from pipeline.settings import ElasticsearchAccess, ZipkinAccess
from sinks.elasticsearch.settings import ElasticsearchSettings
from sinks.zipkin.settings import ZipkinSettings

if TYPE_CHECKING:
    from sinks.trace.search import FoundTrace


@click.command(short_help="Show a trace with its log lines.")
@click.argument("trace_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: spans in Zipkin's format, and log lines.")
@click.option("--to-zipkin", is_flag=True, help="Send all its spans to Zipkin, also those that were sampled out.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20_000,
    show_default=True,
    help="Maximum number of spans, and of log lines.",
)
@settings_options(ElasticsearchAccess)
@settings_options(ElasticsearchSettings, only=("request_timeout",))
@settings_options(ZipkinAccess)
def trace(*, trace_id: str, as_json: bool, to_zipkin: bool, limit: int, **flags: str | None) -> None:
    """Show a trace from Elasticsearch: its span tree, with the log lines of each span.

    ID has 16 or 32 hex characters, or is spelled as in the sender's log lines: traceparent, X-Ray, Datadog, SkyWalking.

    --to-zipkin completes a trace whose error came late, after the Zipkin sink had sampled out its first spans.

    \b
    Examples:
      tracelink trace 4bf92f3577b34da6a3ce929d0e0e4736
      tracelink trace 4bf92f3577b34da6a3ce929d0e0e4736 --json | jq .logs[].message
      tracelink trace 00f067aa0ba902b7 --to-zipkin --zipkin-url http://zipkin:9411
    """
    from sinks.trace.search import find

    parsed = given_trace_id(trace_id)
    settings = ElasticsearchSettings.load_own(flags)
    zipkin = ZipkinSettings.load_own(flags) if to_zipkin else None
    found = find(settings, parsed, limit)
    if as_json:
        # In ASCII: a terminal also interprets control characters that JSON does not escape.
        click.echo(json.dumps(found.as_json()))
    elif zipkin is None:
        _show(found)
    if zipkin is not None:
        from sinks.trace.send import send

        click.echo(send(found, zipkin), err=as_json)


def _show(found: "FoundTrace") -> None:
    from rich.console import Console

    from sinks.trace.view import view

    console = Console(highlight=False)
    for line in view(found):
        console.print(line, soft_wrap=True)
