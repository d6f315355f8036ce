"""Records from files: Zipkin v2 JSON spans, and JSON log lines."""
