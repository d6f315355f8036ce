"""The list of problems: its filters in the address, and its pages."""

from collections.abc import Mapping

import pytest

from pipeline.model.problems import Problem
from sinks.page.problem_list import ProblemFilter, whole
from tests.kit.alerts import problem

PROBLEMS = [
    problem("a1", service="cart", services=["cart"], severity="critical", exception="KeyError", message="no such item"),
    problem("a2", service="pay", services=["cart", "pay"], severity="error", lines=[], message="Declined"),
    problem("a3", service=None, peer="bank", services=["shop"], severity="error", exception=None, operation=None),
    problem("a4", status="QUIET", service="pay", services=["pay"]),
    problem("a5", muted=True, service="pay", services=["pay"]),
]


def listed(query: Mapping[str, str], problems: list[Problem] = PROBLEMS) -> list[str]:
    return [one["fingerprint"] for one in ProblemFilter.of(query).rows(problems)[0]]


@pytest.mark.parametrize(
    ("query", "fingerprints"),
    [
        ({}, ["a1", "a2", "a3"]),
        ({"status": "firing"}, ["a1", "a2", "a3"]),
        ({"status": "resolved"}, ["a4"]),
        ({"status": "all"}, ["a1", "a2", "a3", "a4"]),
        ({"status": "loud"}, ["a1", "a2", "a3"]),
        ({"muted": "1"}, ["a1", "a2", "a3", "a5"]),
        ({"muted": "yes"}, ["a1", "a2", "a3"]),
        ({"service": "cart"}, ["a1", "a2"]),
        ({"service": "pay"}, ["a2"]),
        ({"service": " pay"}, []),
        ({"service": "bank"}, []),
        ({"severity": "error"}, ["a2", "a3"]),
        ({"text": "KEYerror"}, ["a1"]),
        ({"text": "declined"}, ["a1", "a2", "a3"]),
        ({"text": "by the bank"}, ["a1", "a3"]),
        ({"text": "a2"}, ["a2"]),
        ({"text": "nowhere"}, []),
        ({"service": "cart", "severity": "critical", "status": "all", "text": "item"}, ["a1"]),
    ],
)
def test_the_filters_of_an_address_choose_the_rows(query: dict[str, str], fingerprints: list[str]) -> None:
    problems = [one if one["fingerprint"] != "a1" else one | {"root": "shop declined"} for one in PROBLEMS]
    assert listed(query, problems) == fingerprints


def test_a_list_has_pages_and_none_beyond_the_last() -> None:
    many = [problem(f"{number:04}") for number in range(250)]
    assert [len(listed({"page": page}, many)) for page in ("1", "2", "3")] == [100, 100, 50]
    assert listed({"page": "3", "limit": "120"}, many)[0] == "0240"
    assert len(listed({"limit": "99999"}, many)) == 250
    assert ProblemFilter.of({"limit": "99999"}).limit == 2_000
    # A list that became shorter shows its last page.
    assert listed({"page": "9"}, many)[0] == "0200"
    assert ProblemFilter.of({"page": "9"}).rows(many)[1] == 250
    assert [ProblemFilter.of({"page": "2"}).page_of(number) for number in (0, 100, 101, 999)] == [1, 1, 2, 2]
    assert [ProblemFilter.of({}).pages_of(number) for number in (0, 100, 101)] == [1, 1, 2]
    assert listed({"page": "9"}, []) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7), (" 7 ", 7), ("0", 1), ("-7", 3), ("x", 3), ("", 3), (None, 3), ("1e3", 3), ("٣", 3), ("9" * 10, 3)],
)
def test_a_number_that_is_none_is_the_default(text: str | None, number: int) -> None:
    assert whole(text, 3) == number
