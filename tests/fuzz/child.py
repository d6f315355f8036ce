"""Fuzzes one target in a process of its own, for libFuzzer never returns: the target's name, libFuzzer's arguments."""

import sys
from random import Random

import atheris

with atheris.instrument_imports(include=["pipeline", "producers", "tracelink"]):
    from tests.fuzz.targets import TARGETS

_REPEATED = 0.02
"""The share of inputs in which a piece is repeated many times, to show what takes time by the square of the input."""
_LONGEST_PIECE = 40
_GROWTH = 64


def _mutated(data: bytes, max_size: int, seed: int) -> bytes:
    chance = Random(seed)
    if data and chance.random() < _REPEATED:
        at = chance.randrange(len(data))
        piece = data[at : at + chance.randint(1, _LONGEST_PIECE)]
        times = chance.randint(1, max(1, (max_size - len(data)) // len(piece)))
        return (data[:at] + piece * times + data[at:])[:max_size]
    mutated: bytes = atheris.Mutate(data, min(max_size, len(data) + _GROWTH))
    return mutated


if __name__ == "__main__":
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name], custom_mutator=_mutated)
    atheris.Fuzz()
