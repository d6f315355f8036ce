"""Layouts with a fixed order, each by one pattern: .NET, Ruby, glog, Monolog, Postgres of RDS, zap and Lambda."""

import re

from pipeline.formats.line_ids import LEVELS

_DOTNET = re.compile(
    r"(?P<level>trce|dbug|info|warn|fail|crit): (?P<logger>[\w.+`<>\[\]-]+)\[(?P<event>-?\d++)\] *+(?P<message>.*+)"
)
_DOTNET_LEVELS = {"trce": "TRACE", "dbug": "DEBUG", "info": "INFO", "warn": "WARN", "fail": "ERROR", "crit": "CRITICAL"}


def parse_dotnet(line: str, at: int = 0) -> dict[str, str] | None:
    """Return the fields of `fail: Shop.Pay[0] no card`, or None; the level is spelled out."""
    match = _DOTNET.match(line, at)
    if match is None:
        return None
    level = _DOTNET_LEVELS[match["level"]]
    return {"level": level, "logger": match["logger"], "event.id": match["event"], "message": match["message"]}


_GLOG = re.compile(
    r"(?P<level>[EIWF])(?P<time>\d{4} \d\d:\d\d:\d\d\.\d++) ++(?P<thread>\d++) (?P<source>[^\]\s]++)\] ?"
    r"(?P<message>.*+)",
    re.ASCII,
)
_GLOG_LEVELS = {"I": "INFO", "W": "WARNING", "E": "ERROR", "F": "FATAL"}


def parse_glog(line: str) -> dict[str, str] | None:
    """Return the fields of `E1120 08:15:30.123456 1 pay.go:7] no card`, or None; such a time has no year."""
    match = _GLOG.match(line)
    return None if match is None else match.groupdict() | {"level": _GLOG_LEVELS[match["level"]]}


_RUBY = re.compile(
    r"[A-Z], \[(?P<time>[^\]\s]++)(?: #(?P<pid>\d++))?\] ++(?P<level>[A-Z]++) -- (?P<logger>[^:\s]*+): ?"
    r"(?P<message>.*+)",
    re.ASCII,
)


def parse_ruby(line: str) -> dict[str, str] | None:
    """Return the fields of `E, [2026-11-20T08:15:30.123456 #7] ERROR -- pay: no card`, or None."""
    match = _RUBY.match(line)
    if match is None:
        return None
    found = {"time": match["time"], "level": match["level"]}
    found |= {name: value for name, value in (("process.pid", match["pid"]), ("logger", match["logger"])) if value}
    return found | tagged(match["message"])


_UUID = re.compile(r"\[([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})\] ?", re.ASCII)


def tagged(message: str) -> dict[str, str]:
    """Return a message, and the request id before it that Rails prints as a tag."""
    tag = _UUID.match(message)
    return {"request.id": tag[1], "message": message[tag.end() :]} if tag else {"message": message}


_MONOLOG = re.compile(r" (?P<logger>[\w-][\w.-]*)\.(?P<level>[A-Z]++): (?P<message>.*+)")


def parse_monolog(line: str, at: int) -> dict[str, str] | None:
    """Return the fields behind the time of `[2026-11-20T08:15:30.123456+00:00] app.ERROR: no card [] []`, or None."""
    match = _MONOLOG.match(line, at)
    return match.groupdict() if match is not None and match["level"] in LEVELS else None


_RDS = re.compile(
    r":(?P<client>[^\s:(]*+)(?:\((?P<port>\d++)\))?:(?P<user>[^\s:@]*+)@(?P<database>[^\s:]*+):\[(?P<pid>\d++)\]:"
    r"(?P<level>[A-Z]++): ++(?P<message>.*+)"
)
_RDS_NAMES = {"client": "client.ip", "port": "client.port", "pid": "process.pid"}


def parse_rds(line: str, at: int) -> dict[str, str] | None:
    """Return the fields behind the time of `… UTC:10.0.0.7(5432):user@database:[7]:ERROR:  no card`, or None."""
    match = _RDS.match(line, at)
    if match is None:
        return None
    return {_RDS_NAMES.get(name, name): value for name, value in match.groupdict().items() if value}


_LAMBDA = re.compile(
    r"\t(?P<id>[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})\t(?P<level>[A-Z]++)\t(?P<message>.*+)", re.ASCII
)
_SOURCE = re.compile(r"[\w./@-]++:\d++", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][\w./-]*+", re.ASCII)


def parse_tabs(line: str, at: int) -> dict[str, str] | None:
    """Return the fields behind the time of a line with tabs, or None: Lambda's request id, level and message, or zap's.

    The console of zap prints level, optional logger and optional place, message, and optional JSON.
    """
    if match := _LAMBDA.match(line, at):
        return {"request.id": match["id"], "level": match["level"], "message": match["message"]}
    level, *parts = line[at:].lstrip("\t").split("\t")
    if not parts or level.upper() not in LEVELS:
        return None
    found = {"level": level}
    last = len(parts) - (2 if len(parts) > 1 and parts[-1].startswith("{") else 1)
    begin = 0
    for part in parts[:last]:
        if _SOURCE.fullmatch(part) and "source" not in found:
            found["source"] = part
        elif _NAME.fullmatch(part) and len(found) == 1:
            found["logger"] = part
        else:
            break
        begin += 1
    return found | {"message": "\t".join(parts[begin:])}
