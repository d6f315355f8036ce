"""Records from and to JSON: Zipkin v2 spans, and log lines. Pure."""
