"""The result of decoding a request."""

from collections import Counter
from typing import Generic, NamedTuple, TypeVar

from pipeline.formats.invalid_input import InvalidInput

R = TypeVar("R")


class Decoded(NamedTuple, Generic[R]):
    """The records of a request, and what was wrong with the others."""

    records: list[R]
    """Spans or log records, in the order of the request."""
    invalid: list[InvalidInput]
    """One for each refused record, with its place ("[3]") in its detail."""
    notes: Counter[str]
    """How many things were repaired, by a short name: "invalid UTF-8"."""


class TooManyRecords(Exception):
    """A request with more records, or larger ones, than allowed."""
