"""What the tests hold against a page: they notice it."""

from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route

from tests.browser.chromium import VARIABLE, find, tab
from tests.browser.shop import Shop
from tracelink.errors import UserError

_FORBIDDEN = {
    "<script>1</script>": "refused by the policy: script-src-elem inline",
    '<p style="color: red">': "refused by the policy: style-src-attr inline",
    '<script src="/static/broken.js"></script>': "exception",
    '<script src="/static/chatty.js"></script>': "console: a word",
    '<img src="https://elsewhere.example/x.png">': "request: https://elsewhere.example/x.png",
}
_SCRIPTS = {"broken.js": "broken(", "chatty.js": "console.log('a word')"}


def open_list_with(html: str, browser: Browser, shop: Shop) -> None:
    """Open the list of problems with something more in it."""

    def change(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace("</main>", f"{html}</main>"))

    with tab(browser, shop.page) as page:
        page.route(f"{shop.page}/", change)
        for name, script in _SCRIPTS.items():
            page.route(f"**/{name}", partial(_fulfil, script))
        page.goto("/")


def _fulfil(script: str, route: Route) -> None:
    route.fulfill(body=script, content_type="text/javascript")


@pytest.mark.parametrize("html", _FORBIDDEN)
def test_a_tab_notices_what_no_page_may_do(browser: Browser, running_shop: Shop, html: str) -> None:
    with pytest.raises(AssertionError, match=_FORBIDDEN[html]):
        open_list_with(html, browser, running_shop)


def test_a_missing_chromium_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(UserError, match="Install Debian's package chromium"):
        find()
    monkeypatch.setenv(VARIABLE, "/nowhere/chromium")
    with pytest.raises(UserError, match="/nowhere/chromium, which is no program"):
        find()


def test_a_chromium_that_is_named_goes_before_those_on_the_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("chromium", "own"):
        (tmp_path / name).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(VARIABLE, raising=False)
    assert find() == str(tmp_path / "chromium")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "own"))
    assert find() == str(tmp_path / "own")
