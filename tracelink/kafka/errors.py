"""librdkafka's errors under names that may be used, and what each of them means for who reads."""

from enum import Enum, auto

from confluent_kafka import KafkaError, KafkaException

ASSIGNMENT_LOST = KafkaError._ASSIGNMENT_LOST
AUTHENTICATION = KafkaError._AUTHENTICATION
FATAL = KafkaError._FATAL
FENCED = KafkaError._FENCED
INVALID_ARG = KafkaError._INVALID_ARG
LEADER_NOT_AVAILABLE = KafkaError.LEADER_NOT_AVAILABLE
NO_ENTRY = KafkaError._NOENT
OFFSET_GONE = KafkaError._AUTO_OFFSET_RESET
PARTITION_EOF = KafkaError._PARTITION_EOF
RESOLVE = KafkaError._RESOLVE
SSL = KafkaError._SSL
STATE = KafkaError._STATE

PASSING = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._MAX_POLL_EXCEEDED,
        KafkaError._RESOLVE,
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError._WAIT_COORD,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
    }
)
"""Errors that pass by themselves: librdkafka goes on after them, and a call may be repeated."""


class Kind(Enum):
    """What an error among the messages of a consumer means."""

    END = auto()
    """No error: the end of a partition, at the offset of the message."""
    GONE = auto()
    """The offset to read from is no more: retention has passed it."""
    TRANSIENT = auto()
    """It passes by itself, and the client goes on."""
    FATAL = auto()
    """The client cannot go on with that partition."""


def classify(error: KafkaError) -> Kind:
    """Return what an error among the messages of a consumer means."""
    if error.code() == PARTITION_EOF:
        return Kind.END
    if error.code() == OFFSET_GONE:
        return Kind.GONE
    return Kind.TRANSIENT if passes(error) else Kind.FATAL


def passes(error: KafkaError) -> bool:
    """Tell whether an error passes by itself."""
    return not error.fatal() and (error.retriable() or error.code() in PASSING)


def may_pass(error: BaseException) -> bool:
    """Tell whether a call that has failed like this may be repeated."""
    return isinstance(error, KafkaException) and passes(error.args[0])
