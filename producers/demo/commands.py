"""The command `tracelink demo`."""

import click

from pipeline.local.commands import require_extra
from pipeline.local.options import Request, pipeline_options


@click.command(short_help="Run the pipeline with a small demo shop.")
@click.option("--once", is_flag=True, help="Send some requests, check the result of each, and exit.")
@click.option(
    "--requests",
    type=click.IntRange(min=1, max=1000),
    default=50,
    show_default=True,
    help="Number of requests that --once sends.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    default=4.0,
    show_default=True,
    help="Maximum number of requests a second.",
)
@click.option(
    "--within",
    type=click.FloatRange(min=1),
    default=90.0,
    show_default=True,
    metavar="SECONDS",
    help="Maximum time that --once waits for the results after its last request.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the counts of --once as JSON to standard output.")
@pipeline_options
def demo(*, once: bool, requests: int, rate: float, within: float, as_json: bool, request: Request) -> None:
    """Run the whole pipeline with a small shop of five services, one of which fails regularly.

    The services send real requests to each other, instrumented with OpenTelemetry, and write log lines. Three of them
    use tracelink.setup; inventory sends OTLP to the gateway, shipping Zipkin spans and JSON lines. The view shows
    figures of the pipeline and, for each errored trace, the error, its page in Zipkin, and the query for its log lines.
    The pipeline and its data are those of `tracelink up`; windows close after 2 s (TRACELINK_IDLE_GAP).

    With --once the exit code is 0 if exactly the failed requests were flagged as errored traces, with all their spans
    in Zipkin and all their log lines in Elasticsearch; else it is 1.

    \b
    Examples:
      tracelink demo
      tracelink demo --once --requests 200 --rate 20 --json
      tracelink demo --dir ./demo --kafka-port 0 --zipkin-port 0 --elasticsearch-port 0 --gateway-port 0 \\
        --gateway-grpc-port 0
    """
    from importlib.util import find_spec

    from tracelink.errors import UserError

    require_extra()
    missing = [
        name
        for name in ("flask", "requests", "opentelemetry.instrumentation", "opentelemetry.exporter")
        if find_spec(name) is None
    ]
    if missing:
        raise UserError(f"The demo needs {', '.join(missing)}. Install tracelink with its extra: pip install '.[demo]'")
    if as_json and not once:
        raise click.UsageError("--json needs --once: it prints its counts.")
    from producers.demo.run import run

    raise SystemExit(run(request, limit=requests if once else None, rate=rate, within=within, as_json=as_json))
