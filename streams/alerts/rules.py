"""Alert rules: an operator's settings for matching problems."""

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import translate
from functools import lru_cache
from pathlib import Path
from typing import Self

from pipeline.model.problems import RootCause
from streams.alerts.fingerprint import TAG_PREFIX, Fields
from streams.alerts.rule import DEFAULTS, Rule, Threshold
from streams.alerts.rules_format import RulesTable, RuleTable, Wrong, parse
from tracelink.errors import UserError

_REMEMBERED = 4096
_log = logging.getLogger(__name__)
Conditions = Mapping[str, tuple[str, ...]]
"""Patterns by field, one of which must match: a field of the root cause, `fingerprint`, `status`, `tags.NAME`."""
Values = tuple[str | None, ...]


class Rules:
    """The rules of a file, in its order; the first that matches applies.

    Patterns are those of `fnmatch.fnmatchcase`: `*`, `?`, `[abc]`, `[!abc]`, case-sensitive. A pattern must match the
    whole value; no pattern matches a missing field.
    """

    def __init__(self, fingerprint: Fields | None = None, rules: Iterable[tuple[Conditions, Rule]] = ()) -> None:
        self.fingerprint = fingerprint or Fields()
        listed = [(dict(conditions), rule) for conditions, rule in rules]
        self._rules = tuple(rule for _, rule in listed)
        self._fields = sorted({name for conditions, _ in listed for name in conditions})
        self._getters = [_getter(name) for name in self._fields]
        self._matchers = [
            ([(self._fields.index(name), _compiled(patterns)) for name, patterns in conditions.items()], rule)
            for conditions, rule in listed
        ]
        # Most occurrences belong to a few problems.
        self._holding = lru_cache(maxsize=_REMEMBERED)(self._find)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a rules file (TOML); raises UserError with file, line, key and remedy of each mistake."""
        return cls.parse(_read(path), path)

    @classmethod
    def parse(cls, content: bytes, path: Path) -> Self:
        """Parse the content of a rules file; raises UserError as `load` does."""
        try:
            # Some editors write a byte order mark.
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise UserError(f"{path}:{line}: is not UTF-8: save the file in that encoding.") from None
        try:
            found = parse(text)
        except Wrong as wrong:
            raise UserError("\n".join(f"{path}:{line}" for line in wrong.lines)) from None
        return cls(_fields(found), [(table.match.conditions(), _rule(table)) for table in found.rule])

    def __len__(self) -> int:
        return len(self._rules)

    def match(self, origin: RootCause, fingerprint: str) -> Rule:
        """Return the rule for a problem; the defaults if no rule matches."""
        if not self._rules:
            return DEFAULTS
        return self._holding(tuple([get(origin, fingerprint) for get in self._getters]))

    def _find(self, values: tuple[Values, ...]) -> Rule:
        for conditions, rule in self._matchers:
            if all(any(value is not None and fits(value) for value in values[at]) for at, fits in conditions):
                return rule
        return DEFAULTS


class RulesFile:
    """The last valid rules of a file; no rules without a file.

    Raises UserError if the file is invalid at the start.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._content = b"" if path is None else self._read(path)
        self.rules = Rules() if path is None else Rules.parse(self._content, path)
        self.error: str | None = None
        """The error in the file; None if `rules` are its current content."""

    def refresh(self) -> bool:
        """Read the file again; returns True if the rules have changed. Call it about once a second.

        An invalid or missing file is logged once, and the previous rules stay in effect.
        """
        if self._path is None:
            return False
        try:
            # The content is compared, because time and size can miss a change: two saves within a tick of the disk's
            # clock, or a symbolic link that Kubernetes swaps. The file is small.
            content = self._read(self._path)
            if content == self._content:
                return self._is_right(changed=False)
            rules = Rules.parse(content, self._path)
        except UserError as error:
            self._is_wrong(error.message)
            return False
        self._content, self.rules = content, rules
        return self._is_right(changed=True)

    @staticmethod
    def _read(path: Path) -> bytes:
        try:
            return _read(path)
        except UserError as error:
            raise UserError(f"TRACELINK_RULES_FILE (--rules-file): {error.message}") from None

    def _is_right(self, *, changed: bool) -> bool:
        if changed or self.error:
            _log.info("the rules in %s are in effect: %d", self._path, len(self.rules))
        self.error = None
        return changed

    def _is_wrong(self, error: str) -> None:
        if error != self.error:
            _log.error("%s (the previous rules stay in effect)", error.replace("\n", "; "))
        self.error = error


def _getter(name: str) -> Callable[[RootCause, str], Values]:
    """Return a function that returns the values of a field; one of them must match."""
    if name == "fingerprint":
        return lambda _, fingerprint: (fingerprint,)
    if name == "status":
        return lambda origin, _: (origin["httpStatus"], origin["grpcStatus"])
    if name.startswith(TAG_PREFIX):
        tag = name.removeprefix(TAG_PREFIX)
        return lambda origin, _: (origin["tags"].get(tag),)
    return _PLAIN[name]


_PLAIN: dict[str, Callable[[RootCause, str], Values]] = {
    "service": lambda origin, _: (origin["service"],),
    "operation": lambda origin, _: (origin["operation"],),
    "exception": lambda origin, _: (origin["exception"],),
    "logger": lambda origin, _: (origin["logger"],),
}


def _compiled(patterns: Iterable[str]) -> Callable[[str], object]:
    return re.compile("|".join(map(translate, patterns))).match


def _fields(found: RulesTable) -> Fields:
    return Fields(tuple(found.fingerprint.add), frozenset(found.fingerprint.ignore))


def _rule(table: RuleTable) -> Rule:
    return Rule(
        table.name,
        table.severity,
        Threshold(table.threshold.count, table.threshold.window) if table.threshold else None,
        table.labels,
        table.runbook,
        table.mute.until if table.mute else None,
    )


def _read(path: Path) -> bytes:
    """Return the content of a rules file; raises UserError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"Cannot read the rules in {path}: {error.strerror}.") from None
