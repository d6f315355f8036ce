"""The command `python -m benchmarks`."""

import sys
from pathlib import Path

import click
import orjson
from rich.console import Console

from benchmarks.case import Bench
from benchmarks.cases import CASES
from benchmarks.result import show
from benchmarks.servers import servers
from tracelink.errors import UserError

_NAMES = "\n".join(f"  {case.name:<14} {case.about}" for case in CASES.values())
_EXAMPLES = "  python -m benchmarks join\n  python -m benchmarks zipkin elasticsearch --json"


@click.command(epilog=f"\b\nCases:\n{_NAMES}\n\n\b\nExamples:\n{_EXAMPLES}")
@click.argument("cases", nargs=-1, required=True, type=click.Choice([*CASES, "all"]), metavar="CASE…")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of results.")
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".benchmarks"),
    show_default=True,
    help="Folder that keeps servers, their topics and built peers from run to run.",
)
@click.option(
    "--recorded",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder with recorded traces, NAME.spans.jsonl.gz and NAME.logs.jsonl.gz, for the cases that take them.",
)
def main(cases: tuple[str, ...], *, as_json: bool, directory: Path, recorded: Path | None) -> None:
    """Measure the product beside its peers, on real servers that the command starts.

    A case takes a few minutes. Run it on a machine that does nothing else, and compare rows of one run only.
    """
    console = Console(stderr=True, highlight=False)
    chosen = list(CASES.values()) if "all" in cases else [CASES[name] for name in dict.fromkeys(cases)]
    results = []
    for case in chosen:
        with servers(directory / "stack", case.needs, console.print) as endpoints:
            result = case.run(Bench(endpoints, console.print, recorded, directory.absolute()))
        results.append(result)
        show(console, result)
    if as_json:
        click.echo(orjson.dumps([result.as_json() for result in results], option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    try:
        main(standalone_mode=True)
    except UserError as error:
        sys.exit(f"Error: {error.message}")
