"""Card numbers in texts, and the ids that look like them.

A card number has 13 to 19 digits, a prefix that an issuer uses with this length, and a valid check digit (Luhn). By
chance that is true of 3 in 100 numbers of 16 digits, and of 2 in 100 of 19. So a number under the name of an id is left
alone.
"""

import re

# The prefixes of ISO/IEC 7812 that issuers use, each with the lengths of their numbers.
_LONG = range(16, 20)
_ISSUERS: tuple[tuple[str, tuple[int, ...] | range], ...] = (
    ("4", (13, 16, 19)),  # Visa
    # Mastercard: 51 to 55, and 2221 to 2720
    (r"5[1-5]|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720", (16,)),
    ("3[47]", (15,)),  # American Express
    (r"30[0-5]|3095|36|38|39", (14, 16, 19)),  # Diners Club
    (r"6011|64[4-9]|65|622(?:12[6-9]|1[3-9]\d|[2-8]\d\d|91\d|92[0-5])", _LONG),  # Discover
    (r"352[89]|35[3-8]\d", _LONG),  # JCB
    ("62", _LONG),  # UnionPay
    ("5018|5020|5038|5893|6304|6390|6759|676[1-3]", range(13, 20)),  # Maestro
    ("220[0-4]", _LONG),  # Mir
    ("5019|508|60", (16,)),  # Dankort, RuPay
    ("50(?:60|61|66|67)", (16, 18, 19)),  # Verve, Elo
)
_PREFIXES = {
    length: re.compile("|".join(prefix for prefix, lengths in _ISSUERS if length in lengths))
    for length in range(13, 20)
}

# Not inside a word or a UUID, and not the decimals of a number.
_CANDIDATE = re.compile(
    r"(?<![0-9A-Za-z])(?<![0-9a-f]{4}-)(?<!\d\.)(?:2[2-7]|[3-6]\d)\d\d(?:[ -]?\d){9,15}(?![0-9A-Za-z])", re.ASCII
)
_DIGITS = bytes.maketrans(b"123456789\0", b"000000000\1")
_ENOUGH_DIGITS = b"0" * 13

# `id` as a word of its own (`order.id`, `X-Request-ID`, `orderId`), or after a word that commonly stands before it, but
# not at the end of `paid`, `valid` or `grid`.
_ID_NAME = re.compile(
    r"(?:(?:^|[^a-z])(?:ids?|uid|uuid|guid|oid|span|trace|traceparent)"
    r"|(?-i:(?<=[a-z0-9])(?:I[dD]s?|Uid|UID|Uuid|UUID|Guid|GUID|Span|Trace))"
    r"|(?:trace|span|parent|request|correlation|transaction|session|message|event|order|user|customer|client|device"
    r"|object|thread|process|job|task|batch|group)[_-]?ids?)$",
    re.IGNORECASE | re.ASCII,
)
# `card_id`, `panId`: the id of a card may be its number.
_CARD_NAME = re.compile(r"card|credit|debit|(?:^|[^a-z])(?:pan|cc)(?=[^a-z]|(?-i:I))", re.IGNORECASE | re.ASCII)
# A number without spaces, or a list of them: spaces and dashes within one are how people write cards.
_ID_VALUE = re.compile(r"[\[(\"' ]*\d++(?:[\"']?, ?[\"']?\d++)*[\"')\]]*", re.ASCII)
# In a text only the names of tracing count: `id=` may stand before anything.
_ID_BEFORE = re.compile(
    r"(?:trace|span|parent|request|correlation)[ _.-]?id[\\\"' ]{0,4}[=:][\\\"' ]{0,4}\Z", re.IGNORECASE | re.ASCII
)
_ID_BEFORE_LENGTH = 32


def mask_cards(text: str, mark: str) -> str:
    """Replace card numbers, in one piece or in groups, by a mark; returns the same object if there are none."""
    digits = text.encode("utf-8", "replace").translate(_DIGITS, b" -")
    if _ENOUGH_DIGITS not in digits:
        return text
    pieces: list[str] = []
    done = start = 0
    while match := _CANDIDATE.search(text, start):
        end = _card_end(text, match.start(), match.end())
        if end:
            pieces += [text[done : match.start()], mark]
            done = start = end
        else:
            start = match.start() + 1
    return "".join([*pieces, text[done:]]) if pieces else text


def names_an_id(name: str) -> bool:
    """Return True if a field of this name holds an id, but not that of a card."""
    return _ID_NAME.search(name) is not None and _CARD_NAME.search(name) is None


def is_id(value: str) -> bool:
    """Return True if the value of such a field is nothing but numbers in one piece."""
    return _ID_VALUE.fullmatch(value) is not None


def _card_end(text: str, start: int, end: int) -> int:
    """Return the end of the card number that begins at `start`, or 0; date or security code may follow it."""
    while end > start:
        digits = text[start:end].replace(" ", "").replace("-", "")
        if _is_card(digits) and not text[end : end + 1].isdecimal():
            in_one_piece = len(digits) == end - start
            before = max(0, start - _ID_BEFORE_LENGTH)
            return 0 if in_one_piece and _ID_BEFORE.search(text, before, start) else end
        end -= 1
    return 0


def _is_card(digits: str) -> bool:
    """Return True if the digits have a prefix and a length of an issuer, and pass the Luhn check."""
    prefixes = _PREFIXES.get(len(digits))
    if prefixes is None or not prefixes.match(digits):
        return False
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (doubled + sum(map(int, digits[-1::-2]))) % 10 == 0
