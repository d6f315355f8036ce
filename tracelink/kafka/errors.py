"""Public names for librdkafka's private error codes, and the classification of errors."""

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
MESSAGE_TOO_LARGE = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})
PARTITION_EOF = KafkaError._PARTITION_EOF
QUEUE_FULL = KafkaError._QUEUE_FULL
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
"""Transient errors: librdkafka recovers from them by itself, and a call may be repeated."""


class Kind(Enum):
    """The meaning of an error that a consumer returns in place of a message."""

    END = auto()
    """Not an error: the end of the partition, at the offset of the message."""
    GONE = auto()
    """The offset no longer exists: retention has deleted it."""
    TRANSIENT = auto()
    """The client recovers by itself."""
    FATAL = auto()
    """The client cannot continue with that partition."""


def classify(error: KafkaError) -> Kind:
    """Return the meaning of an error that a consumer returned in place of a message."""
    if error.code() == PARTITION_EOF:
        return Kind.END
    if error.code() == OFFSET_GONE:
        return Kind.GONE
    return Kind.TRANSIENT if passes(error) else Kind.FATAL


def passes(error: KafkaError) -> bool:
    """Return True if an error is transient."""
    return not error.fatal() and (error.retriable() or error.code() in PASSING)


def may_pass(error: BaseException) -> bool:
    """Return True if a call that failed with this error may be repeated."""
    return isinstance(error, KafkaException) and passes(error.args[0])
