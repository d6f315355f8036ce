"""Builds the OpenTelemetry Collector from its modules, by its own builder.

usage: python -m benchmarks.peers.otelcol.build FOLDER
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tracelink.errors import UserError

CONFIG = Path(__file__).with_name("config.yaml")
RECEIVING = Path(__file__).with_name("receiving.yaml")
"""The configuration as a receiver of OTLP."""
_MANIFEST = Path(__file__).with_name("builder.yaml")
_BUILDER = "go.opentelemetry.io/collector/cmd/builder@v0.155.0"
_SHOWN = 2000


def build(folder: Path, say: Callable[[str], None] = print) -> Path:
    """Return the Collector in the folder; builds it, in some minutes, if it does not exist for this manifest.

    Raises UserError if Go is missing or the build fails.
    """
    binary, built = folder / "build" / "otelcol", folder / _MANIFEST.name
    manifest = _MANIFEST.read_text()
    if binary.exists() and built.exists() and built.read_text() == manifest:
        return binary
    go = shutil.which("go")
    if go is None:
        raise UserError("The OpenTelemetry Collector needs Go to be built, and there is no `go` on the PATH.")
    say("building the OpenTelemetry Collector, only once; this takes some minutes")
    folder.mkdir(parents=True, exist_ok=True)
    # The manifest's output path is relative to the builder's working directory.
    command = [go, "run", _BUILDER, "--config", str(_MANIFEST)]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise UserError(f"The OpenTelemetry Collector cannot be built:\n{done.stdout[-_SHOWN:]}")
    built.write_text(manifest)
    return binary


if __name__ == "__main__":
    try:
        print(build(Path(sys.argv[1])))  # noqa: T201 - its answer
    except UserError as error:
        sys.exit(f"Error: {error.message}")
