"""Upper bounds of histogram buckets, in seconds."""

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""For operations of a process: a request, a transaction."""
FRESHNESS = (0.5, 1, 2.5, 5, 7.5, 10, 15, 30, 60, 120, 300, 900, 3600)
"""For delays from end to end through the pipeline."""
