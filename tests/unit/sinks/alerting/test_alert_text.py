"""The texts of an alert."""

from typing import Any, cast

import pytest

from sinks.alerting.alert_text import description
from sinks.alerting.slack import body
from sinks.base.links import Links
from tests.kit.alerts import problem, raised

LINKS = Links("http://zipkin", "http://kibana")


def fields_of(peer: str | None) -> list[str]:
    """Return the fields of an alert for Slack."""
    blocks = cast("list[dict[str, Any]]", body(raised(peer=peer).alert, LINKS)["blocks"])
    return [field["text"] for block in blocks for field in block.get("fields", [])]


def test_an_error_in_a_call_names_the_callee_whose_spans_are_missing() -> None:
    lines = description(problem(peer="bank")).splitlines()
    assert lines[:2] == ["the card was declined", "Called: bank (callee's spans not received)."]
    assert "*Called*\nbank (callee's spans not received)" in fields_of("bank")


@pytest.mark.parametrize("peer", [None, ""])
def test_an_error_elsewhere_names_no_callee(peer: str | None) -> None:
    assert "callee" not in description(problem(peer=peer))
    assert not any("Called" in field for field in fields_of(peer))


def test_the_name_of_a_callee_is_one_line_of_bounded_length() -> None:
    called = description(problem(peer="bank\n" + "x" * 1000)).splitlines()[1]
    assert called.startswith("Called: bank xxx")
    assert len(called) < 300
