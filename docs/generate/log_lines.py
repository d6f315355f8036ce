"""The page of the log lines that are read, from the table of the loggers' names."""

from pipeline.formats.names import CONTAINERS, LOGGERS, Logger, Part
from tracelink.model.levels import ERROR_LEVELS, LEVELS

_PARTS = {
    Part.TIME: "time",
    Part.LEVEL: "level",
    Part.MESSAGE: "message",
    Part.TRACE_ID: "trace id",
    Part.SPAN_ID: "span id",
    Part.SERVICE: "service",
    Part.LOGGER: "logger",
    Part.ERROR_TYPE: "exception",
    Part.ERROR_MESSAGE: "exception",
    Part.STACK_TRACE: "exception",
    Part.ERROR: "exception",
}

_PAGE = """\
# Log lines

Written by `make docs` from the code. `tracelink send --logs` reads these lines, from files or standard input: plain or
compressed (gzip, bzip2, xz), UTF-8 or UTF-16.

## JSON lines

| logger | {columns} |
| --- | {rules} |
{rows}

- Names are compared without case, punctuation and spaces: `trace_id` is also `traceId`, `TraceId`, `trace.id`, and
  `{{"trace": {{"id": …}}}}`. An [additional logger](../CONTRIBUTING.md) is one row of `pipeline/formats/names.py`.
- If a line has several names for a part, the first usable value counts, in the order of the table. A time of 23 ms, an empty
  trace id, or a level of unknown scale does not hide a usable value under a later name.
- Ids, services and exceptions are also found in these objects, and in lists of objects under these names:
  {containers}.
- All other fields become labels, with their names (nested ones dotted) and their values as text. A value that is read, but
  is not spelled as the record prints it, stays a label, too: the level `30`, or the trace id `projects/shop/traces/…`. The
  second of two equal names gets an apostrophe.

## Values

- **Times** are numbers of seconds, milliseconds, microseconds or nanoseconds (by magnitude), RFC 3339 and its relatives
  (comma, space, zone names, slashes), month names, the forms of access logs, `/Date(…)/`, and objects of seconds and
  nanoseconds. Without a zone they are UTC. A date whose day and month could be exchanged, or without a year, is not guessed:
  a JSON line with such a time is refused.
- A line without a time gets the time of its envelope, else that of the line before it, else the file's modification time (for
  a pipe, the time at which it was opened). So a file that is sent twice gives the same records.
- **Levels** are {levels}. Words are read in any case, padded, coloured, abbreviated, or with an offset (`ERROR+4`), and in the
  languages of java.util.logging. The scale of a number follows from its name and its line: pino and bunyan (50), Python
  (`levelno` 40), Monolog (400), syslog and GELF (3), OpenTelemetry (17), Google Cloud (500), Logback (40000). {errors} and
  above make the line errored. A level of another word is kept in upper case.
- **Trace ids** are 16 or 32 hex characters, also with `0x` or dashes, `traceparent`, `b3`, `uber-trace-id`, X-Ray's
  `1-…-…`, `projects/…/traces/…`, SkyWalking's `TID`, and decimals under Datadog's names. A decimal number under another name
  is no trace id, since it would link the line to a wrong trace.
- **Exceptions** are read from fields, objects and lists, and from a stack trace behind the message.

## Text lines and envelopes

- Lines of text are read in the usual layouts: Logback and Log4j patterns, Spring Boot, Python's logging, Go, klog, logfmt,
  access and error logs, syslog. A line in none of them is a message. A stack trace belongs to the line before it.
- JSON may span several lines, be a list, or have several values on a line. A broken value is refused; all others are sent.
- These envelopes are opened, and their own fields become labels: Docker's json-file, CRI (partial lines are joined), `kubectl`
  and Compose prefixes, AWS Lambda, Filebeat, Fluent Bit, Logstash, journald, documents exported from Elasticsearch, and
  OpenTelemetry's JSON (`resourceLogs`).
- Invalid UTF-8 becomes U+FFFD. NaN and Infinity become text. Integers keep all digits.
"""


def log_lines_page() -> str:
    """Return the page."""
    columns = list(dict.fromkeys(_PARTS.values()))
    return _PAGE.format(
        columns=" | ".join(columns),
        rules=" | ".join("---" for _ in columns),
        rows="\n".join(_row(logger, columns) for logger in LOGGERS),
        containers=", ".join(f"`{name}`" for name in CONTAINERS),
        levels=", ".join(f"`{level}`" for level in LEVELS),
        errors=f"`{next(level for level in LEVELS if level in ERROR_LEVELS)}`",
    )


def _row(logger: Logger, columns: list[str]) -> str:
    found: dict[str, list[str]] = {column: [] for column in columns}
    for part, name in logger.names():
        found[_PARTS[part]].append(f"`{name}`")
    return f"| {logger.title} | " + " | ".join(", ".join(dict.fromkeys(names)) for names in found.values()) + " |"
