"""Measurements of the product beside its peers, on real servers: `python -m benchmarks --help`."""
