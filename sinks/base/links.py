"""Links to the pages that show a problem or a trace: our own page, Zipkin and Kibana."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from pipeline.model.problems import Problem, Sample
from sinks.base.times import iso, moment

if TYPE_CHECKING:
    from sinks.base.settings import LinkSettings

_LONGEST_URL = 2000
_AROUND = timedelta(minutes=15)
# From deploy/kibana/saved-objects.ndjson. Kibana 8 and 9 both accept it as `index`.
_DATA_VIEW = "tracelink-logs"


@dataclass(frozen=True, slots=True)
class Links:
    """Base URLs of links, without a slash at the end."""

    zipkin: str
    kibana: str
    page: str | None = None

    @staticmethod
    def of(settings: "LinkSettings") -> "Links":
        """Return the base URLs in the settings."""
        page = settings.page_url
        return Links(settings.zipkin_ui_url.rstrip("/"), settings.kibana_url.rstrip("/"), page and page.rstrip("/"))

    def problem(self, problem: Problem) -> str | None:
        """Return the URL of a problem on the page; None if its address is not known."""
        return self.page and f"{self.page}/problems/{quote(problem['fingerprint'], safe='')}"

    def trace(self, sample: Sample) -> str:
        """Return the URL of a trace in Zipkin."""
        return f"{self.zipkin}/traces/{quote(sample['traceId'], safe='')}"

    def logs(self, sample: Sample) -> str:
        """Return the URL of a trace's log lines in Kibana's Discover."""
        at = moment(sample["time"])
        time = f"time:(from:{_rison(iso(at - _AROUND))},to:{_rison(iso(at + _AROUND))})"
        wanted = _rison('trace.id : "' + sample["traceId"].replace("\\", "\\\\").replace('"', '\\"') + '"')
        state = (
            f"columns:!(service.name,log.level,message),index:{_DATA_VIEW},"
            f"query:(language:kuery,query:{wanted}),sort:!(!('@timestamp',asc))"
        )
        return f"{self.kibana}/app/discover#/?_g=({_in_fragment(time)})&_a=({_in_fragment(state)})"

    def all(self, problem: Problem) -> dict[str, str]:
        """Return the links of a problem by name: `page`, `zipkin`, `kibana`, `runbook`, if it has them."""
        page = self.problem(problem)
        found = {"page": page} if page else {}
        if problem["newest"]:
            sample = problem["newest"][0]
            found |= {"zipkin": self.trace(sample), "kibana": self.logs(sample)}
        if (runbook := problem["runbook"]) and len(runbook) <= _LONGEST_URL:
            found["runbook"] = runbook
        return found


def _rison(text: str) -> str:
    return "'" + text.replace("!", "!!").replace("'", "!'") + "'"


def _in_fragment(text: str) -> str:
    # Programs that detect links in texts end a link at quotes and brackets.
    return quote(text, safe="!(),:@-._~$*")
