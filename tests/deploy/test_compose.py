import re
import subprocess
import sys
import tomllib
from typing import Any

import pytest
from click.testing import CliRunner

from pipeline.cli.root import main
from pipeline.local.elasticsearch import ELASTICSEARCH_SETTINGS
from pipeline.local.kafka import BROKER_SETTINGS
from pipeline.local.versions import VERSIONS
from pipeline.local.zipkin import ZIPKIN_ENV
from pipeline.settings import MonitoringSettings, processes
from sinks.alerting.ssrf_guard import is_allowed
from sinks.base.networks import networks_of
from streams.alerts.rules import Rules
from tests.deploy.files import COMPOSE_FILE, ROOT, compose, image_environment, own_services, services
from tracelink.settings import PREFIX, KafkaSettings, Settings, variable_of

# Each listener has a name of its own, and Compose has one more, for processes outside of the containers.
_LISTENERS = "listener.security.protocol.map"
# The addresses that a person's browser opens.
_FOR_PEOPLE = {f"{PREFIX}{name}_URL" for name in ("PAGE", "KIBANA", "ZIPKIN_UI", "ALERTMANAGER_UI")}
SERVICES = sorted(services())
OWN = sorted(own_services())


def _one_shot(service: dict[str, Any]) -> bool:
    return bool(service["restart"].startswith("on-failure"))


def _listeners(text: str) -> set[str]:
    return set(text.split(","))


def _environment(service: str) -> dict[str, str]:
    return {name: str(value) for name, value in services()[service]["environment"].items()}


def _stage(service: str) -> type[Settings]:
    command = "-".join(services()[service]["command"])
    return next(settings for name, settings in processes().items() if command.startswith(name))


def test_the_file_keeps_to_the_compose_specification() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE_FILE)]
    result = subprocess.run(check, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_has_a_full_version(name: str) -> None:
    image = services()[name]["image"]
    assert re.fullmatch(r"[a-z0-9./-]+:v?\d+\.\d+\.\d+", image), image


@pytest.mark.parametrize(
    ("name", "server"),
    [("kafka", "kafka"), ("zipkin", "zipkin"), ("elasticsearch", "elasticsearch"), ("kibana", "elasticsearch")],
)
def test_a_server_has_the_version_of_the_local_stack(name: str, server: str) -> None:
    assert services()[name]["image"].endswith(f":{VERSIONS[server]}")


def test_our_own_image_has_the_version_of_the_package() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert {service["image"] for service in own_services().values()} == {f"tracelink:{version}"}


def test_the_broker_has_the_settings_of_the_local_stack() -> None:
    environment = _environment("kafka")
    properties = {name: environment.get("KAFKA_" + name.upper().replace(".", "_")) for name in BROKER_SETTINGS}
    assert properties | {_LISTENERS: BROKER_SETTINGS[_LISTENERS]} == BROKER_SETTINGS
    assert _listeners(BROKER_SETTINGS[_LISTENERS]) <= _listeners(str(properties[_LISTENERS]))


@pytest.mark.parametrize(
    ("name", "shared"),
    [("zipkin", ZIPKIN_ENV), ("elasticsearch", ELASTICSEARCH_SETTINGS)],
    ids=["zipkin", "elasticsearch"],
)
def test_a_store_has_the_settings_of_the_local_stack(name: str, shared: dict[str, str]) -> None:
    assert shared.items() <= _environment(name).items()


def test_processes_outside_reach_the_broker_at_the_default_address() -> None:
    (published,) = services()["kafka"]["ports"]
    outside = KafkaSettings.model_fields["kafka_bootstrap_servers"].default
    assert published == f"{outside}:9092"
    assert f"HOST://{outside}" in _listeners(_environment("kafka")["KAFKA_ADVERTISED_LISTENERS"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_goes_on_has_a_health_check(name: str) -> None:
    service = services()[name]
    if _one_shot(service):
        assert service["healthcheck"] == {"disable": True}
    else:
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
        assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_for_what_the_other_can_reach(name: str) -> None:
    for other, how in services()[name].get("depends_on", {}).items():
        reachable = "service_completed_successfully" if _one_shot(services()[other]) else "service_healthy"
        assert how["condition"] == reachable, other


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_publishes_ports_on_this_machine_alone(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in services()[name].get("ports", []))


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_bound_on_its_memory(name: str) -> None:
    assert re.fullmatch(r"\d+[mg]", services()[name]["mem_limit"])


def test_volumes_are_declared_and_mounted_files_are_there() -> None:
    sources = {volume.split(":")[0] for service in services().values() for volume in service.get("volumes", [])}
    assert {source for source in sources if not source.startswith("./")} == set(compose()["volumes"])
    missing = [source for source in sources if source.startswith("./") and not (ROOT / source).exists()]
    assert not missing


@pytest.mark.parametrize("name", OWN)
def test_a_process_of_ours_runs_a_command_that_is_there(name: str) -> None:
    result = CliRunner().invoke(main, [*services()[name]["command"], "--help"])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("name", OWN)
def test_a_process_of_ours_accepts_its_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {key: value for key, value in _environment(name).items() if key.startswith(PREFIX)}
    for variable, value in (image_environment() | given).items():
        monkeypatch.setenv(variable, value)
    settings = _stage(name).load()
    read = {variable_of(field) for field in type(settings).model_fields}
    assert given.keys() <= read


@pytest.mark.parametrize("name", [name for name in OWN if issubclass(_stage(name), MonitoringSettings)])
def test_the_health_check_asks_the_port_of_the_process(name: str) -> None:
    check = services()[name]["healthcheck"]["test"][-1]
    assert f":{image_environment()['TRACELINK_HTTP_PORT']}/readyz" in check


@pytest.mark.parametrize("name", OWN)
def test_a_process_of_ours_finds_each_address_in_the_network(name: str) -> None:
    inside = _listeners(_environment("kafka")["KAFKA_ADVERTISED_LISTENERS"])
    published = {
        f"http://{other}:{port.split(':')[2]}" for other in services() for port in services()[other].get("ports", [])
    }
    reachable = {listener.split("://")[1] for listener in inside} | published
    given = _environment(name)
    addresses = {value for key, value in given.items() if key.endswith(("_URL", "_SERVERS")) and key not in _FOR_PEOPLE}
    assert addresses
    assert addresses <= reachable


@pytest.mark.parametrize("name", OWN)
def test_a_link_leads_to_a_port_of_this_machine(name: str) -> None:
    published = {
        f"http://{host}:{port}"
        for other in services()
        for host, port, _ in (one.split(":") for one in services()[other].get("ports", []))
    }
    links = {value for key, value in _environment(name).items() if key in _FOR_PEOPLE}
    assert links <= published


def test_the_alerts_have_the_rules_that_are_mounted() -> None:
    path = _environment("alerts")["TRACELINK_RULES_FILE"]
    (volume,) = services()["alerts"]["volumes"]
    source, target, how = volume.split(":")
    assert how == "ro"
    assert path.startswith(f"{target}/")
    assert Rules.load(ROOT / source / path.removeprefix(f"{target}/"))


@pytest.mark.parametrize("address", ["172.18.0.5", "172.31.255.1", "192.168.16.2"])
def test_the_sink_may_call_the_alertmanager_where_docker_puts_it(address: str) -> None:
    networks = networks_of(_environment("sink-alertmanager")["TRACELINK_ALLOW_NETWORKS"])
    assert is_allowed(address, networks)
    assert not is_allowed("169.254.169.254", networks)


def test_the_canary_waits_for_nothing_that_it_is_to_watch() -> None:
    assert services()["canary"]["depends_on"].keys() == {"topics"}


@pytest.mark.parametrize("name", OWN)
def test_a_process_of_ours_cannot_gain_rights(name: str) -> None:
    service = services()[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
