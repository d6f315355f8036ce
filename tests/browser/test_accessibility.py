"""axe-core finds no violation on any page, and nothing is wider than the window of a phone."""

from collections.abc import Callable
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.browser.chromium import tab
from tests.browser.conftest import FirstError

_WIDTHS = (1280, 380)
_SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
_PAGES: dict[str, Callable[[FirstError], str]] = {
    "list": lambda _: "/",
    "list without result": lambda _: "/?status=all&text=nothing-like-this",
    "problem": lambda first: first.address,
    "trace": lambda first: f"/traces/{first.trace_id}",
    "trace with filter": lambda first: f"/traces/{first.trace_id}?service=payment&level=ERROR",
    "trace without result": lambda first: f"/traces/{first.trace_id}?text=nothing-like-this",
    "search": lambda _: "/traces",
    "search by words": lambda _: "/traces?text=authorized",
    "search without result": lambda _: "/traces?text=nothing-like-this",
    "search with a wrong field": lambda _: "/traces?min=long",
    "trace that is not there": lambda _: f"/traces/{'a' * 32}",
    "error": lambda _: "/nothing",
}


def complaints_of(page: Page) -> list[str]:
    """Return what is wrong with a page, in both colour schemes and widths."""
    found = []
    for width in _WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        if page.evaluate("document.documentElement.scrollWidth") > width:
            found.append(f"at {width} pixels it is wider than the window")
        for scheme in _SCHEMES:
            page.emulate_media(color_scheme=scheme)
            result = Axe().run(page)
            assert result.response["passes"], "axe-core has checked nothing"
            found += [f"{scheme}, {width}: {result.generate_report()}"] if result.violations_count else []
    return found


@pytest.mark.parametrize("name", _PAGES)
def test_a_page_is_accessible(page: Page, first_error: FirstError, name: str) -> None:
    page.goto(_PAGES[name](first_error))
    assert complaints_of(page) == []


def test_the_page_that_asks_for_the_token_is_accessible(browser: Browser, guarded_page: str) -> None:
    with tab(browser, guarded_page) as page:
        page.goto("/")
        page.keyboard.press("Enter")
        page.get_by_label("The token of this page").fill("a wrong one")
        page.keyboard.press("Enter")
        page.get_by_role("alert").wait_for()
        assert complaints_of(page) == []


def test_axe_finds_what_is_wrong(page: Page) -> None:
    page.goto("/")
    page.evaluate("document.querySelector('main').innerHTML = '<img><p>' + 'wide'.repeat(1000) + '</p>'")
    found = "".join(complaints_of(page))
    assert "image-alt" in found
    assert "at 380 pixels it is wider than the window" in found
