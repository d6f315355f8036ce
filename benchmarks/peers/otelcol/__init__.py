"""The OpenTelemetry Collector with what groups spans by trace: its builder's manifest, its settings, and the build."""
