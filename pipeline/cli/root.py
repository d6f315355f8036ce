"""The root of the command line; the commands of the stages are entry points."""

from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Any

import click

from tracelink.errors import UserError

COMMANDS = "tracelink.commands"


class Commands(click.Group):
    """A group whose commands are the entry points `tracelink.commands`; each is loaded when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all commands."""
        return sorted(point.name for point in entry_points(group=COMMANDS))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Load a command; return None if there is none with this name."""
        for point in entry_points(group=COMMANDS, name=cmd_name):
            command: click.Command = point.load()
            return command
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest command for an unknown name."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            near = get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else " `tracelink --help` lists the commands."
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Run the command; a UserError is shown as one line, with its exit code."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            shown = click.ClickException(error.message)
            shown.exit_code = error.exit_code
            raise shown from error


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tracelink-pipeline")
def main(**_: Any) -> None:  # noqa: ANN401 - click passes no arguments here
    """Link traces and logs on Kafka.

    Services publish spans and logs to topics; the join links them by trace id and flags errored traces; sinks write
    to Zipkin and Elasticsearch.

    \b
    Examples:
      tracelink demo                     the pipeline and a small shop in which requests sometimes fail
      tracelink up                       the pipeline on this machine, ready for your services
      tracelink send --spans spans.json --logs app.jsonl
    """
