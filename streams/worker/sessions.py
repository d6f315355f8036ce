"""The memberships of a worker in its group, one after the other."""

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
    """A stop was requested while the worker waited for Kafka."""


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
    """Run session after session until `stopping` is set; raises UserError or KafkaException if it cannot continue.

    A fence has several causes: a second worker with the same instance id, or a broker or machine that was down for
    longer than a time-out. After another fatal error it is unknown if the transaction committed. So the worker first
    joins the group again, without its state: the committed offsets and the journal show what was committed. An error
    within 60 s of the previous one is final: a fence if `has_rival` finds a second worker with this instance id,
    another error if the worker has committed nothing in between (`commits` counts its commits).
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
                _log.info("Stopped; the next owner of the partitions repeats uncommitted work: %s", cause.str())
                return
            if not (fenced or cause.fatal()):
                raise KafkaException(cause) from error
            if time.monotonic() - last_end < _SOON_SECONDS:
                if fenced and has_rival():
                    raise _taken_over(settings, group) from error
                if not fenced and commits() == last_commits:
                    raise _ended(cause) from error
            last_end, last_commits = time.monotonic(), commits()
            _log.warning("%s (%s): joining the group again", "fenced" if fenced else "cannot continue", cause.str())


def retention_has_passed(topic: str, number: int, why: KafkaError, group: str) -> UserError:
    """Return the error for a topic that no longer has records that the group still needs."""
    return UserError(
        f"{topic}[{number}] no longer has the records that the group {group} still needs ({why.str()}): retention has "
        "deleted them. To continue with the oldest remaining record, reset the group: "
        f"kafka-consumer-groups.sh --group {group} --reset-offsets --to-earliest --topic {topic}:{number} --execute"
    )


def _ended(cause: KafkaError) -> UserError:
    return UserError(
        f"Kafka has repeatedly ended this worker's transactions: {cause.str()}. Check the brokers, then start the "
        "worker again: it continues at the committed offsets."
    )


def _taken_over(settings: WorkerSettings, group: str) -> UserError:
    return UserError(
        f"Another worker has the instance id {settings.instance_id!r} in the group {group}, and repeatedly replaces "
        "this one. Give each worker its own --instance-id (TRACELINK_INSTANCE_ID)."
    )
