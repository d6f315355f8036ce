"""From the first error to its line, as a person gets there; none of it may leave a message in the console."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from pipeline.local.ports import free_port
from tests.browser.chromium import tab
from tests.browser.conftest import TOKEN, FirstError
from tests.browser.shop import Shop
from tests.browser.story import EXCEPTION, FAILING_LINE, WHOLE_TRACE, failing_line, is_in_window
from tests.kit.http import http_request
from tests.kit.waiting import wait_for


def test_a_problem_appears_without_a_reload(first_error: FirstError) -> None:
    assert first_error.count_before == "0 of 0 known problems; 0 firing"
    assert first_error.count_after == "1 of 1 known problems; 1 firing"
    assert EXCEPTION in first_error.row
    assert "payment · POST /charges" in first_error.row
    assert first_error.navigations == 1


@pytest.mark.usefixtures("first_error")
def test_its_page_shows_the_failing_line_without_a_further_click(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name=EXCEPTION).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(EXCEPTION)
    line = failing_line(page)
    expect(line).to_be_visible()
    expect(line).to_contain_text("did not answer within 2 s")
    expect(line).to_have_class(re.compile(r"\bcause\b"))
    assert is_in_window(line)
    expect(page.locator(".waterfall .cause:not(.line)")).to_contain_text("payment POST /charges the error began here")
    record = page.locator("#at .record")
    expect(record).to_contain_text("Traceback (most recent call last)")
    expect(record).to_contain_text("TimeoutError: https://pay.example/v2/authorize did not answer within 2 s")


def test_a_trace_can_be_downloaded_in_every_form(page: Page, first_error: FirstError) -> None:
    page.goto(f"/traces/{first_error.trace_id}")
    expect(failing_line(page)).to_be_visible()
    forms = page.locator(".links a[href^='/traces/']").all_inner_texts()
    assert forms == ["JSON", "Text", "Zipkin's JSON"]
    downloaded = {}
    for form in forms:
        page.get_by_role("link", name=form, exact=True).click()
        page.wait_for_url(re.compile(r"\.(json|txt)$"))
        downloaded[form] = page.locator("pre").inner_text()
        page.go_back()
    assert first_error.trace_id in json.dumps(json.loads(downloaded["JSON"]))
    assert {span["traceId"] for span in json.loads(downloaded["Zipkin's JSON"])} == {first_error.trace_id}
    assert FAILING_LINE in downloaded["Text"]


def test_a_trace_leads_to_zipkin(page: Page, first_error: FirstError) -> None:
    page.goto(f"/traces/{first_error.trace_id}")
    zipkin = page.get_by_role("link", name="Trace in Zipkin").get_attribute("href")
    assert zipkin
    assert zipkin.endswith(f"/traces/{first_error.trace_id}")
    assert http_request("GET", zipkin).status == 200


def test_the_search_finds_a_trace_by_a_word_of_its_line(page: Page, first_error: FirstError) -> None:
    page.goto("/")
    page.get_by_role("link", name="Traces").click()
    page.get_by_label("Words in a log line").fill("authorized")
    page.get_by_role("button", name="Search").click()
    found = page.locator("table.results tbody tr", has=page.locator(f"a[href^='/traces/{first_error.trace_id}?at=']"))
    expect(found).to_contain_text(FAILING_LINE)
    found.get_by_role("link").click()
    row = page.locator("#at > .row")
    expect(row).to_contain_text(FAILING_LINE)
    assert page.url.endswith("#at")
    assert is_in_window(row)


def test_a_trace_id_leads_to_its_trace(page: Page, first_error: FirstError) -> None:
    page.goto("/traces")
    page.get_by_label("Trace id").fill(first_error.trace_id)
    page.get_by_role("button", name="Open").click()
    expect(failing_line(page)).to_be_visible()


def test_the_token_leads_to_the_page_that_was_asked_for(
    browser: Browser, guarded_page: str, first_error: FirstError
) -> None:
    with tab(browser, guarded_page) as page:
        page.goto(first_error.address)
        expect(page.get_by_label("The token of this page")).to_be_focused()
        page.keyboard.type("a wrong one")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("This is not the token.")
        page.get_by_label("The token of this page").fill(TOKEN)
        page.get_by_role("button", name="Continue").click()
        expect(failing_line(page)).to_be_visible()
        assert page.url == f"{guarded_page}{first_error.address}"


def test_without_elasticsearch_a_problem_has_the_lines_of_its_alert(
    browser: Browser, running_shop: Shop, first_error: FirstError, tmp_path: Path
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    with (
        running_shop.further_page(tmp_path / "page.log", TRACELINK_ELASTICSEARCH_URL=nobody) as url,
        tab(browser, url) as page,
    ):
        page.goto(first_error.address)
        expect(page.get_by_role("heading", level=1)).to_have_text(EXCEPTION)
        expect(page.locator("#problem .failure")).to_contain_text(nobody)
        expect(page.locator("#newest .lines")).to_contain_text(FAILING_LINE)


def test_without_script_the_same_is_there_after_a_reload(
    browser: Browser, running_shop: Shop, first_error: FirstError
) -> None:
    trace_id = running_shop.order_until_it_fails()
    with tab(browser, running_shop.page, script=False) as page:
        page.goto("/")
        page.get_by_role("link", name=EXCEPTION).click()
        newest = page.locator("#newest h2 a", has_text=trace_id)
        line = failing_line(page)
        whole = page.get_by_text(WHOLE_TRACE)
        wait_for("the trace", lambda: page.reload() and newest.count() and whole.count())
        expect(line).to_be_visible()
        fold = page.locator(".waterfall summary").first
        fold.click()
        expect(line).to_be_hidden()
        page.goto("/traces")
        page.get_by_label("Words in a log line").fill("authorized")
        page.keyboard.press("Enter")
        page.locator(f"a[href^='/traces/{first_error.trace_id}?at=']").click()
        expect(page.locator("#at > .row")).to_contain_text(FAILING_LINE)
        assert is_in_window(page.locator("#at > .row"))


def test_a_print_has_the_rows_and_not_the_navigation(page: Page, first_error: FirstError) -> None:
    page.goto(f"/traces/{first_error.trace_id}")
    page.emulate_media(media="print")
    for of_the_screen in page.locator("header, form, .skip").all():
        assert not of_the_screen.is_visible() or not is_in_window(of_the_screen)
    rows = page.locator(".waterfall .row")
    assert rows.count() == 17
    assert all(row.is_visible() for row in rows.all())
