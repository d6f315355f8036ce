"""The header of a text line: the time, level, thread, logger and ids that a layout prints before the message.

It reads the patterns of Logback and log4j2, Spring Boot, JBoss, Python, loguru, gunicorn, Serilog, tracing, Postgres
and others as one grammar: items in any order, and a separator before the message. Items that may belong to the message
count only if a level, ids, or a logger with its separator follow.
"""

import re

from pipeline.formats.field_names import put
from pipeline.formats.line_ids import ID_PAIR, LEVELS, SPAN_CHARS, ids_of, is_hex, named_id

_ZONE = r"(?: ?(?:Z|[+-]\d\d:?\d\d)(?![\w:])| (?:UTC|GMT|CES?T|E[SD]T|C[SD]T|M[SD]T|P[SD]T|BST|IST|JST|MSK)(?![\w]))?+"
FRACTION = r"(?:[.,]\d{1,9})?+"
TIME = re.compile(
    rf"(?:\d{{4}}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d{FRACTION})?+{_ZONE}"
    rf"|\d{{4}}/\d\d/\d\d[ T]\d\d:\d\d:\d\d{FRACTION}{_ZONE}"
    rf"|\d\d:\d\d:\d\d{FRACTION}"
    rf"|\d\d?[-/ .](?:[A-Z][a-z]{{2}}|\d\d)[-/ .]\d{{4}}[ :]\d\d?:\d\d:\d\d{FRACTION}(?: [AP]M)?+{_ZONE}"
    rf"|[A-Z][a-z]{{2}} \d\d?, \d{{4}} \d\d?:\d\d:\d\d(?: [AP]M)?+"
    rf"|\d{{8}}[ T]\d\d:?\d\d:?\d\d{FRACTION}{_ZONE})(?![\w.])",
    re.ASCII,
)
"""A time as layouts print it; the names of its parts may be ambiguous, so it is not parsed here."""

BEGIN_IDS = frozenset("[tTsSoOdDxX")
"""The characters with which ids, or brackets around them, may begin."""
_MOST_ITEMS = 16
_LONGEST_BRACKET = 500
# A word and the separator behind it.
_CHARS = r"[^\s\[\](){}\"'=|,:]++"
_WORD = re.compile(rf"(?P<word>{_CHARS}(?::++{_CHARS})*+)(?P<end> ++(?:--?|:|\|)(?: ++|\Z)|: ++|:\Z)?+", re.ASCII)
_NAME = re.compile(r"[A-Za-z_$][\w$./#@+-]*+(?:::?[\w$.<>-]++)*+", re.ASCII)
_SEPARATOR = re.compile(r"(?:--?-?|\||:)(?=\s|\Z)")
_SOURCE = re.compile(r"[\w./\\$-]++:\d++", re.ASCII)
_PAIR = re.compile(r"(?P<name>[A-Za-z_@][\w.@/-]*+)=(?P<value>[^\s,;\"\]]*+)(?:[,;] ?| ++|\Z)", re.ASCII)
# The spans that tracing prints before the target: `request{method=GET}:charge: `.
_SPAN = re.compile(r"(?P<span>[\w.-]++(?:::[\w.-]++)*+\{[^{}]*+\}(?::[\w.-]++(?:\{[^{}]*+\})?+)*+): ", re.ASCII)
_ID_FOLLOWS = re.compile(r" ++(?:trace[._-]?id|tid)\b ?[:=]", re.ASCII | re.IGNORECASE)
_METHOD = re.compile(r"(?:[a-z]\w*+\.){2,}+[A-Z][\w$]*+(?:\.[\w$<>]++)?+(?= )", re.ASCII)
_EXCEPTIONS = ("Exception", "Error", "Failure", "Throwable")


def read_header(line: str, at: int, found: dict[str, str]) -> int:
    """Add the items of the header from `at` on to `found`; return where the message begins."""
    return _Header(line, at, found).read()


class _Header:
    """The state while the header of one line is read."""

    __slots__ = ("_at", "_boot", "_end", "_found", "_level", "_line", "_logger", "_maybe", "_separated")

    def __init__(self, line: str, at: int, found: dict[str, str]) -> None:
        self._line = line
        self._found = found
        self._at = self._end = at
        """The next item, and the end of what surely belongs to the header."""
        self._level = "level" in found
        self._logger = "logger" in found
        self._boot = self._separated = False
        self._maybe: list[tuple[str, str]] = []
        """Items that count only if others follow: names and values; a bracket's name is empty."""

    def read(self) -> int:
        line, length = self._line, len(self._line)
        for _ in range(_MOST_ITEMS):
            at = self._at
            while at < length and line[at] in " \t":
                at += 1
            if at == length:
                break
            self._at = at
            char = line[at]
            if char == "[":
                taken = self._bracket()
            elif char == "(":
                taken = self._thread_of_jboss()
            elif char in "-|:" and (match := _SEPARATOR.match(line, at)):
                taken = self._separator(match)
            else:
                taken = self._word()
            if not taken:
                break
        return self._end

    def _commit(self, end: int) -> None:
        """Take all items so far; `end` is the end of the last one."""
        self._at = self._end = end
        if self._maybe:
            _name_items(self._maybe, self._found, boot=self._boot, level=self._level)
            self._logger = "logger" in self._found
            self._maybe = []

    def _bracket(self) -> bool:
        line, at = self._line, self._at
        end = _closing(line, at)
        if end < 0:
            return False
        content = line[at + 1 : end].strip()
        end += 1
        if not self._level and content.upper() in LEVELS:
            self._commit(end)
            self._found["level"] = content
            self._level = True
            if line.startswith("[", end) and (close := _closing(line, end)) > 0:  # Elasticsearch: `][logger ]`
                self._found["logger"] = line[end + 1 : close].strip()
                self._logger = True
                self._commit(close + 1)
            return True
        ids = ids_of(content)
        if ids and ("trace_id" in ids or "span_id" in ids):
            self._commit(end)
            for name, value in ids.items():
                put(self._found, name, value)
            return True
        if self._logger:
            return False
        if ids is not None:
            self._maybe += ids.items()
        elif content:
            self._maybe.append(("", content))
        self._at = end
        return True

    def _thread_of_jboss(self) -> bool:
        """Take `[logger] (thread) `, the layout of JBoss and Quarkus."""
        end = self._line.find(") ", self._at)
        if not self._level or self._logger or end < 0 or not self._maybe or self._maybe[-1][0]:
            return False
        thread = self._line[self._at + 1 : end]
        self._maybe[-1] = ("logger", self._maybe[-1][1])
        self._commit(end + 2)
        put(self._found, "thread", thread)
        return False

    def _separator(self, match: re.Match[str]) -> bool:
        if self._separated:
            return False
        self._at = match.end()
        if match[0] == "---":
            self._boot = True
        elif self._level:
            self._commit(match.end())
            self._separated = True
        elif not self._maybe:
            self._end = match.end()
        return True

    def _word(self) -> bool:
        line, at = self._line, self._at
        match = _WORD.match(line, at)
        if match is None:
            return False
        word, end = match["word"], match["end"]
        if not self._level and word.upper() in LEVELS and (end or word.isupper()):
            self._take_level(word, end or "", match.end())
            return True
        if word[0] in BEGIN_IDS and (pair := ID_PAIR.match(line, at)) is not None:
            self._commit(pair.end())
            put(self._found, *named_id(pair["name"], pair["value"]))
            self._separated = False
            return True
        if self._logger:
            return False
        return self._bare(match) if end is None else self._separated_word(word, end, match.end())

    def _take_level(self, word: str, separator: str, end: int) -> None:
        self._found["level"] = word
        self._level = True
        if separator.startswith(":"):
            self._separated = True
            # Postgres: `[7] ERROR:  `.
            self._maybe = [(name or ("process.pid" if it.isdecimal() else ""), it) for name, it in self._maybe]
        self._commit(end)

    def _separated_word(self, word: str, separator: str, end: int) -> bool:
        """Take a word before a separator as the logger, or as the place in Go's source."""
        spaced = separator[0] == " "
        if not spaced and not self._level:
            if _SOURCE.fullmatch(word):  # Go: `main.go:7: `
                self._maybe.append(("source", word))
                self._commit(end)
            return False
        if not _NAME.fullmatch(word) or not (spaced or self._ends_with_colon(word)):
            return False
        if self._level:
            return self._take_logger(word, end)
        self._maybe.append(("logger", word))
        self._at = end
        return True

    def _ends_with_colon(self, word: str) -> bool:
        """Return True if a word before a colon is a logger, not the beginning of the message or an exception."""
        return not word.endswith(_EXCEPTIONS) and (_dotted(word) or self._of_tracing(word))

    def _take_logger(self, word: str, end: int) -> bool:
        self._commit(end)
        if self._logger:
            return False
        self._found["logger"] = word
        self._logger = self._separated = True
        return True

    def _bare(self, match: re.Match[str]) -> bool:
        """Take a word without a separator: a pair, a number, a user, a logger before ids, or the spans of tracing."""
        line, at, word = self._line, self._at, match["word"]
        if pair := _PAIR.match(line, at):
            self._maybe.append((pair["name"], pair["value"]))
            self._at = pair.end()
        elif word.isdecimal() and line[match.end() : match.end() + 1] in (" ", ""):
            self._maybe.append(("process.pid", word))
            self._at = match.end()
        elif self._level:
            return self._logger_or_spans(word)
        elif "@" in word:
            self._maybe.append(("user", word))
            self._at = match.end()
        else:
            return False
        return True

    def _logger_or_spans(self, word: str) -> bool:
        line, at = self._line, self._at
        if logger := self._logger_before_ids():
            self._take_logger(logger, at + len(logger))
            self._separated = False
            return True
        if span := _SPAN.match(line, at):
            self._found["span"] = span["span"]
            self._commit(span.end())
            return True
        tomcat = self._found.get("time", "")[3:4].isalpha()  # `20-Nov-2026 …`
        return tomcat and _METHOD.match(line, at) is not None and self._take_logger(word, at + len(word))

    def _logger_before_ids(self) -> str | None:
        """Return a logger before ids, with or without a separator: `f.m.s.BasicServiceImpl#415 TraceID: …`."""
        line = self._line
        end = line.find(" ", self._at)
        word = line[self._at : end] if end > 0 else ""
        if not word[:1].isalpha() or ("." not in word and "#" not in word and not _NAME.fullmatch(word)):
            return None
        if line.startswith("[", end + 1) and (close := _closing(line, end + 1)) > 0:
            ids = ids_of(line[end + 2 : close].strip()) or {}
            follows = "." in word or "#" in word or _SEPARATOR.match(line, close + 2)
            return word if follows and ("trace_id" in ids or "span_id" in ids) else None
        return word if ("." in word or "#" in word) and _ID_FOLLOWS.match(line, end) else None

    def _of_tracing(self, word: str) -> bool:
        """Return True if a name and a colon are a target of Rust's tracing: its times are RFC 3339 in UTC."""
        time = self._found.get("time", "")
        return "T" in time and time.endswith("Z") and word.islower()


def _dotted(word: str) -> bool:
    return "." in word.strip(".") or "::" in word


def _closing(line: str, at: int) -> int:
    """Return where the bracket at `at` is closed, or -1."""
    end = line.find("]", at)
    opened = line.count("[", at + 1, end) if end > 0 else 0
    while opened and 0 <= end < at + _LONGEST_BRACKET:
        start, end = end + 1, line.find("]", end + 1)
        opened += line.count("[", start, end) - 1 if end > 0 else 0
    return end if end < at + _LONGEST_BRACKET else -1


def _name_items(items: list[tuple[str, str]], found: dict[str, str], *, boot: bool, level: bool) -> None:
    """Add items to the fields: of those in brackets, one is the thread."""
    brackets = [value for name, value in items if not name]
    short = [value for value in brackets if is_hex(value, SPAN_CHARS)]
    names: dict[str, str] = {}
    if "trace_id" in found and short:
        names[short[0]] = "span_id"
    elif len(short) > 1:
        names |= {short[0]: "trace_id", short[1]: "span_id"}
    plain = [value for value in brackets if value not in names]
    for before, value in zip([None, *plain], plain, strict=False):
        if _SOURCE.fullmatch(value):
            names[value] = "source"
            if before and level and "logger" not in found:  # OpenTelemetry's pattern for Python
                names.setdefault(before, "logger")
    plain = [value for value in plain if value not in names]
    if boot and len(plain) > 1 and "service" not in found:
        names[plain.pop(0)] = "service"
    if plain and "thread" not in found:
        names[plain[-1] if boot else plain[0]] = "thread"
    for name, value in items:
        put(found, name or names.get(value, "context"), value)
