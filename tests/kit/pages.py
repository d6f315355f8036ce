"""The pages that are written for readers, and the parts of them that are code."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
WRITTEN = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), ROOT / "deploy" / "README.md"])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
"""A fenced block: its language, and its lines."""


def name_of(path: Path) -> str:
    """Name a page in a test's id."""
    return str(path.relative_to(ROOT))
