"""Who may see the page."""

from collections.abc import Mapping

import pytest
from starlette.requests import Request

from sinks.page.access import COOKIE, Access
from sinks.page.settings import PageSettings

TOKEN, OTHER = "0123456789abcdef", "fedcba9876543210"
PROXY = {"page_user_header": "X-Forwarded-User", "page_proxies": "10.0.0.9/32, 2001:db8::/64"}


def access(**given: str) -> Access:
    return Access(PageSettings.load(**given))


def allows(
    which: Access, headers: Mapping[str, str] | None = None, *, host: str = "127.0.0.1:7070", peer: str | None = None
) -> bool:
    given = {"host": host} | dict(headers or {})
    scope = {
        "type": "http",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in given.items()],
        "client": (peer, 50_000) if peer else None,
    }
    return which.allows(Request(scope))


def cookie(value: str | None) -> dict[str, str]:
    return {"cookie": f"other=1; {COOKIE}={value}"}


def test_with_a_token_only_its_cookie_opens_the_page() -> None:
    page = access(page_token=TOKEN)
    assert page.asks_for_token
    right = page.cookie(TOKEN)
    assert right
    assert TOKEN not in right
    assert allows(page, cookie(right))
    # By any name: the token is enough.
    assert allows(page, cookie(right), host="page.example.org")
    assert not allows(page)
    for wrong in ("", TOKEN, right[:-1], right.upper(), "é", "\x00"):
        assert not allows(page, cookie(wrong))


@pytest.mark.parametrize("wrong", ["", TOKEN[:-1], TOKEN + " ", TOKEN.upper(), "é" * 16, OTHER])
def test_a_wrong_token_gives_no_cookie(wrong: str) -> None:
    assert access(page_token=TOKEN).cookie(wrong) is None
    assert access().cookie(wrong) is None


def test_a_new_token_ends_all_sessions() -> None:
    old = access(page_token=TOKEN).cookie(TOKEN)
    assert not allows(access(page_token=OTHER), cookie(old))
    assert not allows(access(**PROXY), cookie(old))


def test_a_token_in_any_characters_is_one() -> None:
    page = access(page_token="пароль-пароль-16")  # noqa: S106 - of a test
    assert allows(page, cookie(page.cookie("пароль-пароль-16")))


@pytest.mark.parametrize(
    ("peer", "user", "allowed"),
    [
        ("10.0.0.9", "ann", True),
        ("2001:db8::7", "ann", True),
        # The proxy as a server that listens on all addresses of both kinds sees it.
        ("::ffff:10.0.0.9", "ann", True),
        ("10.0.0.8", "ann", False),
        ("::ffff:10.0.0.8", "ann", False),
        ("127.0.0.1", "ann", False),
        ("10.0.0.9", "", False),
        ("10.0.0.9", None, False),
        ("unix", "ann", False),
        (None, "ann", False),
    ],
)
def test_a_user_is_believed_from_a_named_proxy_alone(peer: str | None, user: str | None, allowed: bool) -> None:  # noqa: FBT001 - a parameter
    headers = {} if user is None else {"x-forwarded-user": user}
    page = access(**PROXY)
    assert not page.asks_for_token
    assert allows(page, headers, peer=peer) is allowed
    # Beside a token it is one of two ways.
    both = access(page_token=TOKEN, **PROXY)
    assert allows(both, headers, peer=peer) is allowed
    assert allows(both, headers | cookie(both.cookie(TOKEN)), peer=peer)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1:7070", True),
        ("127.0.0.1", True),
        ("localhost:7070", True),
        ("LOCALHOST:7070", True),
        ("[::1]:7070", True),
        ("page.example.org", True),
        ("evil.example.org:7070", False),
        ("localhost.evil.example.org", False),
        ("127.0.0.1@evil.example.org", False),
        ("127.0.0.2:7070", False),
        ("", False),
        ("[", False),
        ("[::1", False),
        ("]:80", False),
    ],
)
def test_without_a_token_the_request_names_this_machine(host: str, allowed: bool) -> None:  # noqa: FBT001 - a parameter
    assert allows(access(page_url="https://page.example.org/"), host=host) is allowed


def test_only_the_own_names_are_taken() -> None:
    assert not allows(access(), host="page.example.org")
    assert allows(access(page_listen="127.1.2.3:7070"), host="127.1.2.3:7070")
    assert not access().asks_for_token
