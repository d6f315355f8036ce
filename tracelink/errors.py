"""The words for what goes wrong: a user's mistake, a record that is none, a target that is away."""

from enum import StrEnum


class UserError(Exception):
    """A mistake or a missing thing that the user can mend; a command shows it without a traceback.

    The message says what is wrong, with which setting, and what to do.
    """

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Reason(StrEnum):
    """Why a record became a dead letter: the value of its header, and the label of its metric."""

    KEY = "key"
    """The message key is no trace id: 32 lower-case hex characters, not all zero."""
    FRAME = "frame"
    """The value does not start as Avro single-object encoding does."""
    SCHEMA = "schema"
    """The frame names a schema that this version does not know."""
    SIZE = "size"
    """The value is too short to hold a record."""
    MISMATCH = "mismatch"
    """The trace id in the body is not the key."""
    BODY = "body"
    """The body does not decode under its schema."""
    REFUSED = "refused"
    """The sink's target answered that it will never take this record."""


class InvalidRecord(Exception):
    """A record that can never be written: it goes to the dead letters, and the rest goes on."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail


class Unavailable(Exception):
    """A target that does not answer or is overloaded: the same batch is tried again until it does."""
