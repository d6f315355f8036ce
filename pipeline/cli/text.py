"""Texts from outside, as a terminal may have them."""


def plain(text: object, longest: int) -> str:
    """Return a text from outside as one line without what a terminal would obey, cut where it is longer than that."""
    kept = "".join(char if char.isprintable() else " " for char in str(text)[: 4 * longest])
    words = " ".join(kept.split())
    return words if len(words) <= longest else f"{words[: longest - 1]}…"
