"""`python -m pipeline.cli` is `tracelink`."""

from pipeline.cli.root import main

main(prog_name="tracelink")
