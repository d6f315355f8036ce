"""`make test` runs every test, but for those that need Chromium."""

import tomllib

from tests.kit.pages import ROOT


def test_only_the_tests_in_a_browser_are_not_among_those_of_make_test() -> None:
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["testpaths"]
    folders = {f"tests/{path.relative_to(ROOT / 'tests').parts[0]}" for path in (ROOT / "tests").rglob("test_*.py")}
    assert folders - set(configured) == {"tests/browser"}
    assert set(configured) <= folders
