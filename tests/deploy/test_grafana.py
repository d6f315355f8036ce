import json
from itertools import combinations
from typing import Any

import pytest

from tests.deploy.files import DEPLOY, read_yaml, services
from tests.deploy.promql import faults

GRAFANA = DEPLOY / "grafana"
DASHBOARD = GRAFANA / "dashboards" / "tracelink.json"
PANELS = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
QUERIES = [(panel, target) for panel in PANELS for target in panel.get("targets", [])]
COLUMNS = 24


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[start] < other[start] + other[length] and other[start] < one[start] + one[length]
        for start, length in (("x", "w"), ("y", "h"))
    )


def _mounts() -> dict[str, str]:
    """Return the paths in the container by their path in deploy/."""
    mounts = (volume.split(":") for volume in services()["grafana"]["volumes"] if volume.startswith("./deploy/"))
    return {mount[0].removeprefix("./deploy/"): mount[1] for mount in mounts}


@pytest.mark.parametrize(
    "query", QUERIES, ids=lambda query: f"{query[0]['id']} {query[0]['title']} {query[1]['refId']}"
)
def test_a_panel_asks_for_metrics_that_are_there(query: tuple[dict[str, Any], dict[str, Any]]) -> None:
    assert not list(faults(query[1]["expr"]))


@pytest.mark.parametrize(
    "metric",
    [
        "tracelink_alerts_firing_problems",
        "tracelink_alerts_raised_total",
        "tracelink_alerts_delay_seconds_bucket",
        "tracelink_canary_freshness_seconds",
    ],
)
def test_alerts_and_the_canary_have_a_row_of_their_own(metric: str) -> None:
    titles = [panel["title"] for panel in PANELS if panel["type"] == "row"]
    tops = {panel["title"]: panel["gridPos"]["y"] for panel in PANELS if panel["type"] == "row"}
    below = titles[titles.index("Alerts") + 1]
    (panel,) = [panel for panel, target in QUERIES if metric in target["expr"] and target["refId"] == "A"]
    assert tops["Alerts"] < panel["gridPos"]["y"] < tops[below]


def test_every_panel_says_what_it_shows_and_where_from() -> None:
    (source,) = read_yaml(GRAFANA / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
    for panel, _ in QUERIES:
        assert panel["description"]
        assert panel["datasource"] == {"type": source["type"], "uid": source["uid"]}


def test_panels_have_a_place_of_their_own() -> None:
    places = [panel["gridPos"] for panel in PANELS]
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert all(place["x"] + place["w"] <= COLUMNS for place in places)
    assert not [pair for pair in combinations(places, 2) if _overlap(*pair)]


def test_the_file_is_laid_out_by_the_standard_formatter() -> None:
    text = DASHBOARD.read_text("utf-8")
    assert text == json.dumps(json.loads(text), indent=2) + "\n"


def test_grafana_finds_its_dashboard_and_its_data() -> None:
    (provider,) = read_yaml(GRAFANA / "provisioning" / "dashboards" / "tracelink.yml")["providers"]
    path = _mounts()["grafana/dashboards"]
    assert provider["options"]["path"] == path
    home = services()["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{path}/{DASHBOARD.name}"
    (source,) = read_yaml(GRAFANA / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
    name, port = source["url"].removeprefix("http://").split(":")
    assert services()[name]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_rates_are_taken_over_the_interval_of_the_scrapes() -> None:
    (source,) = read_yaml(GRAFANA / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
    scraped = read_yaml(DEPLOY / "prometheus" / "prometheus.yml")["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scraped
