"""The options that `tracelink stack`, `up` and `demo` share: where they run, and on which servers."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from tracelink.settings import flag_of, variable_of

F = TypeVar("F", bound=Callable[..., Any])

_PORTS = {"kafka": 9092, "zipkin": 9411, "elasticsearch": 9200}
_SETTINGS = {
    "kafka_bootstrap_servers": "Use this Kafka instead of starting one.",
    "zipkin_url": "Use this Zipkin instead of starting one.",
    "elasticsearch_url": "Use this Elasticsearch instead of starting one.",
    "topic_prefix": "Prefix of all topic names.  [default: tracelink.]",
    "index_prefix": "What every index name starts with.  [default: tracelink-]",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for; None is what was not asked for."""

    directory: Path | None
    fresh: bool
    maven_repository: str | None
    ports: dict[str, int | None]
    settings: dict[str, str | None]


directory_option = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="TRACELINK_STACK_DIR",
    show_envvar=True,
    help="State, data and logs.  [default: ~/.local/share/tracelink/stack]",
)


def stack_options(command: F) -> F:
    """Add the options of what starts servers: `fresh`, a port for each, `maven_repository` and `directory`."""
    options = [
        click.option("--fresh", is_flag=True, help="Begin with empty data in the servers that it starts."),
        *(_port_option(name, usual) for name, usual in _PORTS.items()),
        click.option(
            "--maven-repository",
            metavar="URL",
            envvar="TRACELINK_STACK_MAVEN_REPOSITORY",
            show_envvar=True,
            help="Fetch the servers' jars there instead of from the public repository; their hashes must agree.",
        ),
        directory_option,
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _port_option(name: str, usual: int) -> Callable[[F], F]:
    return click.option(
        f"--{name}-port",
        type=click.IntRange(0, 65535),
        envvar=f"TRACELINK_STACK_{name.upper()}_PORT",
        show_envvar=True,
        help=f"Port of the {name} that it starts; 0: any free one.  [default: {usual}]",
    )


def pipeline_options(command: F) -> F:
    """Add the options to a command, which gets what was asked for as `request`."""

    @wraps(command)
    def with_request(*, directory: Path | None, fresh: bool, maven_repository: str | None, **others: Any) -> Any:  # noqa: ANN401 - whatever the command takes and returns
        ports = {name: others.pop(f"{name}_port") for name in _PORTS}
        settings = {name: others.pop(name) for name in _SETTINGS}
        return command(request=Request(directory, fresh, maven_repository, ports, settings), **others)

    decorated: Any = with_request
    for option in reversed(_settings_options()):
        decorated = option(decorated)
    wrapped: F = stack_options(decorated)
    return wrapped


def _settings_options() -> list[Callable[[F], F]]:
    # Their variables are read where all settings are, so that a variable counts as much as the flag.
    return [
        click.option(flag_of(name), name, metavar="VALUE", help=f"{text} [env: {variable_of(name)}]")
        for name, text in _SETTINGS.items()
    ]
