"""The parts of a page that its script replaces: when it does so, and what it leaves as it was."""

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import FirstError
from tests.browser.shop import Shop
from tests.browser.story import WHOLE_TRACE, count_of_problem, failing_line, served_count
from tests.kit.waiting import wait_for

pytestmark = pytest.mark.usefixtures("first_error")


def wait_until_known(shop: Shop) -> None:
    """Wait until the server knows each failure of the shop."""
    wait_for("the last error", lambda: served_count(shop.page) == shop.failures)


def test_a_change_before_the_stream_is_open_is_shown(page: Page, running_shop: Shop) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    wait_until_known(running_shop)
    page.route("**/live", hold)
    with page.expect_request("**/live"):
        page.goto("/")
    running_shop.order_until_it_fails()
    wait_until_known(running_shop)
    expect(count_of_problem(page)).to_have_text(str(running_shop.failures - 1))
    held[0].continue_()
    expect(count_of_problem(page)).to_have_text(str(running_shop.failures))


def test_a_refresh_keeps_the_focus_on_a_link(page: Page, running_shop: Shop) -> None:
    page.goto("/")
    link = page.locator("table.problems a")
    link.focus()
    running_shop.order_until_it_fails()
    expect(count_of_problem(page)).to_have_text(str(running_shop.failures))
    expect(link).to_be_focused()


def test_a_refresh_keeps_the_trace_that_is_read_and_links_to_the_newest(
    page: Page, running_shop: Shop, first_error: FirstError
) -> None:
    page.goto(first_error.address)
    expect(page.get_by_text(WHOLE_TRACE)).to_be_visible()
    read = page.locator("#newest h2 a").inner_text()
    fold = page.locator(".waterfall summary").nth(2)
    fold.focus()
    newer = running_shop.order_until_it_fails()
    expect(page.locator("#samples li").first).to_contain_text(newer)
    expect(page.locator("#newest h2")).to_have_text(f"Trace {read}")
    expect(failing_line(page)).to_be_visible()
    expect(fold).to_be_focused()
    page.get_by_role("link", name="show the newest trace").click()
    expect(page.locator("#newest h2")).to_have_text(f"Newest trace {newer}")


def test_a_refresh_keeps_a_fold_and_the_focus_on_it(page: Page, first_error: FirstError) -> None:
    page.goto(first_error.address)
    expect(page.get_by_text(WHOLE_TRACE)).to_be_visible()
    line = failing_line(page)
    fold = page.locator(".waterfall summary").nth(1)
    fold.click()
    expect(line).to_be_hidden()
    # What the server answers next has another last line in the same trace.
    page.route(f"**{first_error.address}?trace=*", _with_another_line)
    page.evaluate("refresh()")
    expect(page.locator(".waterfall")).to_contain_text("still no order for Ada")
    expect(line).to_be_hidden()
    expect(fold).to_be_focused()


def test_a_refresh_leaves_a_field_that_is_being_filled_in(page: Page, first_error: FirstError) -> None:
    page.goto(f"/traces/{first_error.trace_id}")
    # The page has its script only as long as more of the trace may come, which is over in some seconds.
    if not page.evaluate("typeof refresh === 'function'"):
        page.add_script_tag(url="/static/live.js")
    page.get_by_label("Text").fill("a wo")
    page.route(f"**/traces/{first_error.trace_id}", _with_another_line)
    page.evaluate("refresh()")
    page.keyboard.type("rd")
    expect(page.get_by_label("Text")).to_have_value("a word")
    page.locator("#main").focus()
    page.evaluate("refresh()")
    expect(page.locator(".waterfall")).to_contain_text("still no order for Ada")


def test_the_page_stays_while_the_server_does_not_answer(page: Page) -> None:
    page.goto("/")
    page.route("**/*", lambda route: route.abort("internetdisconnected"))
    page.evaluate("refresh()")
    expect(count_of_problem(page)).to_be_visible()


def _with_another_line(route: Route) -> None:
    answer = route.fetch()
    route.fulfill(response=answer, body=answer.text().replace("no order for", "still no order for"))
