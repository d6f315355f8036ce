"""Runs the command line as `python -m pipeline.cli`."""

from pipeline.cli.root import main

main(prog_name="tracelink")
