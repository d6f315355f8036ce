"""Linking traces and logs on Kafka."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracelink.otel.setup import Telemetry

__all__ = ["setup"]


def setup(service: str, *, log_level: int | str | None = None, **settings: object) -> "Telemetry":
    """Make this process publish its traces and logs: one call at its start; see `tracelink.otel.setup.setup`.

    `settings` are those of `PublisherSettings`, stronger than the environment's. Raises UserError.
    """
    from tracelink.otel.setup import setup as set_up  # noqa: PLC0415 - `import tracelink` must not load OpenTelemetry

    return set_up(service, log_level=log_level, **settings)
