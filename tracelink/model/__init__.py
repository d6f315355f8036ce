"""Spans, log records and traces, and their Avro encoding (`schemas/`)."""
