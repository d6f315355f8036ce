"""Spans as Zipkin gets them: unchanged but for what would break it, which stays whole elsewhere."""

import copy

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats.zipkin_json import zipkin_span
from sinks.zipkin.span_json import CHANGED, encode
from tests.kit.sink_examples import ERRORED, START, span
from tests.kit.strategies import spans
from tracelink.model.records import Span

TRACE = bytes.fromhex("2fc062ebaaaa099deb0bd0b9f8975326")
LONGEST = 32_766


def sent(**fields: object) -> dict[str, object]:
    made = span(TRACE, "00000000000000a1", **fields)
    before = copy.deepcopy(made)
    (found,) = orjson.loads(encode([made]))
    assert made == before
    return dict(found)


def test_an_ordinary_span_is_not_changed() -> None:
    made = span(TRACE, tags={"dish": "naïve café 雪 \U0001f35c"}, annotations=[{"timestamp": 1, "value": "retry"}])
    assert orjson.loads(encode([made])) == [zipkin_span(made)]


@pytest.mark.parametrize("time", [0, -1, -(2**63)])
def test_an_annotation_without_a_time_gets_that_of_its_span(time: int) -> None:
    found = sent(annotations=[{"timestamp": time, "value": "retry"}, {"timestamp": START + 5, "value": "done"}])
    assert found["annotations"] == [{"timestamp": START + 5, "value": "done"}, {"timestamp": START, "value": "retry"}]
    assert found["tags"] == {"http.method": "GET", CHANGED: "1 annotations without a time have the span's"}


@pytest.mark.parametrize("time", [None, 0, -5])
def test_without_a_time_of_the_span_it_is_left_out(time: int | None) -> None:
    found = sent(timestamp=time, annotations=[{"timestamp": 0, "value": "retry"}, {"timestamp": 9, "value": "done"}])
    assert found["annotations"] == [{"timestamp": 9, "value": "done"}]
    assert found["tags"] == {"http.method": "GET", CHANGED: "1 annotations without a time left out"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("café\u2028au lait", "café\nau lait"),
        ("\u2029雪\u2028\u2028", "\n雪\n\n"),
        ("plain\u2028", "plain\n"),
        ("\\u2028 é", "\\u2028 é"),
    ],
)
def test_separators_that_zipkin_counts_wrongly_are_line_breaks(text: str, shown: str) -> None:
    found = sent(
        name=text,
        localEndpoint={"serviceName": text},
        tags={text: text},
        annotations=[{"timestamp": 5, "value": text}],
    )
    assert (found["name"], found["localEndpoint"], found["tags"]) == (shown, {"serviceName": shown}, {shown: shown})
    assert found["annotations"] == [{"timestamp": 5, "value": shown}]


@pytest.mark.parametrize("letter", ["x", "é", "雪", "\U0001f35c", "İ", "Ⱥ", "\u2028é"])
def test_names_are_cut_to_the_longest_keyword_of_elasticsearch(letter: str) -> None:
    text = letter * (LONGEST // 2)
    found = sent(name=text, localEndpoint={"serviceName": text}, remoteEndpoint={"serviceName": text})
    services = [found[side]["serviceName"] for side in ("localEndpoint", "remoteEndpoint")]  # type: ignore[index]  # an object
    for name in (found["name"], *services):
        assert isinstance(name, str)
        assert len(name.lower().encode()) <= LONGEST
        assert name == text or name.endswith("…")
    if len(text.lower().encode()) > LONGEST:
        assert found["tags"] == {
            "http.method": "GET",
            CHANGED: "name cut, localEndpoint.serviceName cut, remoteEndpoint.serviceName cut",
        }
    else:
        assert found["tags"] == {"http.method": "GET"}


def test_a_name_of_the_longest_size_is_whole_and_one_more_byte_is_cut() -> None:
    assert sent(name="x" * LONGEST)["name"] == "x" * LONGEST
    assert sent(name="x" * (LONGEST + 1))["name"] == "x" * (LONGEST - 3) + "…"


def test_names_of_tags_are_cut_and_stay_apart() -> None:
    long = "k" * 60_000
    found = sent(tags={f"{long}1": "a", f"{long}2": "b", "k": "c"})
    cut = "k" * (LONGEST - 3) + "…"
    assert found["tags"] == {cut: "a", f"{cut}'": "b", "k": "c", CHANGED: "2 names of tags cut"}


def test_a_name_that_was_cut_takes_no_other_tags_place() -> None:
    cut = "k" * (LONGEST - 3) + "…"
    assert sent(tags={"k" * 60_000: "a", cut: "b"})["tags"] == {
        f"{cut}'": "a",
        cut: "b",
        CHANGED: "1 names of tags cut",
    }


def test_values_that_together_break_a_search_are_cut() -> None:
    value = "v" * 1_000_000
    found = sent(
        tags={"body": value, "query": value, "k": "v" * LONGEST},
        annotations=[{"timestamp": 5, "value": value}, {"timestamp": 6, "value": "done"}],
    )
    cut = "v" * (LONGEST - 3) + "…"
    assert found["annotations"] == [{"timestamp": 5, "value": cut}, {"timestamp": 6, "value": "done"}]
    assert found["tags"] == {"body": cut, "query": cut, "k": "v" * LONGEST, CHANGED: "1 annotations cut, 2 tags cut"}


@pytest.mark.parametrize("text", ["false", "False", "no", "NULL", "0", " false "])
def test_an_error_tag_that_says_no_is_left_out_unless_the_span_is_errored(text: str) -> None:
    assert sent(tags={"error": text, "a": "b"})["tags"] == {"a": "b"}
    assert sent(tags={"error": text})["tags"] == {}
    assert sent(tags={"error": text, "a": "b"}, flags=ERRORED)["tags"] == {"error": text, "a": "b"}


@pytest.mark.parametrize("text", ["", "true", "no such card", "500"])
def test_an_error_tag_that_says_so_stays(text: str) -> None:
    assert sent(tags={"error": text}, flags=ERRORED)["tags"] == {"error": text}


@given(st.lists(spans(), max_size=3))
def test_any_span_is_json_in_ascii_with_readable_annotations_and_no_separators(some: list[Span]) -> None:
    body = encode(some)
    assert body.isascii()
    found = orjson.loads(body)
    assert len(found) == len(some)
    for one in found:
        assert all(each["timestamp"] > 0 for each in one.get("annotations", ()))
        text = orjson.dumps(one).decode()
        assert "\u2028" not in text
        assert "\u2029" not in text
