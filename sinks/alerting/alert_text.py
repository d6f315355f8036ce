"""What an alert says: its words and its links, the same whatever it is sent to."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from pipeline.model.problems import Event, Line, Problem, Sample

if TYPE_CHECKING:
    from sinks.alerting.settings import EgressSettings

_LONGEST_TITLE = 200
_LONGEST_MESSAGE = 600
_LONGEST_LINE = 200
_MOST_LINES = 6
_MOST_SERVICES = 10
_LONGEST_URL = 2000
_AROUND = timedelta(minutes=15)
# Of deploy/kibana/saved-objects.ndjson; Kibana 8 and 9 both take `index` for it.
_DATA_VIEW = "tracelink-logs"

_EVENTS: dict[Event, str] = {"NEW": "New", "BACK": "Back again", "RATE": "Frequent", "RESOLVED": "Over"}


@dataclass(frozen=True, slots=True)
class Links:
    """Where the links of alerts lead to."""

    zipkin: str
    kibana: str

    @staticmethod
    def of(settings: "EgressSettings") -> "Links":
        """Take them from the settings."""
        return Links(settings.zipkin_ui_url.rstrip("/"), settings.kibana_url.rstrip("/"))

    def trace(self, sample: Sample) -> str:
        """Link to a trace in Zipkin."""
        return f"{self.zipkin}/traces/{quote(sample['traceId'], safe='')}"

    def logs(self, sample: Sample) -> str:
        """Link to the log lines of a trace in Kibana's Discover."""
        at = moment(sample["time"])
        time = f"time:(from:{_rison(iso(at - _AROUND))},to:{_rison(iso(at + _AROUND))})"
        wanted = _rison('trace.id : "' + sample["traceId"].replace("\\", "\\\\").replace('"', '\\"') + '"')
        state = (
            f"columns:!(service.name,log.level,message),index:{_DATA_VIEW},"
            f"query:(language:kuery,query:{wanted}),sort:!(!('@timestamp',asc))"
        )
        return f"{self.kibana}/app/discover#/?_g=({_in_fragment(time)})&_a=({_in_fragment(state)})"

    def all(self, problem: Problem) -> dict[str, str]:
        """Return the links of a problem by what they lead to: `zipkin`, `kibana`, `runbook`, as far as it has them."""
        found: dict[str, str] = {}
        if problem["newest"]:
            sample = problem["newest"][0]
            found = {"zipkin": self.trace(sample), "kibana": self.logs(sample)}
        if (runbook := problem["runbook"]) and len(runbook) <= _LONGEST_URL:
            found["runbook"] = runbook
        return found


def title(event: Event | None, problem: Problem) -> str:
    """Return one line: what happened where."""
    where = problem["service"] or problem["peer"] or "unknown service"
    what = problem["exception"] or (problem["httpStatus"] and f"HTTP {problem['httpStatus']}")
    what = what or (problem["grpcStatus"] and f"gRPC {problem['grpcStatus']}") or "error"
    operation = f" in {problem['operation']}" if problem["operation"] else ""
    begin = f"{_EVENTS[event]}: " if event else ""
    return one_line(f"{begin}{where}: {what}{operation}", _LONGEST_TITLE)


def description(problem: Problem) -> str:
    """Return a few lines: what it said, how often, which services it touches, and the log lines of where it began."""
    said = [cut(problem["message"], _LONGEST_MESSAGE)] if problem["message"] else []
    said.append(f"{frequency(problem)}.")
    if problem["services"]:
        said.append(f"Services: {services(problem)}.")
    if problem["root"]:
        said.append(f"Request: {one_line(problem['root'], _LONGEST_LINE)}.")
    return "\n".join([*said, *log_lines(problem)])


def frequency(problem: Problem) -> str:
    """Tell how often it was seen, and since when."""
    times = "once" if problem["count"] == 1 else f"{problem['count']} times"
    return f"Seen {times} since {iso(moment(problem['firstSeen']))}" + (
        ", over its threshold" if problem["overThreshold"] else ""
    )


def services(problem: Problem) -> str:
    """Name the services that its traces touch, the first few of them."""
    named = [one_line(name, _LONGEST_LINE) for name in problem["services"][:_MOST_SERVICES]]
    more = len(problem["services"]) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def log_lines(problem: Problem) -> list[str]:
    """Return the newest of its log lines, oldest first."""
    return [_log_line(line) for line in problem["lines"][-_MOST_LINES:]]


def _log_line(line: Line) -> str:
    at = iso(moment(line["timestamp"] / 1000))
    return one_line(f"{at} {line['level'] or '-'} {line['service'] or '-'} {line['message']}", _LONGEST_LINE)


def one_line(text: str, most: int) -> str:
    """Return a text on one line, cut where it is longer than `most` characters."""
    return cut(" ".join(text.split()), most)


def cut(text: str, most: int) -> str:
    """Return a text of at most `most` characters, its end marked where that was cut off."""
    return text if len(text) <= most else text[: most - 1] + "…"


def moment(milliseconds: float) -> datetime:
    """Return a time in milliseconds since the epoch; what no calendar has becomes the nearest day that one has."""
    bounded = min(max(milliseconds, 0), 4_102_444_800_000)  # 2100
    return datetime.fromtimestamp(bounded / 1000, UTC)


def iso(at: datetime) -> str:
    """Print a time as RFC 3339 has it, in milliseconds."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _rison(text: str) -> str:
    return "'" + text.replace("!", "!!").replace("'", "!'") + "'"


def _in_fragment(text: str) -> str:
    # Quotes and brackets end a link in the eyes of those that look for links in texts.
    return quote(text, safe="!(),:@-._~$*")
