"""The SDK, a distribution of its own: a service imports it to publish its spans and log lines.

`setup` prepares a service in one call. `otel/` has the exporters, which map the spans and log lines of the
OpenTelemetry SDK to records. `publisher.py` writes the records to the topics `spans`, `logs` and `unlinked-logs`, and
never blocks the service. `testing.py` has a publisher that keeps the records in memory, for the tests of a service.

The other rooms use what the SDK shares with them: the records and the Avro schemas of all topics (`model/`), names of
topics, messages and Kafka clients (`kafka/`), settings and errors.

Start reading in `model/records.py`, then `publisher.py`, then `otel/setup.py`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracelink.otel.setup import Telemetry

__all__ = ["setup"]


def setup(service: str, *, log_level: int | str | None = None, **settings: object) -> "Telemetry":
    """Make this process publish its traces and logs: one call at its start; see `tracelink.otel.setup.setup`.

    `settings` are those of `PublisherSettings`; they override the environment. Raises UserError.
    """
    from tracelink.otel.setup import setup as set_up  # noqa: PLC0415 - `import tracelink` must not load OpenTelemetry

    return set_up(service, log_level=log_level, **settings)
