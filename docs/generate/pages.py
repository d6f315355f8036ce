"""Each page with its path and its text."""

import inspect
from importlib import import_module
from pathlib import Path

from docs.generate.cli import cli_page
from docs.generate.log_lines import log_lines_page
from docs.generate.metrics import metrics_page
from pipeline.cli.settings_table import settings_table

DOCS = Path(__file__).parents[1]
ROOMS = ("tracelink", "pipeline", "producers", "streams", "sinks")
_BEGIN, _END = "<!-- rooms: written by make docs -->\n", "<!-- /rooms -->\n"

_SETTINGS = """\
# Settings

Written by `make docs` from the code. `tracelink settings` prints the same tables.

- Each setting is an environment variable. The commands that use it also take it as a flag, which wins:
  `TRACELINK_IDLE_GAP` is `--idle-gap`. [cli.md](cli.md) lists the flags of each command.
- `TRACELINK_IDLE_GAP_FILE` names a file that holds the value. Use this for secrets.
- One set of variables suits all processes and services: each reads those that it uses. Unknown `TRACELINK_*` variables
  are rejected, with a suggestion.
- Durations are in seconds. Sizes take units (`64MiB`).
- Any librdkafka property passes through: `TRACELINK_KAFKA_SSL_CA_LOCATION` is `ssl.ca.location`. The client of
  `tracelink trends` is aiokafka: it takes those that it has as well (TLS, SASL with PLAIN or SCRAM, time-outs, sizes),
  and refuses others.
- The local servers have variables of their own, `TRACELINK_STACK_…`: see
  [`tracelink stack up`](cli.md#tracelink-stack-up).

{tables}
"""


def pages() -> dict[Path, str]:
    """Return each page's text by its path."""
    architecture = DOCS / "architecture.md"
    return {
        DOCS / "settings.md": _SETTINGS.format(tables=settings_table()),
        DOCS / "log-lines.md": log_lines_page(),
        DOCS / "metrics.md": metrics_page(),
        DOCS / "cli.md": cli_page(),
        architecture: _with_rooms(architecture.read_text(encoding="utf-8")),
    }


def _with_rooms(page: str) -> str:
    """Return a page with the rooms' docstrings between its two markers."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    rooms = [f"### `{room}/`\n\n{inspect.cleandoc(import_module(room).__doc__ or '')}\n\n" for room in ROOMS]
    return "".join([before, _BEGIN, "\n", *rooms, _END, after])
