"""The command `tracelink canary`."""

import click

from pipeline.cli.options import settings_options
from pipeline.runtime.signals import INTERRUPTED
from producers.canary.settings import CanarySettings


@click.command(short_help="Send a trace that fails, and follow it through everything.")
@click.option("--once", is_flag=True, help="Send one, show each stage as it comes there, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print what became of --once as a JSON object.")
@settings_options(CanarySettings)
@click.pass_context
def canary(ctx: click.Context, /, *, once: bool, as_json: bool, **flags: str | None) -> None:
    """Once a minute, send a trace that fails on purpose, and see that it comes through the whole pipeline.

    The stages: joined (whole in the topic error-traces), grouped (counted in its problem), elasticsearch (its log lines
    and its part can be found), zipkin (its page is there). How long each takes is a metric, and so is when it last
    worked: alert where that is long ago, or absent. The service is called tracelink-canary; give its problem a rule
    and a route of its own, so that it calls nobody.

    With --once it is a smoke test of a deployment: the exit code is 0 if the canary came to all stages, else 1.

    \b
    Examples:
      tracelink canary
      tracelink canary --once --json
      tracelink canary --once --canary-within 120 --canary-stages joined,zipkin
    """
    if as_json and not once:
        raise click.UsageError("--json prints what became of --once: give both.")
    from producers.canary.process import run, run_once

    settings = CanarySettings.load(**flags)
    if not once:
        run(settings)
        return
    try:
        ctx.exit(0 if run_once(settings, as_json=as_json) else 1)
    except KeyboardInterrupt:
        ctx.exit(INTERRUPTED)
