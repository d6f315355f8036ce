"""The differences between clocks, against cases that are computed by the rules of Zipkin's `clock-skew.js`."""

from typing import Any

import pytest

from pipeline.analysis.span_tree import SpanTree
from sinks.page.clock_skew import clock_skews
from tests.kit.page import found, span

FRONTEND = {"serviceName": "frontend", "ipv4": "172.17.0.13"}
BACKEND = {"serviceName": "backend", "ipv4": "172.17.0.9"}
THIRD = {"serviceName": "third", "ipv4": "172.17.0.5"}


def skews(*spans: dict[str, Any]) -> dict[str, float]:
    """Return the skews by kind and id, as `SERVER 3`."""
    tree = SpanTree(found(spans).records())
    by_node = clock_skews(tree)
    return {
        f"{node.span.get('kind')} {node.span['id']}": by_node[id(node)] for node in tree.nodes if id(node) in by_node
    }


def call(client: dict[str, Any] | None = None, server: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the two sides of a call, of which the server's clock is 10 µs slow."""
    sides: list[dict[str, Any]] = [
        {"kind": "CLIENT", "localEndpoint": FRONTEND, "timestamp": 20, "duration": 20} | (client or {}),
        {"kind": "SERVER", "localEndpoint": BACKEND, "timestamp": 10, "duration": 10, "shared": True} | (server or {}),
    ]
    return [span("3", **side) for side in sides]


def test_the_latency_is_half_of_what_the_client_took_longer() -> None:
    assert skews(*call()) == {"SERVER 3": 10 - 20 - (20 - 10) / 2}


def test_a_server_without_its_own_span_id_is_compared_with_its_parent() -> None:
    client, server = call()
    assert skews(client, server | {"id": "4", "parentId": "3", "shared": None}) == {"SERVER 4": -15}


@pytest.mark.parametrize("missing", ["client", "server"])
def test_of_a_one_way_call_the_server_starts_a_microsecond_later(missing: str) -> None:
    assert skews(*call(**{missing: {"duration": None}})) == {"SERVER 3": 10 - 20 - 1}


def test_of_a_client_that_did_not_wait_the_server_starts_a_microsecond_later() -> None:
    assert skews(*call({"duration": 5})) == {"SERVER 3": 10 - 20 - 1}


@pytest.mark.parametrize("started", [21, 30])
def test_a_server_that_starts_later_has_no_skew(started: int) -> None:
    assert skews(*call(server={"timestamp": started})) == {}
    assert skews(*call({"duration": None}, {"timestamp": started})) == {}


def test_a_server_that_starts_with_its_client_is_late_by_the_latency_alone() -> None:
    assert skews(*call(server={"timestamp": 20})) == {"SERVER 3": -5}
    assert skews(*call(server={"timestamp": 20, "duration": 20})) == {}
    assert skews(*call(server={"timestamp": 20, "duration": None})) == {"SERVER 3": -1}


@pytest.mark.parametrize(
    ("client", "server"),
    [
        ({"timestamp": None}, {}),
        ({}, {"timestamp": None}),
        ({"kind": "PRODUCER"}, {"kind": "CONSUMER"}),
        ({"kind": None}, {}),
        ({"localEndpoint": None}, {}),
        ({}, {"localEndpoint": None}),
        ({}, {"localEndpoint": {"port": 80}}),
        ({}, {"localEndpoint": FRONTEND}),
    ],
)
def test_nothing_is_measured_without_times_kinds_and_two_hosts(client: dict[str, Any], server: dict[str, Any]) -> None:
    assert skews(*call(client, server)) == {}


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ({"ipv4": "192.168.99.101"}, {"ipv4": "192.168.99.101", "ipv6": "2001:db8::c001"}, True),
        ({"ipv6": "2001:db8::c001"}, {"ipv4": "192.168.99.101", "ipv6": "2001:db8::c001"}, True),
        ({"ipv4": "192.168.99.101"}, {"ipv4": "192.168.99.102"}, False),
        ({"ipv6": "2001:db8::c001"}, {"ipv6": "2001:db8::c002"}, False),
        ({"ipv4": "192.168.99.101"}, {"ipv6": "2001:db8::c001"}, False),
        ({"serviceName": "pay", "ipv4": "192.168.99.101"}, {"serviceName": "pay", "ipv4": "192.168.99.102"}, False),
        # Without an address on both sides the name decides.
        ({"serviceName": "pay"}, {"serviceName": "pay"}, True),
        ({"serviceName": "pay"}, {"serviceName": "cart"}, False),
        ({"serviceName": "pay", "ipv4": "192.168.99.101"}, {"serviceName": "pay"}, True),
        ({"serviceName": "pay", "ipv4": "192.168.99.101"}, {"serviceName": "cart"}, False),
        ({"ipv4": "192.168.99.101"}, {"serviceName": "cart"}, False),
    ],
)
def test_a_host_is_its_address_or_else_its_service(one: dict[str, str], other: dict[str, str], is_same: bool) -> None:  # noqa: FBT001 - a parameter
    for client, server in ((one, other), (other, one)):
        assert (skews(*call({"localEndpoint": client}, {"localEndpoint": server})) == {}) is is_same


def test_spans_below_on_the_same_host_get_the_skew_and_others_do_not() -> None:
    assert skews(
        *call(),
        span("4", "3", timestamp=11, localEndpoint=BACKEND),
        span("5", "4", timestamp=12, localEndpoint=BACKEND),
        span("6", "4", timestamp=12, localEndpoint=THIRD),
        span("7", "6", timestamp=12, localEndpoint=BACKEND),
        span("8", "9", timestamp=12, localEndpoint=BACKEND),
    ) == {"SERVER 3": -15, "None 4": -15, "None 5": -15, "None 7": -15}


def test_a_slow_clock_that_calls_on_is_corrected_before_the_next_one_is_measured() -> None:
    # The client at 11 + 15 = 26 was called before the third service at 24.
    onward = [
        span("4", "3", kind="CLIENT", timestamp=11, duration=4, localEndpoint=BACKEND),
        span("4", "3", kind="SERVER", timestamp=24, duration=2, localEndpoint=THIRD, shared=True),
        span("5", "4", timestamp=25, localEndpoint=THIRD),
    ]
    assert skews(*call(), *onward) == {
        "SERVER 3": -15,
        "CLIENT 4": -15,
        "SERVER 4": 24 - 26 - 1,
        "None 5": -3,
    }


def test_a_host_that_is_called_back_is_measured_once_more_as_zipkin_does() -> None:
    back = [
        span("5", "3", kind="CLIENT", timestamp=40, duration=4, localEndpoint=THIRD),
        span("5", "3", kind="SERVER", timestamp=20, duration=2, localEndpoint=BACKEND, shared=True),
        span("6", "5", timestamp=21, localEndpoint=BACKEND),
    ]
    second = (20 + 15) - 40 - 1
    assert skews(*call(), *back) == {"SERVER 3": -15, "SERVER 5": -15 + second, "None 6": second}


@pytest.mark.parametrize(
    "others",
    [
        [span("9", timestamp=1)],
        [span("9", timestamp=1), span("8", timestamp=1)],
    ],
)
def test_nothing_is_corrected_with_several_roots(others: list[dict[str, Any]]) -> None:
    assert skews(*call(), *others) == {}


def test_nothing_is_corrected_without_a_root() -> None:
    assert skews(*call({"parentId": "9"}, {"parentId": "9"})) == {}
    assert skews() == {}
    # A span whose caller is missing is no second root.
    assert skews(*call(), span("9", "8")) == {"SERVER 3": -15}


def test_a_deep_trace_is_corrected_to_its_end() -> None:
    below = [span(f"{number:x}", f"{number - 1:x}", localEndpoint=BACKEND) for number in range(4, 5_004)]
    assert skews(*call(), *below)[f"None {5_003:x}"] == -15
