"""Chromium of this machine, and a watch on what no page of ours may do."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright
from playwright.sync_api import Request as BrowserRequest

from tests.kit.waiting import PATIENCE
from tracelink.errors import UserError

VARIABLE = "TRACELINK_TEST_CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome")
# The first is for root, as whom CI runs; the others keep it from asking servers of its makers.
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What a page may not load or run by its Content-Security-Policy.
_REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`refused by the policy: ${event.violatedDirective} ${event.blockedURI}`));
"""


def find() -> str:
    """Return the path of Chromium. Raises UserError that says what to install."""
    named = os.environ.get(VARIABLE)
    found = shutil.which(named) if named else next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        missing = f"{VARIABLE} is {named}, which is no program" if named else f"none of {', '.join(_NAMES)} is on PATH"
        raise UserError(f"Chromium is missing: {missing}. Install Debian's package chromium, or set {VARIABLE}.")
    return found


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """Run Chromium while the context lasts."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def tab(browser: Browser, origin: str, *, script: bool = True) -> Iterator[Page]:
    """Open a tab with a profile of its own; AssertionError at the end if a page in it did what none may do.

    These are: a message in the console, an exception, a violation of its policy, a request to another origin.
    """
    context = browser.new_context(
        base_url=origin, viewport={"width": 1280, "height": 900}, color_scheme="light", java_script_enabled=script
    )
    context.set_default_timeout(PATIENCE * 1000)
    watch = Watch(context, origin)
    try:
        yield context.new_page()
        assert not watch.complaints, watch.complaints
    finally:
        context.close()


class Watch:
    """Notes what the pages of a context may not do."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.complaints: list[str] = []
        self._origin = origin
        context.add_init_script(_REPORT_VIOLATIONS)
        context.on("console", self._said)
        context.on("weberror", lambda error: self.complaints.append(f"exception: {error.error}"))
        context.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        # What Chromium says, whatever the page does, of one with the status of an error and of a network that is down.
        of_page = message.page is not None and message.location["url"] == message.page.url
        is_expected = of_page and message.text.startswith("Failed to load resource: the server responded with a status")
        if not is_expected and "net::ERR_INTERNET_DISCONNECTED" not in message.text:
            self.complaints.append(f"console: {message.text}")

    def _asked(self, request: BrowserRequest) -> None:
        if not request.url.startswith(f"{self._origin}/"):
            self.complaints.append(f"request: {request.url}")
