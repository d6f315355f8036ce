"""Inputs that fuzzing has found, and some to begin with: each keeps the promises of its target."""

import tracemalloc
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

_INPUTS = sorted((Path(__file__).parent / "corpus").glob("*/*"))
_BASE_BYTES = 4 * 1024 * 1024
_MOST_TIMES = 100


def test_every_target_has_inputs() -> None:
    assert {one.parent.name for one in _INPUTS} == set(TARGETS)


@pytest.mark.parametrize("file", _INPUTS, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_an_input_keeps_the_promises_and_takes_memory_by_its_length(file: Path) -> None:
    data = file.read_bytes()
    tracemalloc.start()
    try:
        TARGETS[file.parent.name](data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < _BASE_BYTES + _MOST_TIMES * len(data)
