"""librdkafka writes to standard error, past our log, from every client that is made without a logger."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[4]
_PRODUCT = ("tracelink", "pipeline", "producers", "streams", "sinks")
_CLIENTS = {"Consumer", "Producer", "AdminClient"}


def clients(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
            if called in _CLIENTS:
                yield node


@pytest.mark.parametrize("package", _PRODUCT)
def test_every_client_of_kafka_has_our_log(package: str) -> None:
    made = [(path, call) for path in sorted((_ROOT / package).rglob("*.py")) for call in clients(path)]
    assert made
    silent = [
        f"{path.relative_to(_ROOT)}:{call.lineno}"
        for path, call in made
        if not any(one.arg == "logger" and ast.unparse(one.value) == "client_log(__name__)" for one in call.keywords)
    ]
    assert silent == []
