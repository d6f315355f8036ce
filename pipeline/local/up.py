"""The command `tracelink up`."""

from typing import TYPE_CHECKING

import click

from pipeline.local.commands import require_extra
from pipeline.local.options import Request, pipeline_options

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.local.pipeline import Pipeline
    from pipeline.local.supervisor import OnLine

_TICK_SECONDS = 0.1


@click.command(short_help="Run the whole pipeline here.")
@pipeline_options
@click.option("--json", "as_json", is_flag=True, help="Print all addresses as JSON when everything is ready.")
def up(*, request: Request, as_json: bool) -> None:
    """Run the whole pipeline on this machine for your own services: servers, topics, and all processes.

    Kafka, Zipkin and Elasticsearch are started if they do not run, as by `tracelink stack up`, unless an option or its
    variable names another one. The join, the alerts, the trends, the sinks of Zipkin and Elasticsearch, the gateway and
    the page are processes that are restarted when they end. Set their settings with variables (TRACELINK_IDLE_GAP=10
    tracelink up); with TRACELINK_HTTP_PORT=N they serve their metrics on N to N+6, in this order. Ctrl-C stops
    everything that was started.

    \b
    Examples:
      tracelink up
      tracelink up --fresh --kafka-port 0 --zipkin-port 0 --elasticsearch-port 0 --page-port 0 \\
        --gateway-port 0 --gateway-grpc-port 0 --dir ./pipeline
      tracelink up --kafka-bootstrap-servers kafka:9092 --zipkin-url http://zipkin:9411 \\
        --elasticsearch-url https://es:9200
    """
    require_extra()
    from time import sleep

    from rich.console import Console

    from pipeline.local.pipeline import pipeline

    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    echo, notice = _printers(console)
    with pipeline(request, console, echo=echo, notice=notice) as running:
        if running.supervisor.wait_until_ready(running.stop):
            _announce(running, as_json=as_json)
        while not running.stop.is_set():
            running.tick()
            sleep(_TICK_SECONDS)
        console.print("stopping")


def _printers(console: "Console") -> "tuple[OnLine, OnLine]":
    """Return the printers of processes' lines, after their names, and of the supervisor's messages."""
    from rich.text import Text

    colours = {
        "join": "cyan",
        "alerts": "magenta",
        "trends": "bright_magenta",
        "sink-zipkin": "yellow",
        "sink-elasticsearch": "green",
        "gateway": "blue",
        "page": "bright_black",
    }
    width = max(map(len, colours))

    def echo(name: str, line: str) -> None:
        prefix = Text(f"{name:<{width}} │ ", style=colours.get(name, "white"))
        console.print(prefix + Text.from_ansi(line), soft_wrap=True)

    def notice(name: str, line: str) -> None:
        console.print(Text(f"{name:<{width}} │ {line}", style="bold red"), soft_wrap=True)

    return echo, notice


def _announce(running: "Pipeline", *, as_json: bool) -> None:
    """Print all addresses, and the environment variables for a service."""
    where = {
        "page": running.page,
        "gateway": f"http://{running.gateway}",
        "gateway_grpc": running.gateway_grpc,
        "zipkin": running.endpoints.zipkin,
        "elasticsearch": running.endpoints.elasticsearch,
        "kafka": running.endpoints.kafka,
    }
    if as_json:
        import orjson

        everything = where | {
            "metrics": {name: f"{url}/metrics" for name, url in running.urls.items()},
            "environment": dict(running.services),
            "directory": str(running.directory),
            "logs": str(running.logs),
        }
        click.echo(orjson.dumps(everything, option=orjson.OPT_INDENT_2))
        return
    shown = {name.replace("_grpc", ", gRPC"): place for name, place in where.items() if place}
    shown["zipkin"] = f"{running.endpoints.zipkin}/zipkin/"
    shown |= {f"{name} metrics": f"{url}/metrics" for name, url in running.urls.items()} | {"logs": str(running.logs)}
    lines = ["", "The pipeline is ready; Ctrl-C stops it.", ""]
    lines += [f"  {name:<28} {place}" for name, place in shown.items()]
    lines += [
        "",
        "A service publishes here with tracelink.setup(service=…) or OpenTelemetry's auto-instrumentation, and:",
        "",
    ]
    lines += [f"  export {name}={value}" for name, value in running.services.items()]
    lines += [
        "",
        "Any other OpenTelemetry SDK sends to the gateway with these, and a Zipkin reporter to its /api/v2/spans:",
        "",
        f"  export OTEL_EXPORTER_OTLP_ENDPOINT=http://{running.gateway} OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
    ]
    click.echo("\n".join([*lines, ""]))
