"""Fuzzing of what decodes requests: `python -m tests.fuzz`. The inputs of `corpus/` are tests, too."""
