"""The table of the loggers' names."""

import pytest

from pipeline.formats.names import CONTAINERS, LOGGERS, Part, canonical, holds_lists, places


@pytest.mark.parametrize("name", ["trace_id", "traceId", "TraceId", "trace.id", "trace-id", "_trace_id", "TRACE_ID"])
def test_names_are_compared_by_their_letters(name: str) -> None:
    assert canonical(name) == "traceid"
    assert [place.part for place in places(name)] == [Part.TRACE_ID]


@pytest.mark.parametrize("logger", LOGGERS, ids=lambda logger: logger.title)
def test_each_name_of_a_row_stands_for_its_part(logger: object) -> None:
    named = list(logger.names())  # type: ignore[attr-defined]  # a row of the table
    assert named
    for part, name in named:
        assert part in [place.part for place in places(name)]


def test_the_names_of_earlier_rows_are_tried_first() -> None:
    ranks = {
        name: place.rank for name in ("@timestamp", "time", "ts") for place in places(name) if place.part is Part.TIME
    }
    assert sorted(ranks, key=ranks.__getitem__) == ["@timestamp", "time", "ts"]


@pytest.mark.parametrize("container", CONTAINERS)
def test_ids_and_services_are_found_in_a_container_after_the_lines_own(container: str) -> None:
    (inner,), (own,) = places(f"{container}.spanId"), places("spanId")
    assert inner.part is own.part is Part.SPAN_ID
    assert inner.rank != own.rank or container in ("otel", "record")
    assert holds_lists(container)


@pytest.mark.parametrize("name", ["extra.name", "user.name", "context.date", "labels.time", "order.id", "x"])
def test_other_names_mean_something_of_the_applications_own(name: str) -> None:
    assert not places(name)


def test_only_datadogs_names_have_decimals() -> None:
    assert [place.decimal for name in ("dd.trace_id", "x-datadog-trace-id", "trace_id") for place in places(name)] == [
        True,
        True,
        False,
    ]
