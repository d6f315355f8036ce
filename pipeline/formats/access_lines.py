"""Lines of web servers: access logs of Apache, Nginx, Envoy and Gin, and error logs of Apache and Nginx."""

import re

from pipeline.formats.field_names import put
from pipeline.formats.line_ids import pairs, unquoted

_QUOTED = r"\"((?:[^\"\\]|\\.)*+)\""
_ACCESS = re.compile(
    r"(?:(?P<vhost>[^\s\[:]++:\d++) )?(?P<client>[^\s\[]++) (?P<ident>[^\s\[]++) (?P<user>[^\[]*?) ?"
    rf"\[(?P<time>\d\d/[A-Z][a-z]{{2}}/\d{{4}}:[^\]]*+)\] {_QUOTED} (?P<status>\d{{3}}|-)"
    rf"(?: (?P<bytes>\d++|-)(?=\s|\Z))?+(?: {_QUOTED} {_QUOTED})?+",
    re.ASCII,
)
_REQUEST = re.compile(r"(?P<method>[A-Z][A-Z-]*+) (?P<path>\S++)(?: (?P<protocol>[A-Z]++/[\d.]++))?", re.ASCII)
_ANONYMOUS = "-"


def parse_access(line: str) -> dict[str, str] | None:
    """Return the fields of an access log's line, or None.

    The message is the request and its status. Pairs behind the usual fields have their own names, other text there is
    the field `extra`.
    """
    match = _ACCESS.match(line)
    if match is None:
        return None
    request = match[6]
    found = {"time": match["time"], "message": f"{request} {match['status']}", "client.ip": match["client"]}
    named = {
        "vhost": match["vhost"], "ident": match["ident"], "user": match["user"], "status": match["status"],
        "bytes": match["bytes"], "referrer": match[9], "user_agent": match[10],
    }  # fmt: skip
    found |= {name: value for name, value in named.items() if value and value != _ANONYMOUS}
    if parts := _REQUEST.fullmatch(request):
        found |= {name: value for name, value in parts.groupdict().items() if value}
    if rest := line[match.end() :].strip():
        more = pairs(rest)
        for name, value in (more or {"extra": unquoted(rest)}).items():
            put(found, name, value)
    return found


_ENVOY = re.compile(rf"\[(?P<time>\d[^\]\s]*+)\] {_QUOTED} (?P<status>\d{{1,3}}) (?P<extra>.*+)", re.ASCII)
_GIN = re.compile(
    r"\[GIN\] (?P<day>\d{4}/\d\d/\d\d) - (?P<clock>\d\d:\d\d:\d\d) \| ++(?P<status>\d{3}) \| ++"
    r"(?P<duration>[^|\s]++) \| ++(?P<client>\S++) \| (?P<method>[A-Z]++) ++\"(?P<path>[^\"]*+)\"",
    re.ASCII,
)


def parse_envoy(line: str) -> dict[str, str] | None:
    """Return the fields of Envoy's default access log, or None; flags, sizes and times are the field `extra`."""
    match = _ENVOY.match(line)
    if match is None:
        return None
    request, status = match[2], match["status"]
    found = {"time": match["time"], "message": f"{request} {status}", "status": status, "extra": match["extra"]}
    parts = _REQUEST.fullmatch(request)
    return found | ({name: value for name, value in parts.groupdict().items() if value} if parts else {})


def parse_gin(line: str) -> dict[str, str] | None:
    """Return the fields of a request that Go's Gin logs, or None."""
    match = _GIN.match(line)
    if match is None:
        return None
    method, path, status = match["method"], match["path"], match["status"]
    return {
        "time": f"{match['day']} {match['clock']}",
        "message": f"{method} {path} {status}",
        "client.ip": match["client"],
        "method": method,
        "path": path,
        "status": status,
        "duration": match["duration"],
        **({"extra": line[match.end() :]} if match.end() < len(line) else {}),
    }


_NGINX_ERROR = re.compile(
    r"(?P<time>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[(?P<level>[a-z]++)\] (?P<pid>\d++)#(?P<thread>\d++): "
    r"(?:\*(?P<connection>\d++) )?(?P<message>.*+)",
    re.ASCII,
)
_NGINX_FIELD = re.compile(
    r", (?P<name>client|server|request|subrequest|upstream|host|referrer): (?P<value>\"[^\"]*+\"|[^,\"]*+)(?=, |\Z)"
)
_APACHE_ERROR = re.compile(
    r"\[(?P<time>[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d++)? \d{4})\] "
    r"\[(?:(?P<logger>[\w-]*+):)?(?P<level>\w++)\] (?:\[pid (?P<pid>\d++)(?::tid (?P<thread>\d++))?\] )?"
    r"(?P<message>.*+)",
    re.ASCII,
)
_CLIENT = re.compile(r"\[client (?:(?P<ipv4>[^\]\s:]++)(?::(?P<port>\d++))?+|(?P<ipv6>[^\]\s]++))\] ?", re.ASCII)


def parse_nginx_error(line: str) -> dict[str, str] | None:
    """Return the fields of a line of Nginx's error log, or None."""
    match = _NGINX_ERROR.match(line)
    if match is None:
        return None
    found = _named(match)
    said = match["message"]
    fields = _NGINX_FIELD.search(said)
    if fields is None:
        return found
    found["message"], at = said[: fields.start()], fields.start()
    while field := _NGINX_FIELD.match(said, at):
        put(found, "client.ip" if field["name"] == "client" else field["name"], field["value"].strip('"'))
        at = field.end()
    if at < len(said):
        found["extra"] = said[at:]
    return found


def parse_apache_error(line: str) -> dict[str, str] | None:
    """Return the fields of a line of Apache's error log, or None."""
    match = _APACHE_ERROR.match(line)
    if match is None:
        return None
    found = _named(match)
    if client := _CLIENT.search(match["message"]):
        found["client.ip"] = client["ipv4"] or client["ipv6"]
        if client["port"]:
            found["client.port"] = client["port"]
        found["message"] = match["message"][: client.start()] + match["message"][client.end() :]
    return found


def _named(match: re.Match[str]) -> dict[str, str]:
    names = {"pid": "process.pid"}
    return {names.get(name, name): value for name, value in match.groupdict().items() if value}
