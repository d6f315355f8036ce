"""Texts from outside, made safe for a terminal."""


def plain(text: object, longest: int) -> str:
    """Return a text from outside as one line without control characters, truncated to `longest` characters."""
    kept = "".join(char if char.isprintable() else " " for char in str(text)[: 4 * longest])
    words = " ".join(kept.split())
    return words if len(words) <= longest else f"{words[: longest - 1]}…"
