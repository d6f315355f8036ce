"""Fingerprints: the same for the same problem, whatever numbers and names its message has; others for others."""

import subprocess
import sys
from time import thread_time
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.problems import RootCause
from streams.alerts.fingerprint import VALID_ADD, VALID_IGNORE, Fields, fingerprint, normalised

USUAL = Fields()


def failed(**fields: object) -> RootCause:
    made: dict[str, object] = {
        "service": "payment",
        "operation": "POST /charge",
        "exception": "shop.Declined",
        "message": "card declined",
        "httpStatus": "500",
        "grpcStatus": None,
        "peer": "bank",
        "logger": "shop.Charge",
        "tags": {"region": "eu", "customer": "gold"},
    }
    return cast("RootCause", made | fields)


def test_a_fingerprint_is_sixteen_hex_characters_and_stays_what_it_is() -> None:
    # Written down: a new release or another Python must not tell of all problems anew.
    assert fingerprint(failed(), USUAL) == "6c503deab4ff8f9f"
    assert fingerprint(failed(message="naïve 7 \U0001f600", operation=None), USUAL) == "2eadcc06905179ca"


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    code = (
        "from streams.alerts.fingerprint import Fields, fingerprint\n"
        f"print(fingerprint({dict(failed())!r}, Fields(add=('tags.region', 'peer'), ignore=frozenset({{'message'}}))))"
    )
    made = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(made) == 1


@pytest.mark.parametrize("name", ["service", "operation", "exception", "message"])
def test_service_operation_exception_and_message_make_it_unless_they_are_ignored(name: str) -> None:
    assert fingerprint(failed(**{name: "other"}), USUAL) != fingerprint(failed(), USUAL)
    ignoring = Fields(ignore=frozenset({name}))
    assert fingerprint(failed(**{name: "other"}), ignoring) == fingerprint(failed(), ignoring)


@pytest.mark.parametrize("name", ["httpStatus", "grpcStatus", "peer", "logger"])
def test_other_fields_make_it_only_where_they_are_added(name: str) -> None:
    assert fingerprint(failed(**{name: "other"}), USUAL) == fingerprint(failed(), USUAL)
    adding = Fields(add=(name,))
    assert fingerprint(failed(**{name: "other"}), adding) != fingerprint(failed(), adding)


def test_a_tag_makes_it_only_where_it_is_added() -> None:
    other = failed(tags={"region": "us", "customer": "gold"})
    assert fingerprint(other, USUAL) == fingerprint(failed(), USUAL)
    assert fingerprint(other, Fields(add=("tags.customer",))) == fingerprint(failed(), Fields(add=("tags.customer",)))
    assert fingerprint(other, Fields(add=("tags.region",))) != fingerprint(failed(), Fields(add=("tags.region",)))
    assert fingerprint(failed(tags={}), Fields(add=("tags.region",))) != fingerprint(
        other, Fields(add=("tags.region",))
    )


def test_the_order_of_what_is_added_does_not_matter() -> None:
    assert fingerprint(failed(), Fields(add=("peer", "tags.region"))) == fingerprint(
        failed(), Fields(add=("tags.region", "peer"))
    )


def test_all_names_that_are_valid_have_an_effect() -> None:
    for name in VALID_ADD:
        assert fingerprint(failed(), Fields(add=(name,))) != fingerprint(failed(), USUAL)
    for name in VALID_IGNORE:
        assert fingerprint(failed(), Fields(ignore=frozenset({name}))) != fingerprint(failed(), USUAL)


def test_the_same_text_in_another_field_is_another_problem() -> None:
    assert fingerprint(failed(service="a", operation="b"), USUAL) != fingerprint(
        failed(service="b", operation="a"), USUAL
    )
    assert fingerprint(failed(service=None, operation="a"), USUAL) != fingerprint(
        failed(service="a", operation=None), USUAL
    )


def test_an_empty_field_is_none() -> None:
    for name in VALID_IGNORE:
        assert fingerprint(failed(**{name: ""}), USUAL) == fingerprint(failed(**{name: None}), USUAL)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("GET /orders/4711", "GET /orders/4712"),
        ("/orders/305d6bc7-3d48-423d-b446-1361eac43da3/items", "/orders/d5c672a0-352f-7241-8763-dadb2bb25210/items"),
        ("GET /orders/4711?page=2", "GET /orders/4711"),
        ("GET /users/ann@example.com", "GET /users/bob@example.org"),
        ("com.shop.Cart$$Lambda$14/0x0000000800c03000", "com.shop.Cart$$Lambda$7/0x00000008012a4c10"),
    ],
)
def test_operations_that_differ_by_an_id_are_one(one: str, other: str) -> None:
    assert fingerprint(failed(operation=one), USUAL) == fingerprint(failed(operation=other), USUAL)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("GET /orders/4711", "GET /carts/4711"),
        ("GET /orders/4711", "DELETE /orders/4711"),
        ("GET /orders/4711", "GET /orders/4711/items"),
        ("GET /orders", "GET /orders/4711"),
    ],
)
def test_operations_on_other_paths_are_others(one: str, other: str) -> None:
    assert fingerprint(failed(operation=one), USUAL) != fingerprint(failed(operation=other), USUAL)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("order 4711 not found", "order * not found"),
        ("order -4.5e-3 of 1,234.50 at 90%", "order * of * at *"),
        ("timed out after 950 ms", "timed out after *"),
        ("timed out after 1.2s", "timed out after *"),
        ("needs 10 MiB, has 512kB", "needs *, has *"),
        ("no order 305d6bc7-3d48-423d-b446-1361eac43da3", "no order *"),
        ("no order 305D6BC73D48423DB4461361EAC43DA3!", "no order *!"),
        ("at 0x7f3a, 0Xdead and deadbeef", "at * and *"),
        ("no answer from 10.0.0.17:8080", "no answer from *"),
        ("no answer from [2001:db8::ff00:42:8329]:443, ::1 or fe80::1%eth0", "no answer from * or *"),
        ("no answer from ::ffff:10.0.0.17", "no answer from *"),
        ("no user 'bob', \"ann\" or `cat`", "no user * or *"),
        ("no user “bob” «ann» \u2018cat\u2019", "no user *"),
        ("can't do it, won't do it", "can't do it, won't do it"),
        ("cannot open /var/lib/shop/4711.db: No such file", "cannot open *: No such file"),
        ("cannot open ~/x, ../y or C:\\Users\\bob\\z.txt", "cannot open * or *"),
        ("I/O error, and/or text/html", "I/O error, and/or text/html"),
        ("GET https://bank.example/charge?id=7 failed", "GET * failed"),
        ("no mail to ann.b+c@mail.example.com", "no mail to *"),
        ("expired 2023-01-29T09:22:18.572802085Z, 2023-01-29 09:22:18,572 +01:00", "expired *"),
        ("17:22:18.572 ERROR late since 2023-01-29", "* ERROR late since *"),
        ("password [redacted password] of [redacted]", "password * of *"),
        ("no seats on D1345 but on G1234", "no seats on * but on *"),
        ("no session a8Kq2LmX", "no session *"),
        ("no session V1StGXR8Z5jdHi6BmyT or hKqLmXzRtYwPbNcV7s", "no session * or *"),
        ("no pod ts-basic-service-5dc8d4f9fd-zqvjb", "no pod ts-basic-service-*"),
        ("no utf8 in s3 by Http11Processor", "no utf* in s* by Http*Processor"),
        ("missing [1, 2, 3]", "missing [*]"),
        ("  two \t\n lines ", "two lines"),
        ("no stock\n\tat shop.Stock.take(Stock.java:7)\n\tat shop.Web", "no stock"),
        ("no stock\nTraceback (most recent call last):\n  File", "no stock"),
        ("std::vector is empty, key a:b", "std::vector is empty, key a:b"),
        ("", ""),
    ],
)
def test_what_varies_in_a_message_is_replaced_and_the_rest_stays(message: str, expected: str) -> None:
    assert normalised(message) == expected


IDS = st.one_of(
    st.integers(0, 10**12).map(str),
    st.floats(0, 1e6, allow_nan=False).map(lambda number: f"{number:.3f}"),
    st.integers(0, 10**6).map(lambda number: f"{number}ms"),
    st.uuids().map(str),
    st.uuids().map(lambda one: one.hex),
    st.integers(0, 2**64).map(hex),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
    st.ip_addresses(v=6).map(lambda one: f"[{one}]:8080"),
    st.datetimes().map(lambda time: time.isoformat()),
    st.from_regex(r"[a-z]{1,8}(\.[a-z]{1,8})?@[a-z]{1,8}\.(com|org)", fullmatch=True),
    st.from_regex(r'"[a-zA-Z :,.]{0,30}"', fullmatch=True),
    st.from_regex(r"(/[a-z]{1,9}){1,4}\.(txt|db)", fullmatch=True),
    st.from_regex(r"https?://[a-z]{1,9}\.com(:[0-9]{2,4})?(/[a-z0-9]{1,9}){0,3}", fullmatch=True),
    st.sampled_from(["[redacted]", "[redacted email]", "[redacted card]"]),
)


@given(IDS, IDS)
def test_messages_that_differ_only_in_an_id_of_any_kind_are_one_problem(one: str, other: str) -> None:
    for text in ("order {} not found", "{} refused", "no answer from {}", "(order {}, again)", "[id: {}] is gone"):
        assert normalised(text.format(one)) == normalised(text.format(other)), text


@given(st.text())
def test_any_text_can_be_normalised_and_again(text: str) -> None:
    assert len(normalised(text)) <= len(text)
    fingerprint(failed(message=text, operation=text, exception=text), USUAL)


def test_where_a_cut_message_ends_does_not_matter() -> None:
    one, other = (f"order {number} is lost: {'and so on ' * 200}"[:1000] for number in ("7", "4711" * 5))
    assert fingerprint(failed(message=one), USUAL) == fingerprint(failed(message=other), USUAL)


@pytest.mark.parametrize(
    "unit",
    [
        "a", "1", "a1", "1a", "'", '"', "/", "a/", "@", "a@", "a.", ":", "a:", "f:", "ff:", "1:", "-", "1-", "1.", "1,",
        "+1", "1e", "0x", "[", "[redacted", "\\", "C:\\", "*", "µ", "é", "a-b", "~/", "../", "http://", "\n", "\t", " ",
    ],
)  # fmt: skip
def test_no_text_takes_long(unit: str) -> None:
    text = (unit * 100_000)[:100_000]
    start = thread_time()
    normalised(text)
    fingerprint(failed(operation=text, message=text), USUAL)
    assert thread_time() - start < 0.05
