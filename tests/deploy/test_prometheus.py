import re
from pathlib import Path
from typing import Any

import pytest

from producers.canary.settings import CanarySettings
from tests.deploy.files import DEPLOY, image_environment, own_services, read_yaml, services
from tests.deploy.promql import faults, offered

PROMETHEUS = DEPLOY / "prometheus" / "prometheus.yml"
RULES = [rule for group in read_yaml(DEPLOY / "prometheus" / "rules.yml")["groups"] for rule in group["rules"]]


def _scraped() -> dict[str, Any]:
    return {job["job_name"]: job["dns_sd_configs"][0] for job in read_yaml(PROMETHEUS)["scrape_configs"]}


def test_an_expression_with_an_unknown_metric_or_label_is_seen() -> None:
    assert list(faults("sum by (sink) (up)")) == ["up cannot be grouped by sink"]
    assert list(faults('tracelink_sink_available{target="x"}')) == ["tracelink_sink_available has no label target"]
    assert list(faults("rate(tracelink_join_records[5m])")) == ["no metric tracelink_join_records"]
    assert list(faults("1 + 1")) == ["no metric in 1 + 1"]


def test_an_expression_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="unclosed left parenthesis"):
        list(faults("sum(up"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_a_rule_asks_for_metrics_that_are_there(rule: dict[str, Any]) -> None:
    assert not list(faults(rule["expr"]))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_a_rule_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["annotations"].keys() == {"summary", "description", "action"}
    assert rule["labels"]["severity"] in {"critical", "warning"}


def test_every_process_of_ours_that_goes_on_is_scraped() -> None:
    running = {name for name, service in own_services().items() if service["restart"] == "unless-stopped"}
    assert {job: found["names"] for job, found in _scraped().items()} == {
        f"tracelink-{name}": [name] for name in running
    }


def test_the_scraped_port_is_the_one_of_the_image() -> None:
    assert {str(found["port"]) for found in _scraped().values()} == {image_environment()["TRACELINK_HTTP_PORT"]}


def test_every_scraped_process_is_missed_when_it_is_gone() -> None:
    (rule,) = (rule for rule in RULES if rule["alert"] == "TracelinkProcessDown")
    assert all(f'absent(up{{job="{job}"}})' in rule["expr"] for job in _scraped())


def _rule(alert: str) -> dict[str, Any]:
    (rule,) = (rule for rule in RULES if rule["alert"] == alert)
    return dict(rule)


def test_the_canary_is_missed_after_three_minutes_and_also_where_it_is_gone() -> None:
    rule, name = _rule("TracelinkCanaryMissing"), "tracelink_canary_last_success_timestamp_seconds"
    silent = re.search(r"time\(\) - max by \(stage\) \((\w+)\) > (\d+)", rule["expr"])
    assert silent is not None
    assert silent[1] == name
    assert rule["for"] == "1m"
    assert int(silent[2]) + 60 == 180
    assert f"or absent({name})" in rule["expr"]
    # One that is seen in its last second, after one that was seen in its first, is not missed.
    settings = CanarySettings()
    assert settings.canary_every + settings.canary_within <= int(silent[2])


def test_wrong_rules_and_workers_that_do_nothing_are_noticed() -> None:
    assert _rule("TracelinkAlertRulesWrong")["expr"] == "min(tracelink_alerts_rules_valid) == 0"
    assert "absent(tracelink_alerts_read_lag_messages)" in _rule("TracelinkAlertsIdle")["expr"]
    assert "deriv(tracelink_alerts_read_lag_messages" in _rule("TracelinkAlertsLagGrowing")["expr"]


def test_prometheus_reads_the_rules_and_knows_the_alertmanager() -> None:
    config = read_yaml(PROMETHEUS)
    assert all((PROMETHEUS.parent / Path(name)).exists() for name in config["rule_files"])
    (manager,) = config["alerting"]["alertmanagers"]
    (address,) = manager["static_configs"][0]["targets"]
    name, port = address.split(":")
    assert services()[name]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_alerts_are_inhibited_by_one_that_exists() -> None:
    config = read_yaml(DEPLOY / "alertmanager" / "alertmanager.yml")
    sources = {matcher for rule in config["inhibit_rules"] for matcher in rule["source_matchers"]}
    assert sources <= {f"alertname = {rule['alert']}" for rule in RULES}
    assert config["route"]["receiver"] in {receiver["name"] for receiver in config["receivers"]}


def test_every_metric_of_ours_is_offered_with_its_labels() -> None:
    assert offered()["tracelink_sink_request_duration_seconds_bucket"] == {"sink", "le", "job", "instance"}
    assert offered()["tracelink_alerts_raised_total"] == {"event", "job", "instance"}
    assert offered()["tracelink_canary_freshness_seconds"] == {"stage", "job", "instance"}
