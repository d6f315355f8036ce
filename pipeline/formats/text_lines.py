"""Fields of text lines by the layouts of common loggers: times, levels, loggers, ids and messages, as they are written.

The first character of a line chooses the few layouts that are tried. The layouts are those of Logback, log4j2, Spring
Boot, Sleuth, SkyWalking, JBoss, Tomcat, Python, loguru, Go, glog, logfmt, Nginx, Apache, syslog, Postgres, Ruby, Rails,
env_logger, tracing, zap, Gin, Envoy, Monolog and .NET. Each pattern reads a line in linear time.
"""

import re
from collections.abc import Callable

from pipeline.formats.access_lines import (
    parse_access,
    parse_apache_error,
    parse_envoy,
    parse_gin,
    parse_nginx_error,
)
from pipeline.formats.fixed_layouts import (
    parse_dotnet,
    parse_glog,
    parse_monolog,
    parse_rds,
    parse_ruby,
    parse_tabs,
    tagged,
)
from pipeline.formats.line_header import TIME, read_header
from pipeline.formats.line_ids import ID_PAIR, LEVELS, named_id
from pipeline.formats.logfmt import parse_logfmt
from pipeline.formats.stack_traces import named_exception
from pipeline.formats.syslog_lines import parse_syslog
from pipeline.formats.usual_layouts import usual_header

_ANSI = re.compile(r"\x1b\[[\d;:]*+[A-Za-z]")
_Found = dict[str, str] | None


def parse_text_line(line: str) -> dict[str, str]:
    """Return the fields of a line that is not JSON, at least `message`.

    `time`, `level`, `logger`, `service`, `thread`, `trace_id` and `span_id` are there if the layout prints them; their
    values are unparsed. Other fields have names of their own; the pairs of logfmt have the names in the line, and then
    there may be no `message`. All that is cut off the message is in a field. A record of several lines, such as one
    with a stack trace, is read by its first line; the others belong to the message.
    """
    head, newline, tail = line.partition("\n")
    if "\x1b" in head:
        head = _ANSI.sub("", head)
    found = _READERS.get(head[:1], _other)(head)
    if found is None:
        found = {"message": line}
    elif newline:
        found["message"] = f"{said}\n{tail}" if (said := found.get("message")) else tail
    # The console of .NET prints ids on a line of their own.
    if "trace_id" not in found and ("race" in head or "RACE" in head or "TID" in head or "event.id" in found):
        for pair in ID_PAIR.finditer(found.get("message", "")):
            found.setdefault(*named_id(pair["name"], pair["value"]))
    return found


def _headed(line: str, at: int, found: dict[str, str]) -> dict[str, str]:
    start = read_header(line, at, found)
    found["message"] = line[start:].strip()
    return found


def _digit(line: str) -> _Found:
    """Read a line that begins with a time, or with a client's address."""
    if found := usual_header(line):
        return found
    match = TIME.match(line)
    if match is None:
        return parse_access(line) if '] "' in line else None
    if line[4:5] == "/" and "#" in line and (found := parse_nginx_error(line)):
        return found
    end = match.end()
    if line.find("]: ", end, end + 200) > 0 and (found := parse_syslog(line)) and "process.pid" in found:
        return found
    return _after_time(line, match[0], end)


def _after_time(line: str, time: str, end: int) -> dict[str, str]:
    """Read what stands behind a time at the beginning of a line."""
    start = end + (line[end : end + 1] == " ")
    if (found := parse_rds(line, end)) or (found := parse_dotnet(line, start)):
        return {"time": time} | found
    if line.startswith("\t", end) and (found := parse_tabs(line, end)):
        return {"time": time} | found
    if (found := parse_logfmt(line, start)) is not None:
        return {"time" if "time" not in found else "time'": time} | found
    return _headed(line, end, {"time": time})


_TRAILING_LOGGER = re.compile(r"[A-Za-z_][\w$]*+(?:\.[\w$]++)++", re.ASCII)


def _bracket(line: str) -> _Found:
    """Read a line that begins with a bracket: around a time, a level, ids, or the tags of Rails."""
    if found := parse_apache_error(line) or parse_gin(line) or parse_envoy(line):
        return found
    time = TIME.match(line, 1)
    if time is None:
        found = _headed(line, 0, {})
        found |= tagged(found["message"])
        return found if len(found) > 1 else None
    end = line.find("]", time.end())
    inside = _inside(line[time.end() : end].strip()) if end > 0 else None
    if inside is None:
        return None
    found = {"time": time[0]} | inside
    if monolog := parse_monolog(line, end + 1):
        return found | monolog
    found = _headed(line, end + 1, found)
    if "logger" not in found and found["message"].endswith(")"):  # Kafka: the logger stands last
        message, _, logger = found["message"][:-1].rpartition(" (")
        if _TRAILING_LOGGER.fullmatch(logger):
            found |= {"message": message, "logger": logger}
    return found


def _inside(rest: str) -> _Found:
    """Return what stands in the brackets behind a time: ` LEVEL target` of env_logger, `: LEVEL/process` of Celery.

    Returns None if it is something else.
    """
    words = rest.removeprefix(":").split()
    if not words:
        return {}
    level, slash, process = words[0].partition("/")
    if level.upper() not in LEVELS or len(words) > 2 or (slash and len(words) > 1):  # noqa: PLR2004
        return None
    found = {"level": level}
    if slash:
        found["thread"] = process
    if words[1:]:
        found["logger"] = words[1]
    return found


# At the beginning of a line, without any mark of a layout: not FINE, LOG and others, which are also words.
_FIRST_LEVELS = LEVELS - {"FINE", "FINER", "FINEST", "CONFIG", "LOG", "ALERT", "SUCCESS", "VERBOSE", "PANIC"}
_FIRST = re.compile(r"(?P<level>[A-Z]++)(?::(?P<logger>[A-Za-z_][\w.]*+):(?=\S)|(?P<colon>:)|(?=[ \t\[]))", re.ASCII)


def _upper(line: str) -> _Found:
    """Read a line that begins with a capital letter: glog, Ruby's logger, a level, syslog, or a date."""
    first = _FIRST.match(line)
    if first and (first["level"] in _FIRST_LEVELS or (first["colon"] and first["level"] in LEVELS)):
        return _level_first(line, first)
    if line[1:2].isdecimal() or line[1:2] == ",":
        return parse_glog(line) or parse_ruby(line) or _other(line)
    if line[3:4] == " " and line[4:6].strip().isdecimal():
        if match := TIME.match(line):
            return _headed(line, match.end(), {"time": match[0]})
        return parse_syslog(line) or _other(line)
    return _other(line)


def _level_first(line: str, first: re.Match[str]) -> dict[str, str]:
    """Read `LEVEL:logger:message`, and a level before a time or other items."""
    found = {"level": first["level"]}
    if first["logger"]:
        return found | {"logger": first["logger"], "message": line[first.end() :]}
    if first["colon"]:
        return found | {"message": line[first.end() :].strip()}
    at = first.end()
    start = len(line) - len(line[at:].lstrip())
    bracketed = line.startswith("[", start)
    if (time := TIME.match(line, start + bracketed)) and (not bracketed or line.startswith("]", time.end())):
        found["time"] = time[0]
        at = time.end() + bracketed
    return _headed(line, at, found)


_WINSTON = re.compile(r"(?P<level>error|warn|warning|info|debug|fatal|critical): (?P<message>.*+)")


def _lower(line: str) -> _Found:
    """Read a line that begins with a small letter: .NET's console, logfmt, or a level and a colon."""
    if found := parse_dotnet(line):
        return found
    if match := _WINSTON.match(line):
        return match.groupdict()
    return parse_logfmt(line) or _other(line)


_PADDED = re.compile(r" {1,3}(?:[A-Z]{4,5}) ")


def _padded(line: str) -> _Found:
    """Read a line that begins with spaces: a level that is padded on the left."""
    return _upper(line.lstrip()) if _PADDED.match(line) else None


def _other(line: str) -> _Found:
    """Read an access log whose clients have names, or a line that begins with ids."""
    if '] "' in line and (found := parse_access(line)):
        return found
    if "race" in line[:64] or "TID" in line[:64]:
        found = _headed(line, 0, {})
        return found if len(found) > 1 else None
    return None


def _nothing(_line: str) -> _Found:
    return None


_READERS: dict[str, Callable[[str], _Found]] = {
    **dict.fromkeys("0123456789", _digit),
    **dict.fromkeys("ABCDEFGHIJKLMNOPQRSTUVWXYZ", _upper),
    **dict.fromkeys("abcdefghijklmnopqrstuvwxyz", _lower),
    **dict.fromkeys("@_", _lower),
    "[": _bracket,
    "<": parse_syslog,
    " ": _padded,
    "": _nothing,
}


_CONTINUES = re.compile(
    r"[ \t]|Caused by: |Suppressed: |Wrapped by: |Traceback \(most recent call last\)|During handling of the above "
    r"|The above exception was |goroutine \d|created by |\[signal |exit status |#\d+ |Stack trace:|\[stacktrace\]"
    r"|stack backtrace:|note: run with |\.\.\. \d+ more|--- End of |at [\w.$<>]+\(|\Z"
    r"|(?=[\w/-]++\.)[\w./-]++(?:\(\*\w++\)[\w.]*+)?+(?:\[\.\.\.\])?+\((?:0x|\.\.\.|\{|\)\r?\Z)"  # Go
    r"|(?:[A-Za-z_]\w*+\.)++[A-Z][\w$]*+(?::|\r?\Z)",
    re.ASCII,
)


def is_continuation(line: str) -> bool:
    """Return True if a line continues the record before it: a line of a stack trace, or an indented line.

    The first line of a stack trace counts as well, and so does an empty line. A level that is padded on the left begins
    a record.
    """
    if _CONTINUES.match(line):
        return not _PADDED.match(line)
    return ("Error" in line or "xception" in line) and named_exception(line) is not None
