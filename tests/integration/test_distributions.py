"""The two distributions, built and installed: the SDK alone for services, and the pipeline that requires it."""

import json
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from tempfile import mkdtemp
from zipfile import ZipFile

import pytest

from pipeline.local.stack import Endpoints
from tests.kit.kafka_topics import create, read, settings
from tracelink.kafka.messages import LOGS, SPANS
from tracelink.model.codec import LOG_RECORD, SPAN

ROOT = Path(__file__).parents[2]
SOURCES = {"tracelink-otel": ROOT / "tracelink", "tracelink-pipeline": ROOT}
STAGES = ("pipeline", "producers", "streams", "sinks")
NO_CODE = {"tracelink/pyproject.toml", "tracelink/LICENSE"}


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=300, cwd=cwd, env=environment or None
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def build(source: Path, out: Path, *what: str) -> Path:
    """Build as `make dist` does: the wheel from the sdist, unless `what` is `--wheel`."""
    python = sys.executable
    command = (python, "-m", "uv", "build", "--no-build-isolation", "--python", python, "--out-dir", out)
    run(*command, *what, source, cwd=ROOT)
    (wheel,) = out.glob("*.whl")
    return wheel


def files(wheel: Path) -> dict[str, bytes]:
    with ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def tree(*packages: str) -> set[str]:
    paths = (path for package in packages for path in (ROOT / package).rglob("*"))
    return {str(path.relative_to(ROOT)) for path in paths if path.is_file() and "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Give the wheel of each distribution, built from its sdist."""
    return {name: build(source, tmp_path_factory.mktemp(name)) for name, source in SOURCES.items()}


def test_the_pipeline_requires_the_sdk_of_its_own_version() -> None:
    sdk, pipeline = (tomllib.loads((source / "pyproject.toml").read_text("utf-8")) for source in SOURCES.values())
    assert pipeline["project"]["version"] == sdk["project"]["version"]
    assert f"tracelink-otel=={sdk['project']['version']}" in pipeline["project"]["dependencies"]


def test_the_wheels_share_no_file_and_leave_none_of_the_tree_out(wheels: dict[str, Path]) -> None:
    sdk, pipeline = (set(files(wheel)) for wheel in wheels.values())
    assert sdk.isdisjoint(pipeline)
    assert {name for name in sdk if ".dist-info/" not in name} == tree("tracelink") - NO_CODE
    assert {name for name in pipeline if ".dist-info/" not in name} == tree(*STAGES)


def test_the_wheel_built_from_an_sdist_is_the_one_built_from_the_tree(wheels: dict[str, Path], tmp_path: Path) -> None:
    for name, source in SOURCES.items():
        assert files(build(source, tmp_path / name, "--wheel")) == files(wheels[name])


def test_both_are_imported_from_the_tree_where_they_are_editable(tmp_path: Path) -> None:
    for name in SOURCES:
        assert json.loads(distribution(name).read_text("direct_url.json") or "")["dir_info"]["editable"]
    packages = ["tracelink", *STAGES]
    shown = f"import {', '.join(packages)}\nfor package in ({', '.join(packages)}): print(package.__file__)"
    found = run(sys.executable, "-I", "-c", shown, cwd=tmp_path).splitlines()
    assert found == [str(ROOT / package / "__init__.py") for package in packages]


@dataclass(frozen=True)
class Environment:
    """The environment of a service, and a folder to run in that has nothing to import."""

    python: Path
    folder: Path

    def run(self, code: str, **environment: str) -> str:
        return run(self.python, "-I", "-c", code, cwd=self.folder, **environment)


@pytest.fixture(scope="module")
def service(wheels: dict[str, Path], servers: Path) -> Environment:
    """Make a fresh environment that has the SDK alone, with what it requires as it is locked: from a package index."""
    folder = Path(mkdtemp(dir=servers))
    python = folder / ".venv" / "bin" / "python"
    run(sys.executable, "-m", "venv", "--without-pip", folder / ".venv", cwd=folder)
    lock = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(line.removesuffix("\\") for line in lock if not line.startswith(" ")), "utf-8")
    pip = (sys.executable, "-m", "pip", "--python", python)
    run(*pip, "install", "--only-binary=:all:", "--constraint", constraints, wheels["tracelink-otel"], cwd=folder)
    return Environment(python, folder)


LISTED = """
from importlib.metadata import distributions, packages_distributions
print(*{found.name.lower() for found in distributions()}, *packages_distributions())
"""
IMPORTED = """
import pkgutil, sys, tracelink
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
for module in pkgutil.walk_packages(tracelink.__path__, "tracelink."):
    __import__(module.name)
"""
SHOP = """
import logging, tracelink
tracelink.setup("shop", log_level="INFO")
from opentelemetry import trace
with trace.get_tracer("shop").start_as_current_span("order"):
    logging.info("an order")
"""


def test_the_sdk_brings_nothing_of_the_pipeline_and_all_that_it_imports(service: Environment) -> None:
    found = set(service.run(LISTED).split())
    assert {"tracelink-otel", "tracelink", "confluent-kafka"} <= found
    assert found.isdisjoint({"faust", "faust-streaming", "mode", "aiokafka", "elasticsearch", "click", "rich", *STAGES})
    service.run(IMPORTED)


def test_a_service_with_the_sdk_alone_publishes(service: Environment, stack: Endpoints, topic_prefix: str) -> None:
    create(stack.kafka, topic_prefix)
    service.run(SHOP, TRACELINK_KAFKA_BOOTSTRAP_SERVERS=stack.kafka, TRACELINK_TOPIC_PREFIX=topic_prefix)
    messages = read(settings(stack.kafka, topic_prefix))
    (span,) = (SPAN.decode(message.value) for message in messages if message.kind == SPANS)
    (line,) = (LOG_RECORD.decode(message.value) for message in messages if message.kind == LOGS)
    assert (span["name"], line["message"], line["service"]) == ("order", "an order", "shop")
    assert line["traceId"] == span["traceId"]
