"""What our own processes write: their log, one line an event, on standard error; and texts from outside."""

import logging.config
from typing import Any


def logging_config(level: str) -> dict[str, Any]:
    """Return the configuration, as `logging.config.dictConfig` takes it: from this level up to standard error.

    Libraries speak from warnings up, unless the level is `debug`.
    """
    libraries = "DEBUG" if level == "debug" else "WARNING"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
        "root": {"level": libraries, "handlers": ["stderr"]},
        "loggers": {ours: {"level": level.upper()} for ours in ("tracelink", "producers", "streams", "sinks")},
    }


def configure_logging(level: str) -> None:
    """Log to standard error from this level up: `debug`, `info`, `warning`, `error`."""
    logging.config.dictConfig(logging_config(level))


def plain(text: object, longest: int) -> str:
    """Return a text from outside as one line without what a terminal would obey, cut where it is longer than that."""
    kept = "".join(char if char.isprintable() else " " for char in str(text)[: 4 * longest])
    words = " ".join(kept.split())
    return words if len(words) <= longest else f"{words[: longest - 1]}…"
