"""Tags that many records share: they are encoded once, and each record's message has them as a block of its own."""

from functools import cached_property
from itertools import islice

from tracelink.model.avro import map_block

# To see that fewer are unchanged takes longer than to encode them.
_WORTH_A_BLOCK = 8


class SharedTags(dict[str, str]):
    """The tags that all records of one resource and one scope share; nobody may change them."""

    @cached_property
    def block(self) -> bytes:
        """The tags as a block of an Avro map."""
        return map_block(len(self), self.items())

    @cached_property
    def for_logs(self) -> "SharedTags":
        """The tags of log records, which have the scope's name in the field `logger`."""
        return SharedTags({name: value for name, value in self.items() if name != "otel.scope.name"})

    def for_record(self) -> dict[str, str]:
        """Return a copy for a record, to which its own tags are added."""
        if len(self) < _WORTH_A_BLOCK:
            return self.copy()
        tags = Tags(self)
        tags.shared = self
        return tags


class Tags(dict[str, str]):
    """The tags of a record, which begin with a copy of the shared ones."""

    __slots__ = ("shared",)
    shared: SharedTags

    def shared_first(self) -> SharedTags | None:
        """Return the shared tags if the first ones are still these, None if any of them was changed or removed."""
        shared = self.shared
        unchanged = shared.items() <= self.items() and shared.keys().isdisjoint(islice(self, len(shared), None))
        return shared if unchanged else None
