"""Patterns of secrets, by the name before them or by their own form; one function for each kind.

Patterns take linear time by construction: repetitions are possessive, and no two begin at the same place. A cheap test
comes before each pattern: is a word or a character that every such secret has in the text at all?
"""

import re
from base64 import b64decode
from binascii import Error as NotBase64

from pipeline.analysis.card_numbers import mask_cards

MARK = "[redacted]"

# `re` turns flat alternatives into a set of first letters and skips all other places: an eighth of the time. In
# `pass: 12`, pass is a count of tests.
_WHOSE = "|".join(f"(?<={whose}pass)" for whose in ("db", "user", "admin", "root", "smtp", "mail", "ftp", "ssh", "key"))
PASSWORDS = rf"passw(?:or)?d|passphrase|passcode|pwd|pass(?:(?<![a-z]pass)(?!:)|{_WHOSE})"
_KEYS = "|".join(
    f"{word}[ _.-]?key"
    for word in ("api", "access", "private", "secret", "auth", "account", "master", "shared", "signing", "encryption")
)
_TOKENS = f"token|secret|credentials?|{_KEYS}"
_AUTHORIZATION = "authorization"
_COOKIE = "cookie2?"
TOKENS = f"{_TOKENS}|{_AUTHORIZATION}|{_COOKIE}"

# After a name: the first group matches the plural, see `counts`; `password_hash`, `secret_key_base`.
NAME_END = r"(s)?(?:[_.-]?(?:hash|base|value))?"
# Between a name and its value: `name=v`, `name: v`, `"name":"v"`, `'name' => 'v'`, `<name>v`, `name%3Dv`.
_BETWEEN = r"(?:\\*+[\"']|%22)?[ \t]*+(?:[:=>]{1,3}|%3[ad])[ \t]*+"
# `--name v` and `'--name', 'v'`, but not `--name is missing`.
_AFTER_OPTION = (
    r"(?:[\"'],)?[ \t]++(?!-|(?:an?|and|are|argument|can|cannot|flag|for|from|has|if|in|is|must|not|option|or|requires?"
    r"|should|the|to|was|with)(?![^\s,.:;]))"
)
# A quoted value ends at its quote or at the end of the line: `\"v\"` as in JSON within JSON, `"v"`, `b'v'`, `%22v%22`.
_IN_DOUBLE = r"(?:[^\"\\\r\n]|\\[^\r\n])*+"
_IN_SINGLE = r"(?:[^'\\\r\n]|\\[^\r\n])*+"
_IN_ENCODED = r"%22((?:[^%\s&]|%(?!22(?:%2c|%7d|%5d|[^\w%]|\Z)))*+)"
_QUOTED = (
    r"\\++[\"']((?:[^\\\r\n]|\\++(?![\"'\\]))*+)"
    rf"|[a-z]{{0,2}}\"({_IN_DOUBLE})|[a-z]{{0,2}}'({_IN_SINGLE})|{_IN_ENCODED}"
)
# A list ends at its bracket, or with a line without a comma. If the bracket were required, every list without one would
# be read to the end of the text.
_LIST = (
    r"\[(?!redacted\])\s*+((?:,\s*+|[\r\n]\s*+(?=\])|[^,\[\]\"'\\\r\n]|\\[^\r\n]?"
    rf"|\"{_IN_DOUBLE}\"?|'{_IN_SINGLE}'?|\[[^\]\r\n]*+\]?)*+)"
    # `[a]b` is not a list.
    r"(\][^\s,;&<>)\]}\[\"'.:\\][^\s,;&<>]*+)?+"
)
_SCHEME = r"(?:bearer|basic|digest|token|apikey)[ \t]++"
_BARE = r"[^\s,;&<>]++"
# Brackets and quotes that opened before the name are not part of the value: `(password=x)`, `{token: x}.`
_CLOSERS = ")]}\"'."
_PLURAL_GROUP = 1
_LIST_GROUP = 6
_NO_LIST_GROUP = 7
_SHORTEST_OF_MANY = 6
_OPENING_QUOTE = re.compile(r"\\*+[\"']")


def _field(names: str, bare: str, between: str = _BETWEEN) -> re.Pattern[str]:
    """Return the pattern of a name and its value in lower case; the value is the last group that matched."""
    return re.compile(rf"(?:{names}){NAME_END}{between}(?:{_QUOTED}|{_LIST}|{bare})")


def _option(names: str) -> re.Pattern[str]:
    """Return the pattern of a command-line option and its value: `--db-password v`."""
    return _field(rf"--(?:[a-z]++[_-])*(?:{names})", f"({_BARE})", _AFTER_OPTION)


_PASSWORD_FIELD = _field(PASSWORDS, f"({_BARE})")
_PASSWORD_OPTION = _option(PASSWORDS)
_TOKEN_FIELD = _field(_TOKENS, f"(?:{_SCHEME})?({_BARE})")
_TOKEN_OPTION = _option(_TOKENS)
# After an unknown scheme, the next word is the secret.
_AUTHORIZATION_FIELD = _field(_AUTHORIZATION, rf"{_SCHEME}({_BARE})|((?:(?!\[redacted\])[\w.+/=-]++[ \t]++)?{_BARE})")
_COOKIE_FIELD = _field(_COOKIE, r"([^\s,;<>]++(?:;[ \t]?[^\s,;<>]*+)*+)")

_URL = re.compile(r"(?<=://)([^\s/?#@:\"'<>]*+:)([^\s/?#\"'<>]*)@")
_CURL_USER = re.compile(r"(?<!\S)((?:-u|--(?:proxy-)?user)[ \t=]++[\"']?[^\s:\"']++:)[^\s\"']++")
# Signature and session are common words: only values after `=` count. `sig=11` is a signal.
_SIGNED = re.compile(
    r"((?<![a-z])(?:sig|signature|x-(?:amz|goog)-signature)(?:=|%3d)(?=[\w%+/.~-]{8})"
    r"|(?:session[_-]?|phpsess)id(?:=|%3d)[\"']?)[^\s,;&<>\"'()\[\]{}\\|]++",
    re.IGNORECASE | re.ASCII,
)
_HOOK = re.compile(
    r"(hooks\.slack\.com/(?:services|workflows|triggers)/|/api/webhooks/\d++/)[\w/-]++", re.IGNORECASE | re.ASCII
)
_BEARER = re.compile(r"(?<![a-z])(bearer[ \t]++)([\w.~+/=-]{6,}+)", re.IGNORECASE | re.ASCII)
_BASIC = re.compile(r"(?<![a-z])(basic[ \t]++)([a-z0-9+/]{4,}+={0,2})", re.IGNORECASE | re.ASCII)
_SURELY_TOKEN = 24
"""A word after `Bearer` with this many characters is a token even without a digit."""
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]{5,}+\.[\w-]{2,}+(?:\.[\w-]*+){0,3}", re.ASCII)
_PREFIXED = re.compile(
    r"(?<![A-Za-z0-9])(?:A[KS]IA[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{16,}+|github_pat_\w{16,}+|xox[a-z]-[\w-]{8,}+"
    r"|xapp-[\w-]{8,}+|glpat-[\w-]{16,}+|[sr]k_(?:live|test)_\w{10,}+|sk-[\w-]{20,}+|AIza[\w-]{30,}+|npm_\w{30,}+"
    r"|ya29\.[\w-]{10,}+|SG\.[\w-]{16,}+\.[\w-]{16,}+|hvs\.[\w-]{16,}+|whsec_[A-Za-z0-9+/]{16,}+=*+|GOCSPX-[\w-]{16,}+)",
    re.ASCII,
)
_GITHUB = re.compile("gh[pousr]_")
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY[A-Z ]{0,10}-----.*?(?:-----END [A-Z0-9 ]{0,50}-----|\Z)", re.DOTALL
)
_EMAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]++@(?:[\w-]++\.(?=\w))+[^\W\d_][\w-]*+")


def passwords(text: str, lower: str) -> str:
    """Replace passwords by name, and those in URLs; `lower` is the text in lower case, for cheap tests."""
    if "pass" in lower or ("w" in lower and "pwd" in lower):
        if "-----BEGIN" in text:  # as a value it has many lines
            text = _PRIVATE_KEY.sub(MARK, text)
        text = _mask_fields(_PASSWORD_FIELD, text)
        if "--" in lower:
            text = _mask_fields(_PASSWORD_OPTION, text)
    if "-" in lower and "curl" in lower:
        text = _CURL_USER.sub(rf"\1{MARK}", text)
    if "@" in lower and "://" in lower:
        text = _URL.sub(rf"\1{MARK}@", text)
    return text


def tokens(text: str, lower: str) -> str:
    """Replace tokens, keys and cookies by name, and those with a known form; see `passwords`."""
    # Schemes come first: in an unknown field, the word `Bearer` would be taken for the secret.
    if "b" in lower:
        text = _schemes(text, lower)
    # Testing for a rare letter of a word before the word takes a fifth of the time.
    has_k = "k" in lower
    if "secret" in lower or (has_k and ("token" in lower or "key" in lower)) or "credential" in lower:
        text = _keys(text)
    if "z" in lower and _AUTHORIZATION in lower:
        text = _mask_fields(_AUTHORIZATION_FIELD, text)
    if has_k:
        if "cookie" in lower:
            text = _mask_fields(_COOKIE_FIELD, text)
        if "hooks" in lower:
            text = _HOOK.sub(rf"\1{MARK}", text)
    if ("=" in lower or "%" in lower) and ("sessi" in lower or "sig" in lower):
        text = _SIGNED.sub(rf"\1{MARK}", text)
    if "J" in text and "eyJ" in text:
        text = _JWT.sub(MARK, text)
    return _PREFIXED.sub(MARK, text) if _has_prefix(text) else text


def _schemes(text: str, lower: str) -> str:
    if "bearer " in lower or "bearer\t" in lower:
        text = _BEARER.sub(_bearer, text)
    if "basic " in lower or "basic\t" in lower:
        text = _BASIC.sub(_basic, text)
    return text


def _keys(text: str) -> str:
    if "-----BEGIN" in text:
        text = _PRIVATE_KEY.sub(MARK, text)
    text = _mask_fields(_TOKEN_FIELD, text)
    return _mask_fields(_TOKEN_OPTION, text) if "--" in text else text


def _has_prefix(text: str) -> bool:
    """Return True if the text may hold a token with a known prefix."""
    if "_" in text:
        if "gh" in text and ("github_pat_" in text or _GITHUB.search(text)):
            return True
        if ("k_" in text and ("k_live_" in text or "k_test_" in text)) or "npm_" in text or "whsec_" in text:
            return True
    if "-" in text:
        if "glpat-" in text or ("k" in text and "sk-" in text) or ("X" in text and "GOCSPX-" in text):
            return True
        if "x" in text and ("xox" in text or "xapp-" in text):
            return True
    if ("y" in text and "ya29." in text) or ("G" in text and "SG." in text) or ("v" in text and "hvs." in text):
        return True
    return "A" in text and ("AKIA" in text or "ASIA" in text or "AIza" in text)


def emails(text: str, lower: str) -> str:
    """Replace e-mail addresses."""
    return _EMAIL.sub(MARK, text) if "@" in lower else text


def cards(text: str, _: str) -> str:
    """Replace card numbers."""
    return mask_cards(text, MARK)


def _mask_fields(pattern: re.Pattern[str], text: str) -> str:
    """Replace the values of fields, but not closing brackets and quotes around them."""
    pieces: list[str] = []
    done = 0
    for match in pattern.finditer(_lower(text)):
        group = match.lastindex or 0
        start, end = match.span(group)
        if group == _NO_LIST_GROUP or (group == _LIST_GROUP and text[end : end + 1] != "]"):
            start = text.rindex("[", 0, match.start(_LIST_GROUP))
        elif group == _LIST_GROUP:
            start, end = _within_quotes(text, start, end)
            if text[start:end] == MARK:
                continue
        elif group > _NO_LIST_GROUP:
            value = text[start:end]
            secret = value.removeprefix(MARK)
            closing = len(secret) - len(secret.rstrip(_CLOSERS))
            if closing == len(value):
                continue
            end -= closing
        if match[_PLURAL_GROUP] and (counts(text[start:end]) or (group > _NO_LIST_GROUP and _is_word(text[start:end]))):
            continue
        if start < end:
            pieces += [text[done:start], MARK]
            done = end
    return "".join([*pieces, text[done:]]) if pieces else text


def _within_quotes(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the range of a list between its first and its last quote; all of it if one of them is missing."""
    value = text[start:end].rstrip()
    opening = _OPENING_QUOTE.match(value)
    width = len(opening[0]) if opening else 0
    if opening and len(value) >= 2 * width and value.endswith(opening[0]):
        return start + width, start + len(value) - width
    return start, start + len(value)


def counts(value: str) -> bool:
    """Return True if the value of a plural name is a count: `tokens: 12`."""
    return not any(map(str.isalpha, value))


def _is_word(value: str) -> bool:
    """Return True if the value of a plural name is a plain word: `secrets: none`."""
    return len(value) < _SHORTEST_OF_MANY or value.isalpha()


def _lower(text: str) -> str:
    """Return the text in lower case with unchanged positions: some letters become two in lower case."""
    lower = text.lower()
    return lower if len(lower) == len(text) else re.sub("[A-Z]+", lambda match: match[0].lower(), text)


def _bearer(match: re.Match[str]) -> str:
    """Replace a token, but not the word in `bearer authentication`."""
    token = match[2]
    surely = len(token) >= _SURELY_TOKEN or any(map(str.isdecimal, token))
    return match[1] + MARK if surely else match[0]


def _basic(match: re.Match[str]) -> str:
    """Replace `user:password` in base64, but no other word after `basic`."""
    given = match[2].rstrip("=")
    try:
        secret = b":" in b64decode(given + "=" * (-len(given) % 4), validate=True)
    except NotBase64:
        secret = False
    return match[1] + MARK if secret else match[0]
