"""The code that all processes of the pipeline share.

Each layer imports only those after it: `cli/` (the root of the command line and its options) and `local/` (`tracelink
up` and the local servers); `runtime/` (process, watchdog, HTTP, signals); `kafka/` (topics, offsets, readers,
transactions); `settings.py` and `failpoints.py`; then three that are pure: `model/` (parts of traces, problems, dead
letters), `formats/` (files of spans and log lines) and `analysis/` (span tree, where an error began, redaction).

Start reading in `model/splice.py` (a part of a trace, byte by byte), then `runtime/process.py` (logging, metrics,
signals and watchdog of every long-running process). `cli/root.py` loads the commands: each is an entry point in
pyproject.toml.
"""
