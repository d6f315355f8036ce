"""Lines of log files that are not JSON."""

_INDENTED = (" ", "\t")


def parse_text_line(line: str) -> dict[str, str]:
    """Return the parts of a line of text under their names; a line of no known layout is a message."""
    return {"message": line}


def is_continuation(line: str) -> bool:
    """Return True for a line that belongs to the one before it, such as a frame of a stack trace."""
    return line.startswith((*_INDENTED, "Caused by: "))
