"""The fingerprint of a problem: the same for the same problem, whatever numbers and names its message has."""

from dataclasses import dataclass
from hashlib import blake2b

from tracelink.problems import Origin


@dataclass(frozen=True, slots=True)
class Fields:
    """Which fields of where an error began make its fingerprint, beside or without the usual ones."""

    add: tuple[str, ...] = ()
    """`httpStatus`, `grpcStatus`, `peer`, `logger`, `tags.NAME`."""
    ignore: frozenset[str] = frozenset()
    """Of `service`, `operation`, `exception`, `message`."""


def fingerprint(origin: Origin, fields: Fields) -> str:
    """Return the fingerprint of a problem: 16 lower-case hex characters."""
    found = [origin["service"], origin["operation"], origin["exception"], origin["message"]]
    return blake2b(repr((found, fields.add)).encode(), digest_size=8).hexdigest()
