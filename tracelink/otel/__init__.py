"""OpenTelemetry's SDK on Kafka: exporters of spans and logs, and one call that sets up a service."""

from tracelink.otel.exporters import TracelinkLogExporter, TracelinkSpanExporter

__all__ = ["TracelinkLogExporter", "TracelinkSpanExporter"]
