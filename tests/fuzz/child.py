"""Fuzzes one target in a process of its own, for libFuzzer never returns: the target's name, libFuzzer's arguments."""

import sys

import atheris

with atheris.instrument_imports(include=["pipeline", "producers", "tracelink"]):
    from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()
