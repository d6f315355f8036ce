"""The commands `tracelink alerts`, `tracelink errors` and `tracelink rules`."""

from pathlib import Path

import click

from pipeline.cli.options import settings_options
from pipeline.runtime.signals import INTERRUPTED
from streams.alerts.settings import AlertSettings
from tracelink.settings import KafkaSettings, PublisherSettings

_TRIED = ("known_for", "quiet_after", "redact", "redact_patterns")


@click.command(short_help="List the problems that fire now.")
@click.option("--once", is_flag=True, help="Print once and end; the default if the output is no terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line for each problem, and end.")
@click.option("--all", "quiet", is_flag=True, help="Also show resolved problems.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Show at most the N newest.")
@settings_options(KafkaSettings)
@click.pass_context
def errors(
    ctx: click.Context,
    /,
    *,
    once: bool,
    as_json: bool,
    quiet: bool,
    limit: int | None,
    **flags: str | None,
) -> None:
    """List the problems that fire now, the newest first, and keep the list up to date until Ctrl-C.

    A problem is all errored traces whose errors began in the same way. The command reads the topic problems, which
    `tracelink alerts` writes. It writes nothing, and joins no consumer group.

    \b
    Examples:
      tracelink errors
      tracelink errors --once --all --limit 20
      tracelink errors --json | jq -r 'select(.severity == "critical") | .newest[0].traceId'
    """
    import sys

    from pipeline.kafka.problem_topic import ProblemsTopic
    from streams.alerts.errors_view import Wanted, print_json, print_once, watch

    wanted = Wanted(quiet, limit)
    live = not (once or as_json) and sys.stdout.isatty()
    try:
        with ProblemsTopic(KafkaSettings.load(**flags)) as topic:
            if as_json:
                print_json(topic, wanted)
            elif live:
                watch(topic, wanted)
            else:
                print_once(topic, wanted)
    except KeyboardInterrupt:
        # The live list ends only by Ctrl-C.
        ctx.exit(0 if live else INTERRUPTED)


@click.group(short_help="Check and test alert rules.")
def rules() -> None:
    """Check a file of alert rules, and test it on recorded traces."""


@rules.command(short_help="Check a file of rules.")
@click.argument("file", type=click.Path(path_type=Path))
def check(*, file: Path) -> None:
    """Check a file of rules; for mistakes, print file, line and key, and exit with code 1.

    \b
    Example:
      tracelink rules check rules.toml
    """
    from streams.alerts.rules import Rules

    count = len(Rules.load(file))
    click.echo(f"{file} is valid: {count} {'rule' if count == 1 else 'rules'}.")


@rules.command(short_help="Show what would have alerted.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--traces",
    "--spans",
    type=click.Path(path_type=Path, allow_dash=True),
    multiple=True,
    metavar="FILE",
    help="Spans as JSON of Zipkin (v2 or v1), OTLP or Jaeger: a list, a list of lists as downloaded from Zipkin's UI, "
    "one value a line, or one for the whole file; plain or compressed; - for standard input. Repeatable.",
)
@click.option(
    "--logs",
    type=click.Path(path_type=Path, allow_dash=True),
    multiple=True,
    metavar="FILE",
    help="Log lines of any common logger, JSON or text; plain or compressed; - for standard input. Repeatable.",
)
@click.option("--skip-invalid", is_flag=True, help="Exit with 0 even if lines are invalid.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@settings_options(AlertSettings, only=_TRIED)
@settings_options(PublisherSettings, only=("error_http_status",))
@click.pass_context
def test(
    ctx: click.Context,
    /,
    *,
    file: Path,
    traces: tuple[Path, ...],
    logs: tuple[Path, ...],
    skip_invalid: bool,
    as_json: bool,
    error_http_status: str | None,
    **flags: str | None,
) -> None:
    """Show the problems in recorded traces, and the alerts that a file of rules would have raised for them.

    Thresholds and mutes use the times of the traces, as if the rules had been in effect then. All records are held in
    memory; Kafka is not needed. The exit code is 1 if a rule or a line is invalid (lines: unless --skip-invalid).

    \b
    Examples:
      tracelink rules test rules.toml --traces traces.json
      tracelink rules test rules.toml --traces spans.jsonl.gz --logs app.jsonl --json
    """
    from streams.alerts.rules import Rules
    from streams.alerts.rules_test import Traces, errored, report_problems
    from streams.alerts.rules_test_view import RulesReport, print_json, print_refused, print_report
    from tracelink.model.records import ErrorRule

    if not traces and not logs:
        raise click.UsageError("Name at least one file: --traces FILE or --logs FILE.")
    if [*traces, *logs].count(Path("-")) > 1:
        raise click.UsageError("Standard input can be read only once: name - once.")
    loaded, settings = Rules.load(file), AlertSettings.load(**flags)
    http_status = PublisherSettings.load(error_http_status=error_http_status).error_http_status
    records = Traces(ErrorRule(http_status=http_status))
    records.read(traces, logs)
    occurrences = errored(records.each(), loaded, settings.redactor().redact)
    limits = settings.limits()
    report = RulesReport(
        len(records), len(occurrences), records.unlinked, report_problems(occurrences, loaded, limits), records.refused
    )
    (print_json if as_json else print_report)(report)
    print_refused(report.refused)
    if report.refused and not skip_invalid:
        ctx.exit(1)


@click.command(short_help="Group errored traces into problems, and raise alerts.")
@settings_options(AlertSettings)
def alerts(**flags: str | None) -> None:
    """Group errored traces by where their errors began; alert if a problem is new, regressed, too frequent or resolved.

    Reads the topic error-traces; writes errors, problems and alerts, exactly once. `tracelink sink alertmanager` and
    `tracelink sink webhook` send the alerts to people. Start at most as many workers as there are partitions, each
    with its own --instance-id.

    \b
    Examples:
      tracelink alerts
      tracelink alerts --rules-file rules.toml --quiet-after 600
      TRACELINK_KAFKA_BOOTSTRAP_SERVERS=kafka:9092 tracelink alerts --instance-id alerts-1
    """
    from streams.alerts.handler import AlertGrouping
    from streams.alerts.metrics import AlertMetrics
    from streams.app import run_worker

    settings = AlertSettings.load(**flags)
    run_worker(settings, settings.topics, lambda registry, _: AlertGrouping(settings, AlertMetrics(registry)))
