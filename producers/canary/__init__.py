"""`tracelink canary`: publishes probes, traces that fail on purpose, and measures their time to each stage."""
