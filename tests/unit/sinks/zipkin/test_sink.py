"""The Zipkin sink against answers that a healthy Zipkin does not give."""

from pathlib import Path

import orjson
import pytest

from pipeline.formats.zipkin_json import zipkin_span
from sinks.base.contract import Batch, Outcome, Refused, Report
from sinks.zipkin.settings import ZipkinSettings
from sinks.zipkin.sink import ZipkinSink
from tests.kit.http_stub import Answer, Request, stub
from tests.kit.sink_examples import batch, log, new_trace_id, part, span
from tests.kit.sink_targets import metrics
from tracelink.errors import Unavailable, UserError
from tracelink.model.records import Flag


def sink(url: str, **settings: object) -> ZipkinSink:
    return ZipkinSink(ZipkinSettings.load(zipkin_url=url, **settings), metrics())


def write(answer: Answer, what: Batch, **settings: object) -> Report:
    """Write to what answers so to spans, and has no metrics."""
    with stub(lambda request: answer(request) if request.method == "POST" else (404, "")) as url:
        target = sink(url, **settings)
        try:
            return target.write(what)
        finally:
            target.close()


def one_span() -> Batch:
    return batch(part([span(new_trace_id())]))


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_an_overloaded_zipkin_is_unavailable(status: int) -> None:
    with pytest.raises(Unavailable, match=str(status)):
        write(lambda _: (status, "busy"), one_span())


@pytest.mark.parametrize(
    ("status", "setting"),
    [
        (200, "ZIPKIN_URL"),
        (401, "ZIPKIN_HEADERS"),
        (403, "ZIPKIN_HEADERS"),
        (404, "ZIPKIN_URL"),
        (301, "ZIPKIN_URL"),
        (418, "ZIPKIN_URL"),
    ],
)
def test_a_zipkin_that_refuses_everything_stops_the_sink_and_names_the_setting(status: int, setting: str) -> None:
    with pytest.raises(Refused, match=setting):
        write(lambda _: (status, "no"), one_span())


def test_a_redirect_is_not_followed_without_the_spans() -> None:
    with (
        stub(lambda _: (202, "")) as other,
        stub(lambda _: (303, ""), headers={"Location": f"{other}/login"}) as url,
        pytest.raises(Refused, match="303"),
    ):
        sink(url).write(one_span())


def test_a_zipkin_that_never_answers_is_unavailable_after_the_timeout(unanswering: str) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        sink(unanswering, request_timeout="0.1").write(one_span())


def test_text_goes_out_in_ascii_because_zipkin_garbles_other_characters_between_its_buffers() -> None:
    bodies: list[bytes] = []
    trace_id = new_trace_id()

    def answer(request: Request) -> tuple[int, object]:
        bodies.append(request.body)
        return 202, ""

    write(answer, batch(part([span(trace_id, tags={"dish": "naïve café 雪 \U0001f35c", "plain": "x"})])))
    assert bodies[0].isascii()
    assert orjson.loads(bodies[0])[0]["tags"] == {"dish": "naïve café 雪 \U0001f35c", "plain": "x"}


@pytest.mark.parametrize("status", [400, 413])
@pytest.mark.parametrize("bad", [0, 3, 7])
def test_refused_content_is_narrowed_down_to_the_one_span(status: int, bad: int) -> None:
    trace_id = new_trace_id()
    taken: list[str] = []

    def answer(request: Request) -> tuple[int, object]:
        ids = [one["id"] for one in orjson.loads(request.body)]
        if f"{bad:016x}" in ids:
            return status, "span too odd"
        taken.extend(ids)
        return 202, ""

    report = write(answer, batch(part([span(trace_id, f"{number:016x}") for number in range(8)])))
    (letter,) = report.dead_letters
    assert letter.kind == "span"
    assert "span too odd" in letter.error.detail
    assert taken == [f"{number:016x}" for number in range(8) if number != bad]
    assert report.records["span", Outcome.WRITTEN] == 7
    assert report.records["span", Outcome.DEAD_LETTER] == 1


def test_requests_are_bounded_in_bytes_and_together_hold_every_span_once() -> None:
    bodies: list[bytes] = []

    def answer(request: Request) -> tuple[int, object]:
        bodies.append(request.body)
        return 202, ""

    spans = [span(new_trace_id(), f"{number:016x}") for number in range(100)]
    report = write(answer, batch(*(part([one]) for one in spans)), batch_bytes="2KiB")
    assert len(bodies) > 5
    assert max(map(len, bodies)) <= 2048 + 200
    assert [one["id"] for body in bodies for one in orjson.loads(body)] == [one["id"] for one in spans]
    assert report.parts == [Outcome.WRITTEN] * 100


def test_a_part_that_is_too_large_for_one_request_goes_out_in_several() -> None:
    bodies: list[bytes] = []

    def answer(request: Request) -> tuple[int, object]:
        bodies.append(request.body)
        return 202, ""

    trace_id = new_trace_id()
    spans = [span(trace_id, f"{number:016x}") for number in range(100)]
    report = write(answer, batch(part(spans)), batch_bytes="2KiB")
    assert max(map(len, bodies)) <= 2048
    assert [one["id"] for body in bodies for one in orjson.loads(body)] == [one["id"] for one in spans]
    assert report.records == {("span", Outcome.WRITTEN): 100}


def test_a_part_without_spans_holds_nothing_for_zipkin() -> None:
    report = write(lambda _: (500, "not asked"), batch(part([], [log(new_trace_id())])))
    assert report.parts == [Outcome.NOT_KEPT]


def test_headers_are_sent_and_never_shown() -> None:
    seen: list[dict[str, str]] = []

    def answer(request: Request) -> tuple[int, object]:
        seen.append(request.headers)
        return 202, ""

    write(answer, one_span(), zipkin_headers="Authorization: Bearer s3cret; X-Scope-OrgID: shop")
    assert seen[0]["authorization"] == "Bearer s3cret"
    assert seen[0]["x-scope-orgid"] == "shop"
    with pytest.raises(UserError) as caught:
        sink("http://127.0.0.1", zipkin_headers="X-Good: 1; s3cret")
    assert "s3cret" not in str(caught.value)
    assert "header 2" in str(caught.value)


def test_a_file_without_certificates_is_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="TRACELINK_ZIPKIN_CA"):
        sink("https://127.0.0.1", zipkin_ca=tmp_path / "absent.pem")


def test_an_unhealthy_zipkin_does_not_pass_the_check() -> None:
    with stub(lambda _: (503, {"status": "DOWN"})) as url, pytest.raises(Unavailable, match="503"):
        sink(url).check()


def test_a_span_is_printed_as_it_came() -> None:
    short = bytes(8) + bytes.fromhex("00f067aa0ba902b7")
    shown = zipkin_span(
        span(
            short,
            flags=int(Flag.SHORT_ID | Flag.ERROR),
            parentId=None,
            localEndpoint={"serviceName": "cart", "ipv4": None, "port": 80},
            tags={"error": ""},
            annotations=[],
        )
    )
    assert shown == {
        "traceId": "00f067aa0ba902b7",
        "id": "00000000000000a1",
        "kind": "SERVER",
        "name": "get /cart",
        "timestamp": 1_767_225_600_000_000,
        "duration": 20_000,
        "localEndpoint": {"serviceName": "cart", "port": 80},
        "tags": {"error": ""},
    }
    assert zipkin_span(span(short, flags=0))["traceId"] == "000000000000000000f067aa0ba902b7"
