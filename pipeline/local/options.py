"""The options that `tracelink stack`, `up` and `demo` share: directory, ports, servers, page, gateway."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from tracelink.settings import flag_of, variable_of

F = TypeVar("F", bound=Callable[..., Any])

_PORTS = {"kafka": 9092, "zipkin": 9411, "elasticsearch": 9200}
LISTEN_PORTS = {"page": 7070, "gateway": 4318, "gateway_grpc": 4317}
"""The ports of the page, and of the gateway: those of OTLP over HTTP and over gRPC."""
_SETTINGS = {
    "kafka_bootstrap_servers": "Use this Kafka instead of starting one.",
    "zipkin_url": "Use this Zipkin instead of starting one.",
    "elasticsearch_url": "Use this Elasticsearch instead of starting one.",
    "topic_prefix": "Prefix of all topic names.  [default: tracelink.]",
    "index_prefix": "Prefix of all index names.  [default: tracelink-]",
}


@dataclass(frozen=True, slots=True)
class Request:
    """The options that the user gave; None for options that were not given."""

    directory: Path | None
    fresh: bool
    maven_repository: str | None
    ports: dict[str, int | None]
    listen_ports: dict[str, int | None]
    settings: dict[str, str | None]


directory_option = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="TRACELINK_STACK_DIR",
    show_envvar=True,
    help="Directory of state, data and logs.  [default: ~/.local/share/tracelink/stack]",
)


def stack_options(command: F) -> F:
    """Add the options of commands that start servers: `fresh`, ports, `maven_repository` and `directory`."""
    options = [
        click.option("--fresh", is_flag=True, help="Delete the data of the servers before it starts them."),
        *(_port_option(name, usual) for name, usual in _PORTS.items()),
        click.option(
            "--maven-repository",
            metavar="URL",
            envvar="TRACELINK_STACK_MAVEN_REPOSITORY",
            show_envvar=True,
            help="Maven repository from which to download the servers' jars; their hashes are checked.",
        ),
        directory_option,
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _port_option(name: str, usual: int) -> Callable[[F], F]:
    shown = name.replace("_grpc", ", of gRPC")
    return click.option(
        f"--{name.replace('_', '-')}-port",
        type=click.IntRange(0, 65535),
        envvar=f"TRACELINK_STACK_{name.upper()}_PORT",
        show_envvar=True,
        help=f"Port of {shown}, if the command starts it; 0 for any free one.  [default: {usual}]",
    )


def pipeline_options(command: F) -> F:
    """Add the options to a command, which gets them as `request`."""

    @wraps(command)
    def with_request(*, directory: Path | None, fresh: bool, maven_repository: str | None, **others: Any) -> Any:  # noqa: ANN401 - whatever the command takes and returns
        ports = {name: others.pop(f"{name}_port") for name in _PORTS}
        settings = {name: others.pop(name) for name in _SETTINGS}
        listen = {name: others.pop(f"{name}_port") for name in LISTEN_PORTS}
        return command(request=Request(directory, fresh, maven_repository, ports, listen, settings), **others)

    listen_options = [_port_option(name, usual) for name, usual in LISTEN_PORTS.items()]
    decorated: Any = with_request
    for option in reversed([*listen_options, *_settings_options()]):
        decorated = option(decorated)
    wrapped: F = stack_options(decorated)
    return wrapped


def _settings_options() -> list[Callable[[F], F]]:
    # Their variables are read with all other settings, so that flag and variable have the same effect.
    return [
        click.option(flag_of(name), name, metavar="VALUE", help=f"{text} [env: {variable_of(name)}]")
        for name, text in _SETTINGS.items()
    ]
