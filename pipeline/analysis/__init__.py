"""Analysis of spans and log lines: span tree, root cause span, redaction of secrets. Pure."""
