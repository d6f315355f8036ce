"""`python -m tracelink` is `tracelink`."""

from tracelink.cli import main

main(prog_name="tracelink")
