"""The OpenTelemetry Collector with groupbytrace: the builder's manifest, the configuration, and the build."""
