"""The verdict of `tracelink demo --once`, on made-up findings."""

from collections import Counter
from dataclasses import replace

import pytest

from producers.demo.check import Found, Joined, Lines, judge
from producers.demo.load import Answered
from producers.demo.shop import ERRORED_LINES, SPANS

_REQUESTS = [Answered("good", failed=False), Answered("bad", failed=True)]
_WHOLE = Found(
    joined={"good": Joined(9, errored=False), "bad": Joined(9, errored=True)},
    flagged={"bad", "somebody else's"},
    flagged_are_all=True,
    spans={"bad": SPANS},
    lines={"bad": Lines(ERRORED_LINES)},
)


def test_all_is_well_where_all_is_found() -> None:
    verdict = judge(_REQUESTS, [], _WHOLE)
    assert verdict.problems == ()
    assert (verdict.requests, verdict.failed, verdict.joined, verdict.flagged) == (2, 1, 2, 1)
    assert (verdict.flagged_wrongly, verdict.in_zipkin, verdict.in_elasticsearch) == (0, 1, 1)


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (replace(_WHOLE, joined={"bad": Joined(9, errored=True)}), "good: expected"),
        (replace(_WHOLE, joined={**_WHOLE.joined, "good": Joined(8, errored=False)}), "good: expected"),
        (replace(_WHOLE, joined={**_WHOLE.joined, "good": Joined(18, errored=False)}), "good: expected"),
        (replace(_WHOLE, joined={**_WHOLE.joined, "good": Joined(9, errored=True)}), "good: expected"),
        (replace(_WHOLE, flagged=set()), "bad: failed, but was not flagged"),
        (replace(_WHOLE, flagged={"bad", "good"}), "good: flagged, but had not failed"),
        (replace(_WHOLE, flagged_are_all=False), "was not read to its end"),
        (replace(_WHOLE, spans={}), "bad: Zipkin lacks"),
        (replace(_WHOLE, spans={"bad": SPANS - Counter({("payment", "SERVER"): 1})}), "lacks 1 x payment SERVER"),
        (replace(_WHOLE, spans={"bad": SPANS + SPANS}), "2 x checkout CLIENT"),
        (replace(_WHOLE, lines={}), "bad: Elasticsearch lacks"),
        (replace(_WHOLE, lines={"bad": Lines(ERRORED_LINES, unmarked=1)}), "1 lines are not marked"),
    ],
)
def test_what_is_missing_or_too_much_is_a_problem(found: Found, problem: str) -> None:
    (said,) = judge(_REQUESTS, [], found).problems
    assert problem in said


def test_a_request_without_an_answer_is_a_problem() -> None:
    verdict = judge(_REQUESTS, ["connection refused"], _WHOLE)
    assert verdict.problems == ("a request was not answered: connection refused",)
    assert verdict.requests == 3
