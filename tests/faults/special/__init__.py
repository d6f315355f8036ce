"""Scenarios that set up a world of their own, instead of a run with others."""
