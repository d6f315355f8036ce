"""The command `tracelink canary`."""

import click

from pipeline.cli.options import settings_options
from pipeline.runtime.signals import INTERRUPTED
from producers.canary.settings import CanarySettings


@click.command(short_help="Send probes, and check that they reach each stage.")
@click.option("--once", is_flag=True, help="Send one probe, show each stage as it is reached, and exit.")
@click.option("--json", "as_json", is_flag=True, help="Print the result of --once as a JSON object.")
@settings_options(CanarySettings)
@click.pass_context
def canary(ctx: click.Context, /, *, once: bool, as_json: bool, **flags: str | None) -> None:
    """Send a probe once a minute, a trace that fails on purpose, and check that it reaches every stage.

    The stages: joined (complete in the topic error-traces), grouped (counted in its problem), elasticsearch (its log
    lines and its part are found), zipkin (its spans are found). Metrics show the time to each stage, and the time of
    the last success: alert if that is old or absent. The probe's service is tracelink-canary: give its problem a rule
    and a route of its own, so that it pages nobody.

    With --once it is a smoke test of a deployment: the exit code is 0 if the probe reached all stages, else 1.

    \b
    Examples:
      tracelink canary
      tracelink canary --once --json
      tracelink canary --once --canary-within 120 --canary-stages joined,zipkin
    """
    if as_json and not once:
        raise click.UsageError("--json needs --once: it prints its result.")
    from producers.canary.process import run, run_once

    settings = CanarySettings.load(**flags)
    if not once:
        run(settings)
        return
    try:
        ctx.exit(0 if run_once(settings, as_json=as_json) else 1)
    except KeyboardInterrupt:
        ctx.exit(INTERRUPTED)
