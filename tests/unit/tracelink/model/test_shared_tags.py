"""Shared tags in a block of their own: every reader gets the tags that the record has."""

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.splice import decode, splice
from streams.dead_letters.walk import Leaf, walk
from tests.kit.records import log, span, trace_id
from tracelink.kafka.messages import RecordEncoder, fitting
from tracelink.kafka.topics import TopicNames
from tracelink.model.codec import HEADER_BYTES, LOG_RECORD, SPAN
from tracelink.model.encoding import encode_log, encode_span
from tracelink.model.records import LogRecord, Span
from tracelink.model.shared_tags import SharedTags

MESSAGES = RecordEncoder(TopicNames())
NAMES = st.sampled_from([*"abcdefghijkl", "é" * 300])
VALUES = st.sampled_from(["", "x", "é", "y" * 100])
SHARED = st.dictionaries(NAMES, VALUES, max_size=13).map(SharedTags)
CHANGES = st.lists(st.tuples(NAMES | st.text(max_size=3), st.none() | VALUES), max_size=20)
"""Tags that are set, or removed where there is no value."""
MANY = SharedTags({f"host.{number}": "x" for number in range(10)})


def tags_of(shared: SharedTags, changes: list[tuple[str, str | None]]) -> dict[str, str]:
    tags = shared.for_record()
    for name, value in changes:
        if value is None:
            tags.pop(name, None)
        else:
            tags[name] = value
    return tags


def both(tags: dict[str, str]) -> tuple[Span, LogRecord]:
    return span(1, tags=tags), log(1, fields=tags)


@given(SHARED, CHANGES)
def test_every_reader_gets_the_tags_of_the_record(shared: SharedTags, changes: list[tuple[str, str | None]]) -> None:
    before = list(shared.items())
    tags = tags_of(shared, changes)
    one, line = both(tags)
    written, logged = encode_span(one), encode_log(line)
    assert SPAN.decode(written) == SPAN.decode(SPAN.encode({**one, "tags": dict(tags)}))
    assert LOG_RECORD.decode(logged) == LOG_RECORD.decode(LOG_RECORD.encode({**line, "fields": dict(tags)}))

    # No name comes twice, so it does not matter if a reader keeps the first or the last one.
    leaves = cast("list[Leaf]", list(walk(SPAN.schema, written, HEADER_BYTES)))
    found = [(leaf.path[1], leaf.value) for leaf in leaves if len(leaf.path) == 2 and leaf.path[0] == "tags"]
    assert sorted(found) == sorted(tags.items())

    message = splice(
        flags=0, trace_id=trace_id(1), name="s0-0", opened=1, closed=2, reason=0, spans=[written], logs=[logged]
    )
    joined = decode(message)
    assert not joined.bad
    assert (joined.trace["spans"], joined.trace["logs"]) == ([SPAN.decode(written)], [LOG_RECORD.decode(logged)])

    assert list(shared.items()) == before


@pytest.mark.parametrize("changes", [[], [("own", "1")], [("a", "1"), ("b", "2"), ("a", None)]])
def test_shared_tags_are_a_block_that_is_encoded_once(changes: list[tuple[str, str | None]]) -> None:
    block = MANY.block
    one, line = both(tags_of(MANY, changes))
    assert (block in encode_span(one), block in encode_log(line)) == (True, True)
    assert MANY.block is block


@pytest.mark.parametrize(
    "changes", [[("host.3", "y")], [("host.3", None)], [("own", "1"), ("host.3", None), ("host.3", "x")]]
)
def test_shared_tags_that_a_record_changes_are_no_block(changes: list[tuple[str, str | None]]) -> None:
    one, line = both(tags_of(MANY, changes))
    assert (MANY.block in encode_span(one), MANY.block in encode_log(line)) == (False, False)


@pytest.mark.parametrize("missing", range(3))
def test_a_record_is_cut_at_the_same_size_and_in_the_same_way_as_with_one_block(missing: int) -> None:
    one, line = both(tags_of(MANY, [("own", "x" * 2000)]))
    plain, plain_line = one.copy(), line.copy()
    plain["tags"], plain_line["fields"] = dict(one["tags"]), dict(line["fields"])
    assert len(encode_span(one)) == len(encode_span(plain)) + 1

    most = len(MESSAGES.span(plain).value) + 128 - missing
    expected = fitting(MESSAGES.span(plain), plain, MESSAGES.span, most, "tags")
    assert fitting(MESSAGES.span(one), one, MESSAGES.span, most, "tags") == expected

    most = len(MESSAGES.log(plain_line).value) + 128 - missing
    expected = fitting(MESSAGES.log(plain_line), plain_line, MESSAGES.log, most, "fields")
    assert fitting(MESSAGES.log(line), line, MESSAGES.log, most, "fields") == expected
