"""What several tests look for on the pages: the shop's failing line, and how often its problem was seen."""

import re

from playwright.sync_api import Locator, Page

from tests.kit.http import http_request

EXCEPTION = "producers.demo.services.GatewayError"
FAILING_LINE = "Exception on /charges [POST]"
"""What Flask logs in payment, with the exception."""
WHOLE_TRACE = "9 spans and 8 log lines of 5 services"


def failing_line(page: Page) -> Locator:
    return page.locator(".waterfall .line", has_text=FAILING_LINE)


def count_of_problem(page: Page) -> Locator:
    """Find the cell of the list that says how often the problem was seen."""
    return page.locator("table.problems td.number")


def served_count(url: str) -> int:
    """Return how often the problem was seen, as the server says it at this moment."""
    found = re.search(r'<td class="number">(\d+)</td>', served(f"{url}/"))
    return int(found[1]) if found else 0


def served(url: str) -> str:
    """Return what the server answers at this moment."""
    return http_request("GET", url).data.decode()


def is_in_window(element: Locator) -> bool:
    """Return True if all of an element is visible without scrolling."""
    box, size = element.bounding_box(), element.page.viewport_size
    assert box
    assert size
    fits_across = box["x"] >= 0 and box["x"] + box["width"] <= size["width"]
    return fits_across and box["y"] >= 0 and box["y"] + box["height"] <= size["height"]
