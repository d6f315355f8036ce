"""`python -m tests.faults`: run the pipeline through faults, and check that nothing is lost and nothing doubled."""

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console

from pipeline.local.stack import Endpoints, Stack
from tests.faults.catalogue import ABOUT, SPECIAL
from tests.faults.faults import FAULTS
from tests.faults.scenario import Plan, run
from tests.faults.servers import Servers, new_stack
from tests.faults.traffic import Shape

_LISTED = "\n".join(f"  {name:38} {about}" for name, about in ABOUT.items())


@click.command(epilog="\b\nFaults:\n" + _LISTED)
@click.option("--seed", default=1, show_default=True, help="Makes the traffic and the moments of the faults.")
@click.option(
    "--fault",
    "names",
    multiple=True,
    type=click.Choice(sorted(ABOUT)),
    metavar="NAME",
    help="May be repeated, in order.",
)
@click.option("--rate", default=300.0, show_default=True, help="Messages a second.")
@click.option("--seconds", default=15.0, show_default=True, help="Length of the load.")
@click.option("--workers", default=3, show_default=True, help="Workers of the join.")
@click.option("--partitions", default=6, show_default=True, help="Partitions of each topic.")
@click.option("--stack", "directory", type=click.Path(path_type=Path), help="A local stack that runs, to disturb.")
@click.option("--kafka", help="HOST:PORT of a Kafka to use and not to disturb; with --zipkin and --elasticsearch.")
@click.option("--zipkin", help="URL of its Zipkin.")
@click.option("--elasticsearch", help="URL of the Elasticsearch that both sinks' results are read from.")
@click.option("--logs", type=click.Path(path_type=Path), help="Folder for the processes' logs; by default a new one.")
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
def main(  # noqa: PLR0917 - a command's options
    seed: int,
    names: tuple[str, ...],
    rate: float,
    seconds: float,
    workers: int,
    partitions: int,
    directory: Path | None,
    kafka: str | None,
    zipkin: str | None,
    elasticsearch: str | None,
    logs: Path | None,
    *,
    as_json: bool,
) -> None:
    """Run the pipeline under load through faults, and check what there is in the end: a line for each promise.

    Without --stack or --kafka, a local stack of its own is started for the run. Exit code 1 where a promise was broken,
    2 where a fault did not come about, or a server died of something else.

    \b
    Examples:
      python -m tests.faults --fault kill-join-committed --seed 7
      python -m tests.faults --fault elasticsearch-429 --fault terminate-sink --seconds 30
      python -m tests.faults --fault poison --kafka kafka:9092 --zipkin http://zipkin:9411 --elasticsearch http://es:9200
    """
    console = Console(stderr=True, highlight=False)
    folder = logs or Path(tempfile.mkdtemp(prefix="tracelink-faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    alone = [SPECIAL[name] for name in names if name in SPECIAL]
    if alone and len(names) > 1:
        raise click.UsageError(f"{alone[0].name} is a scenario of its own: run it alone.")
    faults = [FAULTS[name] for name in names if name in FAULTS]
    plan = Plan(seed, faults, Shape(rate=rate, seconds=seconds), workers, partitions)
    if any(fault.own_servers for fault in plan.faults) and kafka:
        raise click.UsageError("These faults disturb servers: leave out --kafka, or use --stack.")
    stack = new_stack(folder / "stack") if not (kafka or directory) else None
    if kafka and zipkin and elasticsearch:
        servers = Servers(Endpoints(kafka, zipkin, elasticsearch))
    elif kafka or zipkin or elasticsearch:
        raise click.UsageError("--kafka, --zipkin and --elasticsearch go together.")
    else:
        used = stack or Stack(directory or folder)
        console.print("Starting Kafka, Zipkin and Elasticsearch.")
        servers = Servers(used.start(), used)
    try:
        if alone:
            result = alone[0].run(seed, servers, folder, console.print)
        else:
            result = run(plan, servers, folder, console.print)
    finally:
        if stack:
            stack.stop()
    click.echo(json.dumps(asdict(result), indent=2) if as_json else "\n".join(map(str, result.checks)))
    for missed in result.not_caused:
        console.print(f"not caused: {missed}")
    console.print(f"The processes' logs are in {folder}.")
    sys.exit(1 if not result.ok else 2 if result.not_caused else 0)


if __name__ == "__main__":
    main()
