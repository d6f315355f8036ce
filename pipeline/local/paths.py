"""The default directories of the stack, by the XDG base directory specification."""

import os
from pathlib import Path


def default_directory() -> Path:
    """Return the directory of state, data, logs: $XDG_DATA_HOME/tracelink/stack or ~/.local/share/tracelink/stack."""
    return _base("XDG_DATA_HOME", ".local/share") / "tracelink" / "stack"


def default_cache() -> Path:
    """Return the directory of downloaded jars: $XDG_CACHE_HOME/tracelink/jars or ~/.cache/tracelink/jars."""
    return _base("XDG_CACHE_HOME", ".cache") / "tracelink" / "jars"


def _base(variable: str, fallback: str) -> Path:
    configured = Path(os.environ.get(variable, ""))
    # The specification requires that a relative path is ignored.
    return configured if configured.is_absolute() else Path.home() / fallback
