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

_SOON_SECONDS = 60.0


class Stopped(Exception):
    """The worker was told to stop while it waited for Kafka."""


def run_sessions(
    session: Callable[[], None],
    settings: WorkerSettings,
    group: str,
    stopping: Event,
    *,
    cause_of: Callable[[KafkaException], KafkaError],
    has_rival: Callable[[], bool],
    commits: Callable[[], int],
) -> None:
    """Be a member of the group, session after session, until told to stop; raises where the worker cannot go on.

    A fence may come from a second worker of the same name, and as well from a broker that was away for longer than a
    time-out, or from a machine that was. Other fatal errors leave it open whether a transaction has committed. So the
    first one is answered by joining the group again, with nothing kept: what the group has committed tells. One soon
    after is final where the group knows a second worker of this name (`has_rival`); one that is no fence, where the
    worker has committed nothing since (`commits` counts them).
    """
    last_end, last_commits = -_SOON_SECONDS, 0
    while not stopping.is_set():
        try:
            session()
        except Stopped:
            return
        except KafkaException as error:
            cause = cause_of(error)
            fenced = "fenced" in cause.str().lower()
            if stopping.is_set() and (fenced or cause.fatal() or cause.retriable() or cause.code() in PASSING):
                _log.info("Stopped; what was not committed is the next worker's: %s", cause.str())
                return
            if not (fenced or cause.fatal()):
                raise KafkaException(cause) from error
            if time.monotonic() - last_end < _SOON_SECONDS:
                if fenced and has_rival():
                    raise _taken_over(settings, group) from error
                if not fenced and commits() == last_commits:
                    raise _ended(cause) from error
            last_end, last_commits = time.monotonic(), commits()
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
        f"Another worker has the instance id {settings.instance_id!r} of the group {group}, too, and takes it from "
        "this one again and again. Give each its own --instance-id (TRACELINK_INSTANCE_ID)."
    )
