"""The files that the tests of the deployment read."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE_FILE = ROOT / "docker-compose.yml"
DOCKERFILE = DEPLOY / "Dockerfile"


def read_yaml(path: Path) -> Any:  # noqa: ANN401 - a document of any shape
    return yaml.safe_load(path.read_text("utf-8"))


@cache
def compose() -> dict[str, Any]:
    """Return the Compose file, which no test may change."""
    document: dict[str, Any] = read_yaml(COMPOSE_FILE)
    return document


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def own_services() -> dict[str, dict[str, Any]]:
    return {name: service for name, service in services().items() if "build" in service}


def instructions(word: str) -> list[str]:
    """List what follows a word in the Dockerfile, with continued lines joined."""
    lines = DOCKERFILE.read_text("utf-8").replace("\\\n", " ").splitlines()
    return [line.removeprefix(word).strip() for line in lines if line.startswith(f"{word} ")]


def image_environment() -> dict[str, str]:
    pairs = [pair.split("=", 1) for line in instructions("ENV") for pair in line.split()]
    return {name: value for name, value in pairs if name.startswith("TRACELINK_")}
