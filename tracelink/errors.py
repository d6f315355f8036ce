"""The errors that all rooms share: a user's mistake, an invalid record, an unavailable target."""

from enum import StrEnum


class UserError(Exception):
    """A problem that the user can fix; a command shows it without a traceback.

    The message says what is wrong, with which setting, and what to do.
    """

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Reason(StrEnum):
    """The reason why a record became a dead letter: the value of its header and the label of its metric."""

    KEY = "key"
    """The message key is not a trace id (32 lower-case hex characters, not all zero)."""
    FRAME = "frame"
    """The value does not start with the marker of Avro's single-object encoding."""
    SCHEMA = "schema"
    """The frame names a schema that this version does not know."""
    SIZE = "size"
    """The value is too short to hold a record."""
    MISMATCH = "mismatch"
    """The trace id in the body differs from the key."""
    BODY = "body"
    """The body does not decode under its schema."""
    REFUSED = "refused"
    """The sink's target rejected this record, and no repeat can help."""


class InvalidRecord(Exception):
    """A record that can never be written: it becomes a dead letter, and processing continues."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail


class Unavailable(Exception):
    """The target does not answer or is overloaded: the same batch is sent again until it succeeds."""
