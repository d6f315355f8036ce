"""Values of members of JSON objects within any text."""

import json
import re
from collections.abc import Callable

from pipeline.analysis.secret_patterns import MARK

# Within a string of JSON quotes have backslashes. A name with quotes or backslashes of its own is not found: allowing
# them takes time that grows with the square of a text.
_NAME = re.compile(r'(?<!\\)(\\*+)"([^"\\]*+)\1"\s*+:\s*+')
_QUOTE = re.compile(r'(?<!\\)(\\*+)"')
_SCALAR = re.compile(r"[-+.\w]++")
# Numbers stay texts, for Python refuses to convert those of thousands of digits.
_JSON = json.JSONDecoder(strict=False, parse_int=str, parse_float=str)


def mask_json_fields(is_secret: Callable[[str], object], text: str) -> str:
    """Replace the value of each member whose name is secret, whatever the value is, also in JSON within a string.

    A value that is cut off, or no JSON, is replaced up to the end of the text. An object or a list in JSON within a
    string is replaced up to the end of the string.
    """
    if '"' not in text or ":" not in text:
        return text
    pieces: list[str] = []
    done = 0
    match = _NAME.search(text)
    while match is not None:
        at = match.end()
        if at < len(text) and is_secret(match[2]):
            quote = f'{match[1]}"'
            pieces += [text[done:at], quote, MARK, quote]
            at = done = _end_in_string(text, at, quote) if match[1] else _end(text, at)
        match = _NAME.search(text, at)
    return "".join([*pieces, text[done:]]) if pieces else text


def _end(text: str, at: int) -> int:
    """Return the end of the value that begins here."""
    try:
        return _JSON.raw_decode(text, at)[1]
    except (ValueError, RecursionError):
        return len(text)


def _end_in_string(text: str, at: int, quote: str) -> int:
    """Return the end of the value that begins here; the quotes of this JSON have backslashes."""
    if scalar := _SCALAR.match(text, at):
        return scalar.end()
    is_text = text.startswith(quote, at)
    for found in _QUOTE.finditer(text, at):
        if len(found[0]) < len(quote):  # the end of the string that this JSON is in
            return found.start()
        if is_text and found[0] == quote and found.start() > at:
            return found.end()
    return len(text)
