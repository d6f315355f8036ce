"""OpenTelemetry's own exporters of OTLP, one for spans and one for log records."""

import grpc
import opentelemetry.exporter.otlp.proto.grpc._log_exporter as grpc_logs
import opentelemetry.exporter.otlp.proto.grpc.trace_exporter as grpc_spans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs.export import LogRecordExporter
from opentelemetry.sdk.trace.export import SpanExporter

Exporters = tuple[SpanExporter, LogRecordExporter]


def over_http(url: str, compression: Compression | None = None) -> Exporters:
    return (
        OTLPSpanExporter(f"{url}/v1/traces", compression=compression),
        OTLPLogExporter(f"{url}/v1/logs", compression=compression),
    )


def over_grpc(address: str, compression: grpc.Compression | None = None) -> Exporters:
    return (
        grpc_spans.OTLPSpanExporter(address, insecure=True, compression=compression),
        grpc_logs.OTLPLogExporter(address, insecure=True, compression=compression),
    )
