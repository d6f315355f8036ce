"""Occurrences: an errored trace reduced to where its error began, redacted and bounded."""

import re
from collections import Counter
from typing import Any, cast

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.model.problems import OCCURRENCE, Occurrence, RootCause
from streams.alerts.fingerprint import Fields, fingerprint
from streams.alerts.occurrence import Redact, located, occurrence
from tests.kit.datasets import needs_shared
from tests.kit.records import log, span
from tests.kit.traces import CLOSED, any_trace, rearranged, recorded_traces, tangled_trace, trace
from tracelink.model.records import LogRecord, Span, Trace

START = 1_767_225_600_000_000
A, B, C = "00000000000000a1", "00000000000000b2", "00000000000000c3"
USUAL = Fields()


def plain(text: str) -> str:
    return text


def hidden(text: str) -> str:
    """Redact what tests call a secret: `SECRET` and six digits, and what a password is set to."""
    return re.sub(r"password=\S+", "password=[redacted]", re.sub(r"SECRET\d{6}", "[redacted]", text))


def made(whole: Trace, fields: Fields = USUAL, redact: Redact = plain) -> Occurrence:
    found = occurrence(whole, fields, redact)
    assert found is not None
    return found


def failed(**fields: object) -> Span:
    usual: dict[str, Any] = {
        "errored": True,
        "id": B,
        "parentId": A,
        "name": "POST /charge",
        "timestamp": START + 10,
        "duration": 50,
        "localEndpoint": {"serviceName": "payment"},
        "tags": {},
    }
    return span(1, **usual | fields)


def line(message: str, **fields: object) -> LogRecord:
    usual: dict[str, Any] = {"message": message, "spanId": B, "service": "payment", "timestamp": START + 20}
    return log(1, **usual | fields)


def root(**fields: object) -> Span:
    usual: dict[str, Any] = {
        "root": True,
        "id": A,
        "name": "GET /",
        "timestamp": START,
        "duration": 100,
        "localEndpoint": {"serviceName": "web"},
    }
    return span(1, **usual | fields)


def test_nothing_errored_is_no_occurrence() -> None:
    assert occurrence(trace([root()], [line("well")]), USUAL, plain) is None
    assert occurrence(trace(), USUAL, plain) is None


def test_an_occurrence_tells_where_the_error_began_and_what_it_said() -> None:
    tags = {"http.status_code": "503", "grpc.status_code": "14"}
    call = failed(kind="CLIENT", tags=tags, remoteEndpoint={"serviceName": "bank"})
    before = line("charging", timestamp=START + 15)
    error = line("failed", errored=True, logger="shop.Charge", exception={"type": "Declined", "message": "no money"})
    found = made(trace([root(), call], [error, before]))
    assert found == {
        "fingerprint": fingerprint(found, USUAL),
        "traceId": bytes(15) + b"\1",
        "flags": 3,
        "time": CLOSED,
        "duration": 100,
        "service": "payment",
        "operation": "POST /charge",
        "exception": "Declined",
        "message": "no money",
        "httpStatus": "503",
        "grpcStatus": "14",
        "peer": "bank",
        "logger": "shop.Charge",
        "tags": tags,
        "services": ["payment", "web"],
        "root": "web GET /",
        "lines": [
            {"timestamp": START + 15, "service": "payment", "level": "INFO", "message": "charging"},
            {"timestamp": START + 20, "service": "payment", "level": "ERROR", "message": "failed (Declined: no money)"},
        ],
    }


def test_the_root_is_the_client_where_a_server_shares_its_id() -> None:
    client = root(kind="CLIENT", localEndpoint={"serviceName": "app"})
    server = root(kind="SERVER", shared=True, timestamp=START - 10)
    assert made(trace([server, client, failed()]))["root"] == "app GET /"


def test_of_several_roots_it_is_the_one_that_began_first() -> None:
    other = root(id=C, timestamp=START - 1, name="poll")
    assert made(trace([root(), other, failed()]))["root"] == "web poll"


def test_without_a_root_there_is_none() -> None:
    assert made(trace([failed()]))["root"] is None


def test_the_same_problem_through_different_callers_has_one_fingerprint() -> None:
    def through(caller: str, time: int) -> Trace:
        call = failed(kind="CLIENT", localEndpoint={"serviceName": caller})
        server = failed(kind="SERVER", shared=True, timestamp=time, tags={"error": f"no order {time}"})
        return trace([root(), call, server], closed=time)

    assert made(through("shop", START))["fingerprint"] == made(through("admin", START + 7))["fingerprint"]


def test_texts_are_bounded() -> None:
    long = "ab cd " * 1000
    tags = {f"tag-{number:03}": long for number in range(100)} | {"n" * 1000: "x"}
    call = failed(kind="CLIENT", name=long, tags=tags, remoteEndpoint={"serviceName": long})
    error = line(long, errored=True, level=long, logger=long, exception={"type": long, "message": long})
    spans = [
        root(name=long),
        call,
        *(root(id=f"{n:016x}", timestamp=START + 1, localEndpoint={"serviceName": f"s{n}"}) for n in range(99)),
    ]
    found = made(trace(spans, [error, *(line(f"{n} {long}", timestamp=START + n) for n in range(20))]))
    assert len(found["message"] or "") == 1000
    assert len(found["tags"]) == 30
    assert {len(text) for text in found["tags"].values()} == {200}
    assert len(found["lines"]) == 10
    assert {len(one["message"]) for one in found["lines"]} == {500}
    assert [one["level"] == "INFO" for one in found["lines"]] == [True] * 9 + [False]
    assert len(found["services"]) == 50
    for text in (found["operation"], found["exception"], found["peer"], found["logger"], found["root"]):
        assert len(text or "") == 200
    assert len(OCCURRENCE.encode(found)) < 20_000


def test_errored_lines_are_kept_before_others_and_the_oldest_comes_first() -> None:
    calm = [line(f"calm {number}", timestamp=START + number) for number in range(12)]
    errors = [line(f"error {number}", errored=True, timestamp=START + 20 + number) for number in range(4)]
    found = [one["message"] for one in made(trace([failed()], [*errors, *calm]))["lines"]]
    assert found == [*(f"calm {number}" for number in range(6, 12)), *(f"error {number}" for number in range(4))]


def test_of_many_tags_those_of_the_fingerprint_are_kept() -> None:
    tags = {f"tag {number:02}": "x" for number in range(40)}
    found = made(trace([failed(tags=tags | {"zone": "eu", "process.pid": "7"})]), Fields(add=("tags.process.pid",)))
    assert found["tags"].keys() == {*sorted(tags)[:29], "process.pid"}


def test_of_many_tags_the_common_ones_go_first() -> None:
    tags = {f"telemetry.{number}": "x" for number in range(20)} | {f"tag {number:02}": "x" for number in range(28)}
    found = made(trace([failed(tags=tags | {"zone": "eu"})]))
    assert "zone" in found["tags"]
    assert sum(name.startswith("telemetry.") for name in found["tags"]) == 1


def test_every_text_is_redacted() -> None:
    secret = "SECRET123456"  # noqa: S105 - what the test hides
    call = failed(
        kind="CLIENT",
        name=secret,
        tags={"a": secret, "http.status_code": secret, "rpc.grpc.status_code": secret},
        localEndpoint={"serviceName": secret},
        remoteEndpoint={"serviceName": secret},
    )
    error = line(
        secret, errored=True, service=secret, level=secret, logger=secret, exception={"type": secret, "message": secret}
    )
    found = made(trace([root(name=secret, localEndpoint={"serviceName": secret}), call], [error]), redact=hidden)
    assert secret not in str(found)
    assert found["root"] == "[redacted] [redacted]"


def test_a_tag_is_redacted_by_its_name() -> None:
    found = made(trace([failed(tags={"db.password": "hunter2", "b": "password=hunter2"})]), redact=hidden)
    assert found["tags"] == {"db.password": "[redacted]", "b": "password=[redacted]"}


@given(st.integers(0, 1100))
def test_no_cut_leaves_half_a_secret(start: int) -> None:
    text = "x" * start + "SECRET123456" + "y" * 1200
    call = failed(name=text, tags={"a": text})
    error = line(text, errored=True, logger=text, exception={"type": text, "message": text})
    assert "SECRET" not in str(made(trace([call], [error]), redact=hidden))


@given(any_trace())
def test_any_errored_trace_can_be_encoded(whole: Trace) -> None:
    found = occurrence(whole, USUAL, plain)
    assume(found is not None)
    assert found is not None
    assert OCCURRENCE.decode(OCCURRENCE.encode(found)) == found


@given(st.integers(-(2**70), 2**70), st.integers(-(2**70), 2**70), st.integers(-(2**70), 2**70))
def test_times_that_no_record_has_can_be_encoded(start: int, took: int, closed: int) -> None:
    records = [failed(timestamp=start, duration=took), root()], [line("x", errored=True, timestamp=start)]
    found = made(trace(*records, closed=closed))
    assert OCCURRENCE.decode(OCCURRENCE.encode(found)) == found


@given(st.data(), tangled_trace())
def test_neither_order_nor_repeats_change_an_occurrence(data: st.DataObject, whole: Trace) -> None:
    assert occurrence(data.draw(rearranged(whole)), USUAL, plain) == occurrence(whole, USUAL, plain)


@needs_shared
def test_the_errored_traces_of_train_ticket_are_four_problems() -> None:
    found = [one for whole in recorded_traces("trainticket") if (one := occurrence(whole, USUAL, plain)) is not None]
    assert len(found) == 47
    problems = Counter((one["fingerprint"], one["service"], one["operation"]) for one in found)
    assert sorted((count, *names) for (_, *names), count in problems.items()) == [
        (1, "ts-execute-service", "ExecuteControlller.executeTicket"),
        (1, "ts-preserve-other-service", "/api/v1/preserveotherservice/preserveOther"),
        (7, "ts-food-service", "FoodController.getAllFood"),
        (38, "ts-basic-service", "BasicController.queryForTravels"),
    ]
    said = {one["service"]: one["message"] or "" for one in found}
    assert said["ts-basic-service"] == "[getRoutesByRouteIds][Get Route By Ids Failed]"
    assert said["ts-food-service"].startswith(
        "[getAllFood][Get the Get Food Request Failed!][foodStoresListResult is null]"
    )
    assert said["ts-preserve-other-service"] == "No instances available for ts-basic-service"
    assert said["ts-execute-service"].startswith(
        "[ticketExecute][getOrderByIdFromOrder][ticket execute error: Order Status"
    )
    thrown = {one["service"]: one["exception"] for one in found if one["exception"]}
    assert thrown == {"ts-preserve-other-service": "java.lang.IllegalStateException"}
    assert all(one["root"] == "ts-gateway-service /*" for one in found)
    assert all(any(shown["level"] == "ERROR" for shown in one["lines"]) for one in found)


@needs_shared
def test_the_problems_of_train_ticket_are_recognised_by_their_fingerprints_of_version_1() -> None:
    traces = recorded_traces("trainticket")
    for whole in traces:
        for one in whole["logs"]:
            one["exception"] = None  # version 1 came with a reader of lines that found none in a text
    found = [problem for whole in traces if (problem := located(whole, USUAL, plain)) is not None]
    # Written down when version 1 was the only one.
    assert Counter((problem.occurrence["service"], problem.former) for problem in found) == {
        ("ts-basic-service", "e41591c5d47d2bfa"): 38,
        ("ts-food-service", "b2da42142505c94a"): 7,
        ("ts-preserve-other-service", "6af9a8f16bfd2141"): 1,
        ("ts-execute-service", "e2f9239ba185a7ef"): 1,
    }


def test_a_problem_has_a_former_fingerprint_only_if_its_line_is_read_otherwise_than_before() -> None:
    whole = trace([failed(name="pay")], [line("no card", errored=True)])
    one = located(whole, USUAL, plain)
    assert one is not None
    assert one.former is None
    header = "2026-11-20 08:15:30.123 [main] ERROR shop.Pay - "
    other = located(trace([failed(name="pay")], [line(f"{header}no card", errored=True)]), USUAL, plain)
    assert other is not None
    assert other.occurrence["fingerprint"] == one.occurrence["fingerprint"]
    assert other.former == fingerprint(cast("RootCause", {**other.occurrence, "message": f"{header}no card"}), USUAL)


@pytest.mark.parametrize(
    "header",
    [
        "2026-11-20 08:15:30.123 [main] ERROR shop.Pay - ",
        "2026-11-20T08:15:30.123+01:00 ERROR 1 --- [exec-1] [6bdb73cbaaaad82de7c4ca622575c8ca-84b9310dfffaf4e3] s : ",
        "17:22:12.291 ERROR s.Pay#7 TraceID: 3001be7d4dd710e91cf22b2c3cd52097 SpanID: c44f826aef3c11cf ",
        "E1120 08:15:30.123456       1 pay.go:7] ",
    ],
)
def test_a_fingerprint_does_not_depend_on_the_layout_of_a_line(header: str) -> None:
    def of(message: str) -> str:
        found = made(trace([failed(name="pay")], [line(message, errored=True)]))
        return found["fingerprint"]

    assert of(header + "no card") == of("no card")
    assert of(header + "failed; nested exception is a.BError: no card") == of("a.BError: no card")
