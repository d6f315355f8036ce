"""Card numbers: which digits are one, and which are an id."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analysis.redaction import Redactor
from pipeline.analysis.secret_patterns import MARK

redactor = Redactor()


def card(start: str, length: int) -> str:
    """Return a number of this length with a valid check digit."""
    digits = start.ljust(length - 1, "7")
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[::-2])
    return digits + str(-(doubled + sum(map(int, digits[-2::-2]))) % 10)


def redacts(number: str) -> bool:
    return redactor.redact(f"charged {number} at noon") == f"charged {MARK} at noon"


@pytest.mark.parametrize(
    ("issuer", "starts", "lengths"),
    [
        ("Visa", ["4"], {13, 16, 19}),
        ("Mastercard", ["51", "55", "2221", "2229", "2230", "2399", "26", "2700", "2719", "2720"], {16}),
        ("American Express", ["34", "37"], {15}),
        ("Diners Club", ["300", "305", "3095", "36", "38", "39"], {14, 16, 19}),
        ("Discover", ["6011", "644", "649", "65"], {16, 17, 18, 19}),
        ("JCB", ["3528", "3589"], {16, 17, 18, 19}),
        ("UnionPay", ["62", "622126", "622925"], {16, 17, 18, 19}),
        ("Maestro", ["5018", "5893", "6304", "6759", "6763"], {13, 14, 15, 16, 17, 18, 19}),
        ("Mir", ["2200", "2204"], {16, 17, 18, 19}),
        ("RuPay", ["508", "60"], {16}),
        ("Dankort", ["5019"], {16}),
        ("nobody", ["0", "1", "7", "8", "9", "2220", "2721", "31", "33", "306", "59", "66", "69"], set()),
    ],
)
def test_a_card_has_a_prefix_and_a_length_of_its_issuer(issuer: str, starts: list[str], lengths: set[int]) -> None:
    for start in starts:
        assert {length for length in range(12, 21) if redacts(card(start, length))} == lengths, issuer


@pytest.mark.parametrize(
    "number", ["4539578763621486", "4539 5787 6362 1486", "4539-5787-6362-1486", "378282246310005", "3782 822463 10005"]
)
def test_one_wrong_digit_is_no_card(number: str) -> None:
    assert redacts(number)
    assert not redacts(number[:-1] + str((int(number[-1]) + 1) % 10))


@pytest.mark.parametrize(
    "name",
    [
        "dd.span_id", "dd.trace_id", "span_id", "spanId", "spanID", "SpanId", "SPAN_ID", "traceid", "X-Request-ID",
        "x-datadog-parent-id", "id", "order.id", "orderId", "items[0].id", "ids", "orderIds", "uuid", "jobUuid",
        "dd.span", "trace", "company_id", "panic.id", "user-id", "userid",
    ],
)  # fmt: skip
def test_a_number_under_the_name_of_an_id_stays(name: str) -> None:
    given_fields = {name: "4539578763621486", f"x.{name}": "[4539578763621486, 4111111111111111]"}
    assert redactor.redact_map(given_fields) is given_fields


@pytest.mark.parametrize(
    "name",
    [
        "number", "note", "paid", "prepaid", "valid", "grid", "void", "orderPaid", "BID", "span_id.of", "card",
        "card_id", "cardId", "credit-card.id", "panId", "pan.id", "cc_id", "account",
    ],
)  # fmt: skip
def test_a_card_under_any_other_name_is_redacted(name: str) -> None:
    assert redactor.redact_map({name: "4539578763621486"}) == {name: MARK}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("4539 5787 6362 1486", MARK),
        ("4539-5787-6362-1486", MARK),
        ("of 4539578763621486", f"of {MARK}"),
        ("bob@example.com", MARK),
        ("", ""),
    ],
)
def test_under_the_name_of_an_id_only_a_bare_number_is_one(value: str, shown: str) -> None:
    assert redactor.redact_map({"user.id": value}) == {"user.id": shown}


def test_a_pattern_of_the_user_also_counts_for_ids() -> None:
    assert Redactor(patterns=["4539[0-9]+"]).redact_map({"user.id": "4539578763621486"}) == {"user.id": MARK}


@pytest.mark.parametrize(
    "text",
    [
        "dd.trace_id=4539578763621486 dd.span_id=4111111111111111",
        '{"span_id":"4539578763621486","trace_id": 4111111111111111}',
        r"{\"spanId\":\"4539578763621486\"}",
        "x-datadog-parent-id: 4539578763621486",
        "Request ID: 4539578763621486",
        "a share of 0.4539578763621486",
    ],
)
def test_an_id_of_tracing_in_a_text_stays(text: str) -> None:
    assert redactor.redact(text) is text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("id=4539578763621486", f"id={MARK}"),
        ("order id: 4539578763621486", f"order id: {MARK}"),
        ("span_id=1 card=4539578763621486", f"span_id=1 card={MARK}"),
        ("span_id=4539 5787 6362 1486", f"span_id={MARK}"),
        ("the span_id 4539578763621486", f"the span_id {MARK}"),
        ("no.4539578763621486", f"no.{MARK}"),
        ("dd.span_id=4111111111111111, card 4539578763621486", f"dd.span_id=4111111111111111, card {MARK}"),
    ],
)
def test_a_card_in_a_text_is_redacted_whatever_else_it_says(text: str, shown: str) -> None:
    assert redactor.redact(text) == shown


@given(st.integers(0, 10**20), st.sampled_from(["span_id", "dd.trace_id", "orderId", "uuid"]))
def test_no_number_of_an_id_changes(number: int, name: str) -> None:
    fields = {name: str(number)}
    assert redactor.redact_map(fields) is fields
