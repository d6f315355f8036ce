"""Chromium, the shop, and its first error as the page showed it."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect

from pipeline.local.stack import Endpoints
from tests.browser.chromium import chromium, find, tab
from tests.browser.shop import Shop, shop
from tests.browser.story import WHOLE_TRACE, served
from tests.kit.waiting import PATIENCE, wait_for
from tracelink.errors import UserError

TOKEN = "a-token-of-the-tests"  # noqa: S105 - it guards nothing

expect.set_options(timeout=PATIENCE * 1000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    try:
        path = find()
    except UserError as error:
        pytest.exit(error.message, returncode=pytest.ExitCode.USAGE_ERROR)
    with chromium(path) as running:
        yield running


# The browser comes first: where it is missing, no server starts.
@pytest.fixture(scope="session")
def running_shop(browser: Browser, stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    assert browser.is_connected()
    with shop(stack, tmp_path_factory.mktemp("shop")) as running:
        yield running


@dataclass(frozen=True)
class FirstError:
    """The shop's first error, whose trace can be found, and the list of problems that was open before it."""

    trace_id: str
    address: str
    """The path of the problem's page."""
    count_before: str
    count_after: str
    row: str
    """The text of the problem's row."""
    navigations: int
    """How often the tab went to an address."""


@pytest.fixture(scope="session")
def first_error(browser: Browser, running_shop: Shop) -> FirstError:
    with tab(browser, running_shop.page) as page:
        navigations: list[str] = []
        page.on("framenavigated", lambda frame: navigations.append(frame.url))
        page.goto("/")
        count = page.locator(".count")
        count_before = count.inner_text()
        trace_id = running_shop.order_until_it_fails()
        row = page.locator("table.problems tbody tr")
        address = row.get_by_role("link").get_attribute("href")
        assert address is not None
        seen = FirstError(trace_id, address, count_before, count.inner_text(), row.inner_text(), len(navigations))
    wait_for("the whole trace", lambda: WHOLE_TRACE in served(f"{running_shop.page}/traces/{trace_id}"))
    return seen


@pytest.fixture
def page(browser: Browser, running_shop: Shop) -> Iterator[Page]:
    """Give a tab that must not complain; see `tab`."""
    with tab(browser, running_shop.page) as opened:
        yield opened


@pytest.fixture(scope="session")
def guarded_page(running_shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a page that asks for a token."""
    log = tmp_path_factory.mktemp("guarded") / "page.log"
    with running_shop.further_page(log, TRACELINK_PAGE_TOKEN=TOKEN) as url:
        yield url
