"""The code that all processes of the pipeline share.

Each layer imports only those after it: `cli/` (the root of the command line and its options) and `local/` (`tracelink
up` and the local servers); `runtime/` (process, watchdog, HTTP, signals); `kafka/` (topics, offsets, readers,
transactions); `settings.py` and `failpoints.py`; then three that are pure: `model/` (parts of traces, problems, dead
letters), `formats/` (spans and log lines as tracers and loggers write them) and `analysis/` (span tree, where an error
began, redaction).

Start reading in `model/splice.py` (a part of a trace, byte by byte), then `runtime/process.py` (logging, metrics,
signals and watchdog of every long-running process). A log line goes through `formats/log_lines.py` (lines of a file),
`envelopes.py` and `text_lines.py`, then `log_record.py`, which reads it by the table in `names.py`. `cli/root.py` loads
the commands: each is an entry point in pyproject.toml.
"""
