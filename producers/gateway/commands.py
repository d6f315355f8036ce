"""The command `tracelink gateway`."""

import click

from pipeline.cli.options import settings_options
from producers.gateway.settings import GatewaySettings


@click.command(short_help="Take spans and log lines as OTLP, Zipkin or JSON lines.")
@click.option("--open", "is_open", is_flag=True, help="Listen beyond this machine without tokens.")
@settings_options(GatewaySettings)
def gateway(*, is_open: bool, **flags: str | None) -> None:
    """Take spans and log lines over HTTP and gRPC, and answer when Kafka has them.

    Every address for HTTP takes all paths: OTLP (/v1/traces, /v1/logs: protobuf and JSON), Zipkin (/api/v2/spans: JSON
    and proto3; /api/v1/spans: JSON), and log lines (/v1/lines: JSON lines, arrays or text). Bodies may have gzip,
    deflate or zstd. OTLP over gRPC has addresses of its own. While Kafka does not answer, senders get 503 and repeat
    the request; a repeated request changes nothing.

    \b
    Examples:
      tracelink gateway
      tracelink gateway --gateway-listen 127.0.0.1:4318,127.0.0.1:9411
      tracelink gateway --gateway-listen 0.0.0.0:4318 --gateway-tokens-file tokens.txt
      curl --data-binary @app.log http://127.0.0.1:4318/v1/lines
    """
    from producers.gateway.process import run

    if is_open:
        flags["gateway_open"] = "true"
    run(GatewaySettings.load(**flags))
