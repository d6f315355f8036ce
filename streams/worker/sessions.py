"""A worker's memberships of its group, one after the other."""

import logging
import time
from collections.abc import Callable
from threading import Event

from confluent_kafka import KafkaError, KafkaException

from streams.worker.settings import WorkerSettings
from tracelink.errors import UserError
from tracelink.kafka.errors import PASSING

_log = logging.getLogger(__name__)

_FENCE_SECONDS = 60.0


class Stopped(Exception):
    """The worker was told to stop while it waited for Kafka."""


def run_sessions(
    session: Callable[[], None],
    cause_of: Callable[[KafkaException], KafkaError],
    settings: WorkerSettings,
    group: str,
    stopping: Event,
) -> None:
    """Be a member of the group, session after session, until told to stop; raises where the worker cannot go on.

    A fence may come from a second worker of the same name, and as well from a broker that was away for longer than a
    time-out. Other fatal errors leave it open whether a transaction has committed. So the first one is answered by
    joining the group anew, with nothing kept: what the group has committed tells. One soon after is final.
    """
    last_fence = -_FENCE_SECONDS
    while not stopping.is_set():
        try:
            session()
        except Stopped:
            return
        except KafkaException as error:
            cause = cause_of(error)
            if stopping.is_set() and (cause.retriable() or cause.code() in PASSING):
                return  # the brokers are away: what is not committed is the next worker's
            fenced = "fenced" in cause.str().lower()
            if not (fenced or cause.fatal()):
                raise KafkaException(cause) from error
            if time.monotonic() - last_fence < _FENCE_SECONDS:
                raise (_taken_over(settings, group) if fenced else _ended(cause)) from error
            last_fence = time.monotonic()
            _log.warning("%s (%s): joining the group anew", "fenced" if fenced else "cannot go on", cause.str())


def retention_has_passed(topic: str, number: int, why: KafkaError, group: str) -> UserError:
    """Return what to say where a topic no longer has what the group still needs."""
    return UserError(
        f"{topic}[{number}] no longer has the records that the group {group} still needs ({why.str()}): retention has "
        "passed them, they are lost. To go on with the oldest that are left, reset the group: "
        f"kafka-consumer-groups.sh --group {group} --reset-offsets --to-earliest --topic {topic}:{number} --execute"
    )


def _ended(cause: KafkaError) -> UserError:
    return UserError(
        f"Kafka has ended this worker's transactions again and again: {cause.str()}. Look at the brokers, and start it "
        "again: it begins where its group has committed."
    )


def _taken_over(settings: WorkerSettings, group: str) -> UserError:
    return UserError(
        f"The instance id {settings.instance_id!r} of the group {group} was taken from this worker again and again. If "
        "another worker has it too, give each its own --instance-id (TRACELINK_INSTANCE_ID); if this one is held up "
        "for seconds at a time, raise --session-timeout and --transaction-timeout."
    )
