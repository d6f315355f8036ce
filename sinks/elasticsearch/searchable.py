"""What a part is found by, besides its ids, services and times: names of operations, and tags with their values.

Both are made of redacted spans, and depend on which spans a part has, not on their order.
"""

import fnmatch
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from tracelink.model.records import Span

LONGEST = 256
"""Characters. A longer name or value is left out, not cut: a search for it would not find what is left of it."""
MOST_OPERATIONS = 256
"""The most operations of a part; those after them in the alphabet are left out."""
MOST_PAIRS = 64
"""The most pairs of a tag and a value of a part."""
_REMEMBERED = 10_000


def operations(spans: Sequence[Span]) -> list[str]:
    """Return the names of the spans, sorted, each once."""
    names = {name for span in spans if (name := span.get("name")) and len(name) <= LONGEST}
    return sorted(names)[:MOST_OPERATIONS]


class SearchedTags:
    """The tags with certain names. Thread-safe."""

    def __init__(self, names: Iterable[str]) -> None:
        """`names` are whole names of tags, in any case; `*` stands for any characters."""
        globs = "|".join(map(fnmatch.translate, names))
        matches = re.compile(globs, re.IGNORECASE).fullmatch
        # Elasticsearch has no name with NUL in a `flattened` field.
        self._has = lru_cache(_REMEMBERED)(lambda name: "\0" not in name and matches(name) is not None)
        self._any = bool(globs)

    def of(self, spans: Sequence[Span]) -> dict[str, list[str]]:
        """Return the values of each of these tags, sorted, each once.

        If there are too many pairs, each name has its first value before any has its second one, and so on: a tag with
        many values displaces no other.
        """
        if not self._any:
            return {}
        pairs: set[tuple[str, str]] = set()
        pairs.update(*[tags.items() for span in spans if (tags := span.get("tags"))])
        has = self._has
        kept = sorted(
            [(name, value) for name, value in pairs if len(value) <= LONGEST and len(name) <= LONGEST and has(name)]
        )
        found: dict[str, list[str]] = {}
        for name, value in kept:
            found.setdefault(name, []).append(value)
        return found if len(kept) <= MOST_PAIRS else _bounded(found)


def _bounded(found: dict[str, list[str]]) -> dict[str, list[str]]:
    places = sorted((place, name) for name, values in found.items() for place in range(min(len(values), MOST_PAIRS)))
    counts = Counter(name for _, name in places[:MOST_PAIRS])
    return {name: found[name][:count] for name, count in counts.items()}
