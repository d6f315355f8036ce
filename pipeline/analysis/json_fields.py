"""Values of members of JSON objects within any text."""

import json
import re
from collections.abc import Callable

from pipeline.analysis.secret_patterns import MARK

# A name with a quote or a backslash in it is not found: allowing them takes time that grows with the square of a text.
_NAME = re.compile(r'"([^"\\]*+)"\s*+:\s*+')
# Numbers stay texts, for Python refuses to convert those of thousands of digits.
_JSON = json.JSONDecoder(strict=False, parse_int=str, parse_float=str)


def mask_json_fields(is_secret: Callable[[str], object], text: str) -> str:
    """Replace the value of each member whose name is secret, whatever the value is.

    A value that is cut off, or no JSON, is replaced up to the end of the text.
    """
    if '"' not in text or ":" not in text:
        return text
    pieces: list[str] = []
    done = 0
    match = _NAME.search(text)
    while match is not None:
        at = match.end()
        if is_secret(match[1]) and at < len(text):
            pieces += [text[done:at], f'"{MARK}"']
            try:
                _, at = _JSON.raw_decode(text, at)
            except (ValueError, RecursionError):
                at = len(text)
            done = at
        match = _NAME.search(text, at)
    return "".join([*pieces, text[done:]]) if pieces else text
