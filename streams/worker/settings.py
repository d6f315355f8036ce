"""The settings of a worker."""

import socket

from pydantic import Field

from pipeline.settings import WatchedSettings
from tracelink.settings import KafkaSettings


class WorkerSettings(WatchedSettings, KafkaSettings):
    """A worker as a member of its group, and its transactions."""

    title = "The workers: the join and `tracelink alerts`"

    instance_id: str = Field(
        default_factory=socket.gethostname,
        description="Name of this worker, the same after a restart and unlike any other's in the group; by default the "
        "host's name.",
    )
    session_timeout: float = Field(
        10.0, gt=0, description="Seconds without a heartbeat after which a worker's partitions go to others."
    )
    transaction_timeout: float = Field(
        10.0, gt=0, description="Seconds after which the broker aborts a dead worker's transaction."
    )
