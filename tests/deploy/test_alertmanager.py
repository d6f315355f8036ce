"""The configuration of Alertmanager, in a real one: where problems go, and that nobody is called for the canary's."""

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from pipeline.model.problems import Problem
from producers.canary.trace import SERVICE, canary
from sinks.alerting.alertmanager import AlertmanagerSink
from sinks.alerting.settings import AlertmanagerSettings
from streams.alerts.fingerprint import Fields
from streams.alerts.occurrence import occurrence
from streams.alerts.problems import ProblemLimits, Problems
from streams.alerts.rules import Rules
from tests.deploy.files import DEPLOY, read_yaml
from tests.kit.alertmanager import serving
from tests.kit.alerts import batch, new_fingerprint, raised
from tests.kit.alerts import problem as of_a_problem
from tests.kit.http import http_request
from tests.kit.sink_targets import metrics
from tests.kit.traces import trace
from tests.kit.waiting import eventually

CONFIG = DEPLOY / "alertmanager" / "alertmanager.yml"
RULES = DEPLOY / "alerts" / "rules.toml"


@pytest.fixture(scope="module")
def manager(servers: Path) -> Iterator[str]:
    """Run an Alertmanager as it is deployed; gives its URL."""
    with serving(Path(mkdtemp(dir=servers)), CONFIG) as url:
        yield url


def of_canary() -> Problem:
    """Return the canary's problem, as the rules that are deployed have it."""
    now = time.time_ns() // 1000
    found = canary(bytes(range(16)), now)
    made = occurrence(trace(found.spans, found.logs, closed=now // 1000), Fields(), lambda text: text)
    assert made is not None
    problems = Problems(Rules.load(RULES).match, ProblemLimits())
    problems.observe(made, now // 1000)
    (problem,) = problems
    return problem


def groups(url: str, fingerprint: str) -> list[dict[str, Any]]:
    """Return the groups that hold a problem, with their labels and receivers."""
    query = {"filter": f'fingerprint="{fingerprint}"'}
    found: list[dict[str, Any]] = http_request("GET", f"{url}/api/v2/alerts/groups", fields=query).json()
    return found


def tell(url: str, problem: Problem) -> None:
    sink = AlertmanagerSink(AlertmanagerSettings.load(alertmanager_url=url), metrics())
    sink.write(batch(raised("NEW", **problem)))


def test_a_problem_is_a_group_of_its_own_and_goes_to_the_page(manager: str) -> None:
    now, fingerprint = time.time_ns() // 1_000_000, new_fingerprint()
    tell(manager, {**of_a_problem(fingerprint), "arrived": now, "firingSince": now})
    (group,) = eventually(lambda: groups(manager, fingerprint))
    assert group["receiver"]["name"] == "page"
    assert group["labels"] == {"fingerprint": fingerprint, "service": "payment", "severity": "critical"}


def test_the_problem_of_the_canary_goes_to_a_receiver_that_calls_nobody(manager: str) -> None:
    problem = of_canary()
    tell(manager, problem)
    (group,) = eventually(lambda: groups(manager, problem["fingerprint"]))
    assert group["receiver"]["name"] == "canary"
    assert group["labels"]["service"] == SERVICE
    assert [one["labels"]["purpose"] for one in group["alerts"]] == ["canary"]
    (receiver,) = [one for one in read_yaml(CONFIG)["receivers"] if one["name"] == "canary"]
    assert receiver.keys() == {"name"}


def test_a_process_that_is_down_hides_other_alerts_but_no_problem(manager: str) -> None:
    problem = of_canary() | {"fingerprint": new_fingerprint(), "service": "shop", "severity": "warning"}
    tell(manager, problem)
    down = {"alertname": "TracelinkProcessDown", "severity": "critical"}
    lag = {"alertname": "TracelinkSinkLagGrowing", "severity": "warning"}
    posted = [{"labels": labels} for labels in (down, lag)]
    assert http_request("POST", f"{manager}/api/v2/alerts", json=posted).status == 200

    def states() -> dict[str, str]:
        found = http_request("GET", f"{manager}/api/v2/alerts").json()
        return {one["labels"].get("service") or one["labels"]["alertname"]: one["status"]["state"] for one in found}

    eventually(lambda: states().get("TracelinkSinkLagGrowing") == "suppressed")
    assert states()["shop"] == "active"


def test_the_rules_are_right_and_say_of_the_canary_that_it_is_no_matter() -> None:
    problem = of_canary()
    assert (problem["rule"], problem["severity"]) == ("canary", "info")
    assert problem["labels"] == {"purpose": "canary"}


def test_the_example_among_the_rules_is_right_where_it_is_no_comment(tmp_path: Path) -> None:
    lines = RULES.read_text("utf-8").splitlines()
    begin = lines.index("# [[rule]]")
    example = lines[begin : lines.index("", begin)]
    copied = tmp_path / "rules.toml"
    copied.write_text("\n".join([*(line.removeprefix("# ") for line in example), *lines[begin + len(example) :]]))
    assert len(Rules.load(copied)) == len(Rules.load(RULES)) + 1
