"""Logging of our processes: to standard error, one line per event."""

import logging.config
from typing import Any

_OURS = ("tracelink", "pipeline", "producers", "streams", "sinks")


def logging_config(level: str) -> dict[str, Any]:
    """Return a configuration for `logging.config.dictConfig` that logs from this level up to standard error.

    Libraries log from warnings up, unless the level is `debug`.
    """
    libraries = "DEBUG" if level == "debug" else "WARNING"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
        "root": {"level": libraries, "handlers": ["stderr"]},
        "loggers": {ours: {"level": level.upper()} for ours in _OURS},
    }


def configure_logging(level: str) -> None:
    """Log to standard error from this level up: `debug`, `info`, `warning`, `error`."""
    logging.config.dictConfig(logging_config(level))
