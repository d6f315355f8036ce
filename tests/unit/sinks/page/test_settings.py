"""The settings of the page that contradict each other."""

import pytest

from sinks.page.settings import PageSettings
from tracelink.errors import UserError

TOKEN = "0123456789abcdef"  # noqa: S105 - of a test
PROXY = {"page_user_header": "X-Forwarded-User", "page_proxies": "10.0.0.9/32"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"page_listen": "0.0.0.0:7070"}, r"^On 0\.0\.0\.0:7070 everybody.*TRACELINK_PAGE_TOKEN.*--page-proxies"),
        ({"page_listen": "[::]:7070"}, r"^On \[::\]:7070 everybody"),
        ({"page_listen": "10.0.0.5:7070"}, "everybody on the network"),
        ({"page_token": TOKEN[:-1]}, "^TRACELINK_PAGE_TOKEN has fewer than 16 characters"),
        ({"page_token": ""}, "^TRACELINK_PAGE_TOKEN has fewer than 16 characters"),
        ({"page_user_header": "X-User"}, "belong together"),
        ({"page_proxies": "10.0.0.9/32"}, "belong together"),
    ],
)
def test_an_open_door_is_refused(given: dict[str, str], said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        PageSettings.load(**given).check()
    assert "\n" not in error.value.message


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"page_listen": "127.1.2.3:7070"},
        {"page_listen": "[::1]:7070"},
        {"page_listen": "localhost:7070"},
        {"page_listen": "0.0.0.0:7070", "page_token": TOKEN},
        {"page_listen": "0.0.0.0:7070"} | PROXY,
        {"page_token": TOKEN} | PROXY,
    ],
)
def test_this_machine_a_token_or_a_proxy_is_enough(given: dict[str, str]) -> None:
    PageSettings.load(**given).check()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("page_listen", "7070"),
        ("page_listen", "page:7070"),
        ("page_user_header", "X User"),
        ("page_user_header", "X-User:"),
        ("page_proxies", "proxy"),
        ("page_proxies", "10.0.0.9/8"),
        ("store_timeout", "0"),
        ("max_searches", "0"),
        ("page_url", "javascript:alert(1)"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(UserError, match=f"TRACELINK_{name.upper()}"):
        PageSettings.load(**{name: value})


def test_a_token_is_not_printed() -> None:
    assert TOKEN not in repr(PageSettings.load(page_token=TOKEN))
