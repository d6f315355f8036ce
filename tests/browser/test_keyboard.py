"""The keyboard alone suffices, and shows where it is."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import FirstError
from tests.browser.story import EXCEPTION, WHOLE_TRACE, failing_line

_MOST_STOPS = 60
# Its kind, its HTML, and where it is with all that may be drawn around it.
_FOCUSED = """() => {
  const focused = document.activeElement;
  if (focused === document.body) return null;
  const box = focused.getBoundingClientRect();
  const [x, y] = [Math.max(0, box.x - 6), Math.max(0, box.y - 6)];
  return [focused.localName, focused.outerHTML, { x, y, width: box.right + 6 - x, height: box.bottom + 6 - y }];
}"""


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until an element has the focus; AssertionError after many that are not it."""
    for _ in range(_MOST_STOPS):
        page.keyboard.press("Tab")
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{_MOST_STOPS} times Tab did not lead to {selector}")


@pytest.mark.usefixtures("first_error")
def test_the_keyboard_leads_from_the_list_to_the_failing_line(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport(ratio=1)
    page.keyboard.press("Enter")
    tab_to(page, ".problems a")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(EXCEPTION)
    expect(page.get_by_text(WHOLE_TRACE)).to_be_visible()
    line = failing_line(page)
    tab_to(page, "#newest summary")
    for key in ("Enter", "Space"):
        page.keyboard.press(key)
        expect(line).to_be_hidden()
        page.keyboard.press(key)
        expect(line).to_be_visible()
    tab_to(page, "#at > .row a")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/traces/[0-9a-f]{32}\?at=.*#at$"))


def test_the_skip_link_leads_past_the_navigation(page: Page, first_error: FirstError) -> None:
    page.goto(f"/traces/{first_error.trace_id}")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("main a").first).to_be_focused()


def test_the_focus_can_be_seen_wherever_it_is(page: Page, first_error: FirstError) -> None:
    kinds = set()
    for address in ("/", first_error.address, "/traces?text=authorized"):
        page.goto(address)
        page.keyboard.press("Tab")
        while focused := page.evaluate(_FOCUSED):
            kind, html, around = focused
            kinds.add(kind)
            with_focus = page.screenshot(clip=around)
            page.evaluate("before = document.activeElement; before.blur()")
            assert page.screenshot(clip=around) != with_focus, html
            page.evaluate("before.focus({preventScroll: true})")
            page.keyboard.press("Tab")
    assert kinds == {"a", "input", "select", "button", "div", "summary"}
