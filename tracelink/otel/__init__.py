"""OpenTelemetry SDK to Kafka: exporters of spans and logs, and `setup` for a whole service."""

from tracelink.otel.exporters import TracelinkLogExporter, TracelinkSpanExporter

__all__ = ["TracelinkLogExporter", "TracelinkSpanExporter"]
