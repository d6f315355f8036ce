"""Redaction: secrets in texts are replaced by `[redacted]`, the text around them stays.

Every log line and tag passes through here, so an ordinary line must cost only about a microsecond.
"""

import fnmatch
import re
from collections.abc import Callable, Iterable
from enum import Enum, auto

from pipeline.analysis.card_numbers import is_id, names_an_id
from pipeline.analysis.json_fields import mask_json_fields
from pipeline.analysis.secret_patterns import (
    MARK,
    NAME_END,
    PASSWORDS,
    TOKENS,
    cards,
    counts,
    emails,
    passwords,
    tokens,
)

KINDS = ("password", "token", "email", "card")

_SHORTEST = 5  # `pwd=x`
_ROUNDS = 8
_REMEMBERED_LENGTH = 64
_REMEMBERED = 20_000
# A second value of a name has an apostrophe, and perhaps a number.
_APOSTROPHES = r"(?:'+\d*)?"
_END_OF_GLOB = r"\Z"  # or \z, in newer versions of Python
_LONGEST_NAME = 256
"""Characters; a longer name would take too long to compare, and counts as one of the user's."""


class _Named(Enum):
    """The kind of value under a name: a secret, several secrets or their number, an id, or anything else."""

    OTHER = auto()
    SECRET = auto()
    SECRETS = auto()
    ID = auto()


class Redactor:
    """Replaces secrets in texts by `[redacted]`. Thread-safe."""

    def __init__(
        self, kinds: Iterable[str] = KINDS, patterns: Iterable[str] = (), own_names: Iterable[str] = ()
    ) -> None:
        """`kinds` are some of KINDS, `patterns` are regular expressions. Raises ValueError or re.error if invalid.

        `own_names` are names of tags, fields and members of JSON, in any case, whose whole values are secrets; `*`
        stands for any characters. Dots are levels: `user` is `order.user` and `user.id`, too.
        """
        chosen = list(kinds)
        if unknown := [kind for kind in chosen if kind not in KINDS]:
            raise ValueError(f"{unknown[0]!r} is not one of {', '.join(KINDS)}")
        steps: dict[str, Callable[[str, str], str]] = {
            "password": passwords,
            "token": tokens,
            "email": emails,
            "card": cards,
        }
        self._steps = [steps[kind] for kind in KINDS if kind in chosen]
        self._patterns = [compiled(pattern) for pattern in patterns]
        names = [PASSWORDS] * ("password" in chosen) + [TOKENS] * ("token" in chosen)
        ending = f"(?:{'|'.join(names)}){NAME_END}{_APOSTROPHES}$"
        self._secret_name = re.compile(ending, re.IGNORECASE | re.ASCII) if names else None
        globs = "|".join(fnmatch.translate(name)[: -len(_END_OF_GLOB)] for name in own_names)
        own = rf"(?:.*\.)?(?:{globs}){_APOSTROPHES}(?:\..*)?"
        self._own_name = re.compile(own, re.IGNORECASE | re.DOTALL).fullmatch if globs else None
        self._shortest = 0 if self._patterns else _SHORTEST
        # Caches, because names and short texts repeat: the kind of each name, and the redacted form of each text.
        self._names: dict[str, _Named] = {}
        self._texts: dict[str, str] = {}

    def redact(self, text: str) -> str:
        """Return the text with its secrets replaced; the same object if it has none. Idempotent."""
        if len(text) > _REMEMBERED_LENGTH:
            return self._redact(text)
        found = self._texts.get(text)
        if found is None:
            found = self._redact(text)
            if len(self._texts) >= _REMEMBERED:
                self._texts.clear()
            self._texts[text] = found
        return text if found == text else found

    __call__ = redact

    def redact_map(self, texts: dict[str, str]) -> dict[str, str]:
        """Return a map with redacted names and values; under names like `password` or `cookie` the whole value is.

        Returns the same object if there are no secrets.
        """
        changed = False
        found: dict[str, str] = {}
        times: dict[str, int] = {}
        for name, value in texts.items():
            named = self._names.get(name)
            shown_name = name if named is not None else self.redact(name)
            if named is None:
                named = self._learn(name, shown_name)
            if named is _Named.OTHER:
                shown = self.redact(value)
            elif named is _Named.ID and value.isdecimal() and not self._patterns:
                shown = value
            else:
                shown = self._redact_named(named, value)
            if shown is not value or shown_name is not name:
                changed = True
            base = shown_name
            while shown_name in found:  # names that differ only in their secrets
                times[base] = times.get(base, 0) + 1
                shown_name = f"{base}'{times[base] if times[base] > 1 else ''}"
            found[shown_name] = shown
        return found if changed else texts

    def _redact_named(self, named: _Named, value: str) -> str:
        if named is _Named.ID:
            shown = self.redact(value)
            # No other kind of secret is a bare number, except those of the user's patterns.
            return self._match(value) if shown is not value and is_id(value) else shown
        secret = named is _Named.SECRET or not counts(value)
        return MARK if secret and value else self.redact(value)

    def _learn(self, name: str, shown: str) -> _Named:
        """Return the kind of value under a name; cache it if the name itself holds no secret."""
        match = self._secret_name.search(name) if self._secret_name is not None else None
        if self._is_own(name):
            named = _Named.SECRET
        elif match is None:
            named = _Named.ID if names_an_id(name) else _Named.OTHER
        else:
            named = _Named.SECRETS if match[1] else _Named.SECRET
        if shown is name and len(name) <= _REMEMBERED_LENGTH:
            if len(self._names) >= _REMEMBERED:
                self._names.clear()
            self._names[name] = named
        return named

    def _is_own(self, name: str) -> bool:
        return self._own_name is not None and (len(name) > _LONGEST_NAME or self._own_name(name) is not None)

    def _redact(self, text: str) -> str:
        if len(text) < self._shortest:
            return text
        # A replacement may join texts that then look like a secret: repeat until nothing is found.
        for _ in range(_ROUNDS):
            found = text
            lower = text.lower()
            for step in self._steps:
                found = step(found, lower)
            if self._own_name is not None:
                found = mask_json_fields(self._is_own, found)
            if self._patterns:
                found = self._match(found)
            if found is text or found == text:
                return text
            text = found
        return text

    def _match(self, text: str) -> str:
        for pattern in self._patterns:
            # Not within marks: they would grow.
            text = MARK.join([pattern.sub(_whole, piece) for piece in text.split(MARK)])
        return text


def compiled(pattern: str) -> re.Pattern[str]:
    """Compile a user's pattern; raises re.error, or ValueError if it matches the empty text."""
    found = re.compile(pattern)
    if found.search(""):
        raise ValueError("the pattern matches the empty text, and so everywhere")
    return found


def _whole(match: re.Match[str]) -> str:
    return MARK if match[0] else ""
