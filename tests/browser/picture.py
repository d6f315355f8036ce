"""`python -m tests.browser.picture`: take the picture of the README, a problem's page down to the failing line."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page

from pipeline.local.ports import Ports
from pipeline.local.stack import Stack
from tests.browser.chromium import chromium, find, tab
from tests.browser.shop import Shop, shop
from tests.browser.story import EXCEPTION, WHOLE_TRACE
from tests.kit.pages import DOCS
from tracelink.errors import UserError

PICTURE = DOCS / "page.png"
MOST_BYTES = 200_000
_WIDTH = 1200


def main() -> None:
    """Run the shop on servers of its own, and take the picture of its first error."""
    try:
        path = find()
    except UserError as error:
        sys.exit(error.message)
    with TemporaryDirectory(prefix="tracelink-picture-") as made:
        directory = Path(made)
        with (
            Stack(directory / "servers", ports=Ports(kafka=0, zipkin=0, elasticsearch=0)) as stack,
            shop(stack.start(), directory) as running,
            chromium(path) as browser,
            tab(browser, running.page) as page,
        ):
            take(page, running)


def take(page: Page, shop: Shop) -> None:
    """Let the shop fail, and write the picture of the problem's page."""
    page.set_viewport_size({"width": _WIDTH, "height": 2 * _WIDTH})
    page.goto("/")
    shop.order_until_it_fails()
    page.get_by_role("link", name=EXCEPTION).click()
    page.get_by_text(WHOLE_TRACE).wait_for()
    # From here on follow paths of this machine: the line's stack trace.
    end = page.locator("#at .record dt", has_text="stack trace").bounding_box()
    assert end
    page.screenshot(path=PICTURE, clip={"x": 0, "y": 0, "width": _WIDTH, "height": int(end["y"])})
    size = PICTURE.stat().st_size
    assert size <= MOST_BYTES, f"{PICTURE} has {size:,} bytes, more than {MOST_BYTES:,}"


if __name__ == "__main__":
    main()
