"""Lines inside of what runtimes and shippers wrap around them."""

import orjson
import pytest

from pipeline.formats.envelopes import Entry, opened, opened_text

INNER = {"time": "2026-11-20T08:15:30.123456Z", "level": "error", "msg": "charge failed"}
TEXT = orjson.dumps(INNER).decode()


@pytest.mark.parametrize(
    ("outer", "others", "time"),
    [
        (
            {"log": TEXT + "\n", "stream": "stderr", "time": "2026-11-20T08:15:31Z"},
            {"stream": "stderr", "envelope.time": "2026-11-20T08:15:31Z"},
            "2026-11-20T08:15:31Z",
        ),
        (
            {"@timestamp": "2026-11-20T08:15:31Z", "message": TEXT, "log": {"offset": 7}},
            {"envelope.@timestamp": "2026-11-20T08:15:31Z", "log": {"offset": 7}},
            "2026-11-20T08:15:31Z",
        ),
        (
            {"MESSAGE": TEXT, "PRIORITY": "6", "__REALTIME_TIMESTAMP": "1795162530123456", "_PID": "7"},
            {"envelope.PRIORITY": "6", "envelope.__REALTIME_TIMESTAMP": "1795162530123456", "_PID": "7"},
            "1795162530123456",
        ),
        ({"log": TEXT, "kubernetes": {"pod_name": "p"}}, {"kubernetes": {"pod_name": "p"}}, None),
        ({"line": TEXT, "job": "pay"}, {"job": "pay"}, None),
        ({"event": INNER, "sourcetype": "json", "host": "h"}, {"sourcetype": "json", "host": "h"}, None),
    ],
)
def test_a_line_in_an_envelope_is_the_record_and_the_rest_its_fields(
    outer: dict[str, object], others: dict[str, object], time: str | None
) -> None:
    assert opened(outer, None) == Entry({**INNER, **others}, time)


def test_an_exported_document_is_opened() -> None:
    assert opened({"_index": "logs", "_id": "1", "_source": INNER}, None).fields == {
        **INNER,
        "_index": "logs",
        "_id": "1",
    }


def test_a_name_on_both_sides_keeps_both_values() -> None:
    assert opened({"log": '{"msg":"x","stream":"in"}', "stream": "out"}, None).fields == {
        "msg": "x", "stream": "in", "stream'": "out",
    }  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        {"level": "info", "message": '{"level":"error","message":"x"}'},
        {"level": "info", "message": "2026-11-20 ERROR x"},
        {"@timestamp": "2026-11-20T08:15:31Z", "message": "ERROR: x"},
        {"log": {"level": "error"}, "message": "x"},
    ],
)
def test_a_loggers_own_line_is_no_envelope(line: dict[str, object]) -> None:
    assert opened(line, None) == Entry(line, None)


def test_plain_text_in_an_envelope_is_a_line_of_text() -> None:
    entry = opened({"log": "plain words\n", "stream": "stdout", "time": "2026-11-20T08:15:31Z"}, None)
    assert (entry.fields["message"], entry.time, entry.text) == ("plain words", "2026-11-20T08:15:31Z", True)


@pytest.mark.parametrize(
    "prefix", ["[pod/pay-7f/pay]", "pay-1  |", "2026-11-20T08:15:30.223Z\t03f9781d\tERROR", "pay-7f pay"]
)
def test_json_behind_a_prefix_is_the_record(prefix: str) -> None:
    entry = opened_text(f"{prefix} {TEXT}", None)
    assert {name: entry.fields[name] for name in INNER} == INNER
    assert entry.fields["prefix"] == prefix
    assert not entry.text


def test_json_that_a_line_of_text_is_about_is_no_record() -> None:
    line = 'charged {"order":7,"sum":9.5}'
    assert opened_text(line, None).fields["message"] == line
