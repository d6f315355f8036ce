"""The text of an alert, the same for all targets."""

from pipeline.model.problems import Event, Line, Problem
from sinks.base.times import iso, moment

_LONGEST_TITLE = 200
_LONGEST_MESSAGE = 600
_LONGEST_LINE = 200
_MOST_LINES = 6
_MOST_SERVICES = 10

_EVENTS: dict[Event, str] = {"NEW": "New", "BACK": "Back again", "RATE": "Frequent", "RESOLVED": "Over"}


def title(event: Event | None, problem: Problem) -> str:
    """Return one line: event, service, error and operation."""
    where = problem["service"] or problem["peer"] or "unknown service"
    what = problem["exception"] or (problem["httpStatus"] and f"HTTP {problem['httpStatus']}")
    what = what or (problem["grpcStatus"] and f"gRPC {problem['grpcStatus']}") or "error"
    operation = f" in {problem['operation']}" if problem["operation"] else ""
    begin = f"{_EVENTS[event]}: " if event else ""
    return one_line(f"{begin}{where}: {what}{operation}", _LONGEST_TITLE)


def description(problem: Problem) -> str:
    """Return a few lines: message, callee, frequency, affected services, root span, log lines of the root cause."""
    said = [cut(problem["message"], _LONGEST_MESSAGE)] if problem["message"] else []
    if called := callee(problem):
        said.append(f"Called: {called}.")
    said.append(f"{frequency(problem)}.")
    if problem["services"]:
        said.append(f"Services: {services(problem)}.")
    if problem["root"]:
        said.append(f"Request: {one_line(problem['root'], _LONGEST_LINE)}.")
    return "\n".join([*said, *log_lines(problem)])


def callee(problem: Problem) -> str | None:
    """Return the callee, if the error began in a call and the trace has no span of its other side.

    The callee may have caused the error: its spans may come later, in a further part, or not at all.
    """
    peer = problem["peer"]
    return f"{one_line(peer, _LONGEST_LINE)} (callee's spans not received)" if peer else None


def frequency(problem: Problem) -> str:
    """Say how often a problem was seen, and since when."""
    times = "once" if problem["count"] == 1 else f"{problem['count']} times"
    return f"Seen {times} since {iso(moment(problem['firstSeen']))}" + (
        ", over its threshold" if problem["overThreshold"] else ""
    )


def services(problem: Problem) -> str:
    """List the first few services of a problem's traces."""
    named = [one_line(name, _LONGEST_LINE) for name in problem["services"][:_MOST_SERVICES]]
    more = len(problem["services"]) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def log_lines(problem: Problem) -> list[str]:
    """Return the newest log lines of a problem, oldest first."""
    return [_log_line(line) for line in problem["lines"][-_MOST_LINES:]]


def _log_line(line: Line) -> str:
    at = iso(moment(line["timestamp"] / 1000))
    return one_line(f"{at} {line['level'] or '-'} {line['service'] or '-'} {line['message']}", _LONGEST_LINE)


def one_line(text: str, most: int) -> str:
    """Join the lines of a text, and cut it to at most `most` characters."""
    return cut(" ".join(text.split()), most)


def cut(text: str, most: int) -> str:
    """Cut a text to at most `most` characters, with an ellipsis at the end if it was longer."""
    return text if len(text) <= most else text[: most - 1] + "…"
