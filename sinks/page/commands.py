"""The command `tracelink page`."""

import click

from pipeline.cli.options import settings_options
from sinks.page.settings import PageSettings


@click.command(short_help="Show problems, traces and their log lines as web pages.")
@settings_options(PageSettings)
def page(**flags: str | None) -> None:
    """Show problems, traces with their log lines, and a search, as web pages on this machine.

    It reads the topic of problems and Elasticsearch, and writes nothing. Beyond this machine it needs a token, or a
    proxy that knows its users.

    \b
    Examples:
      tracelink page
      tracelink page --elasticsearch-url https://es:9200 --page-listen 127.0.0.1:8080
      TRACELINK_PAGE_TOKEN_FILE=/run/secrets/page tracelink page --page-listen 0.0.0.0:7070
      tracelink page --page-listen 10.0.0.5:7070 --page-user-header X-Forwarded-User --page-proxies 10.0.0.9/32
    """
    from sinks.page.process import run

    run(PageSettings.load(**flags))
