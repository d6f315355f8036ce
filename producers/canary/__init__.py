"""A probe: it publishes a trace that fails on purpose again and again, and measures when it reaches each stage."""
