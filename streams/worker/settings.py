"""The settings of a worker."""

import socket

from pydantic import Field

from pipeline.settings import WatchedSettings
from tracelink.settings import KafkaSettings


class MemberSettings(WatchedSettings, KafkaSettings):
    """Settings of a worker's group membership."""

    title = "The workers: the join, `tracelink alerts` and `tracelink trends`"

    session_timeout: float = Field(
        10.0, gt=0, description="Seconds without a heartbeat after which other workers get a worker's partitions."
    )


class WorkerSettings(MemberSettings):
    """Settings of a transactional worker."""

    title = "The transactional workers: the join and `tracelink alerts`"

    instance_id: str = Field(
        default_factory=socket.gethostname,
        description="Name of this worker: unique in its group, and the same after a restart. The default is the host "
        "name.",
    )
    transaction_timeout: float = Field(
        10.0, gt=0, description="Seconds after which the broker aborts a dead worker's transaction."
    )
