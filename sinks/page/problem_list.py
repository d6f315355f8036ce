"""The list of problems: filters that stay in the address, and one page of rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from pipeline.model.problems import Problem

_USUAL = 100
_MOST = 2_000
_DIGITS = 9


@dataclass(frozen=True, slots=True)
class ProblemFilter:
    """The filters of the list, from the query of its address; a value that makes no sense is the default."""

    status: str = "firing"
    """firing, resolved or all."""
    service: str = ""
    severity: str = ""
    text: str = ""
    muted: bool = False
    """True to list muted problems, too."""
    limit: int = _USUAL
    page: int = 1

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        """Return the filters of a query."""
        status = query.get("status", "firing")
        return cls(
            status if status in {"firing", "resolved", "all"} else "firing",
            query.get("service", ""),
            query.get("severity", "").strip(),
            query.get("text", "").strip(),
            query.get("muted") == "1",
            min(_MOST, whole(query.get("limit"), _USUAL)),
            whole(query.get("page"), 1),
        )

    def takes(self, problem: Problem) -> bool:
        """Return True if the list shows a problem."""
        if self.status != "all" and (problem["status"] == "FIRING") != (self.status == "firing"):
            return False
        if problem["muted"] and not self.muted:
            return False
        if self.severity and problem["severity"] != self.severity:
            return False
        if self.service and self.service not in (problem["service"], *problem["services"]):
            return False
        return not self.text or self.text.lower() in _words(problem)

    def rows(self, problems: Iterable[Problem]) -> tuple[Sequence[Problem], int]:
        """Return the rows of the page that is asked for, and the number of rows of all pages."""
        found = [one for one in problems if self.takes(one)]
        start = (self.page_of(len(found)) - 1) * self.limit
        return found[start : start + self.limit], len(found)

    def pages_of(self, number: int) -> int:
        """Return how many pages so many rows have."""
        return max(1, -(-number // self.limit))

    def page_of(self, number: int) -> int:
        """Return the page that is shown of so many rows: the last one if the list has become shorter."""
        return min(self.page, self.pages_of(number))


def whole(text: str | None, default: int) -> int:
    """Return a number of at least 1 from the query of an address; the default if it is none."""
    given = (text or "").strip()
    return max(1, int(given)) if given.isascii() and given.isdecimal() and len(given) <= _DIGITS else default


def _words(problem: Problem) -> str:
    said = (
        problem["exception"],
        problem["message"],
        problem["service"],
        problem["operation"],
        problem["peer"],
        problem["root"],
        problem["fingerprint"],
        *[line["message"] for line in problem["lines"]],
    )
    return "\n".join(filter(None, said)).lower()
