"""Finds the spans of a batch that Zipkin lacks, by their ids."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from sinks.base.contract import Part, UnlinkedLog
from sinks.base.sampling import TailSampling
from sinks.verify.dead_lettered import DeadLettered, SpanKey, span_key
from sinks.verify.tally import Judged
from sinks.zipkin.client import Unreadable, ZipkinClient
from sinks.zipkin.settings import ZipkinSettings
from tracelink.model.records import TRACE_ID_CHARS, Flag, Span, print_trace_id, shown_trace_id

NAME = "zipkin"
# The request line has at most 4 KiB.
_TRACES_AT_ONCE = 100
# Zipkin reads at most 10,000 spans from Elasticsearch for a response, and does not report that there are more.
_SPANS_AT_ONCE = 2_000
_MOST_SPANS = 10_000
# If STRICT_TRACE_ID is false, Zipkin finds a trace by the lower half of its id, and returns its longest id.
_LOW = 16
# Ids to fill up a request for one trace. Single traces have another path, whose 404 could come from any other server.
_NONE_SUCH = ("f" * TRACE_ID_CHARS, "e" * TRACE_ID_CHARS)
_SETTLING = 5.0

Record = tuple[Part | UnlinkedLog, Judged]


class _Answer(NamedTuple):
    """Spans by the lower half of their trace id; `cut` is True if there may be more.

    `unreadable` has the traces that Zipkin has and cannot show.
    """

    spans: dict[str, set[SpanKey]]
    cut: bool
    unreadable: frozenset[str] = frozenset()


class ZipkinStore:
    """Looks up the spans that the sink would send with the same settings; raises Unavailable and Refused.

    Zipkin responds before it has stored spans, and its storage makes them searchable later. So spans count as missing
    at the earliest five seconds after this object was made: by then all spans sent before are searchable.

    `unseen` counts missing spans of traces that are too large for Zipkin to return completely, and `unreadable` those
    of traces that break its answer.
    """

    name = NAME

    def __init__(self, settings: ZipkinSettings, dead_lettered: DeadLettered) -> None:
        self._client = ZipkinClient(settings)
        self._sampling = TailSampling(settings.keep_share, settings.keep_slower_than)
        self._dead_lettered = dead_lettered
        self._settled_at: float | None = time.monotonic() + _SETTLING
        self.unseen = 0
        self.unreadable = 0

    def check(self) -> None:
        """Check that Zipkin is healthy."""
        self._client.check()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def judge(self, records: Sequence[Record]) -> None:
        """Count missing spans, dead letters, and spans that were sampled out."""
        for some in _requests(records, self._wants):
            answer = self._ask({_shown(span) for part, _ in some for span in part.trace["spans"]})
            lacking = [(part, judged) for part, judged in some if _missing(part, answer)]
            if lacking and self._settled_at is not None:
                time.sleep(max(0.0, self._settled_at - time.monotonic()))
                self._settled_at = None
                answer = self._ask({_shown(span) for part, _ in lacking for span in part.trace["spans"]})
            for part, judged in lacking:
                self._count(part, judged, self._ask_alone(part) if answer.cut else answer)

    def _wants(self, part: Part, judged: Judged) -> bool:
        """Decide like the sink's `write`."""
        kept = self._sampling.keeps(part.trace)
        if not kept:  # Elasticsearch's check, if there is one, has counted them too
            judged.counts.not_kept = max(judged.counts.not_kept, len(part.trace["spans"]))
        return kept and bool(part.trace["spans"])

    def _ask_alone(self, part: Part) -> _Answer:
        found = [self._ask({shown}) for shown in {_shown(span) for span in part.trace["spans"]}]
        return _joined(found)

    def _count(self, part: Part, judged: Judged, answer: _Answer) -> None:
        for key in _missing(part, answer):
            if self._dead_lettered.has(NAME, judged.position, key):
                judged.counts.dead_letters += 1
            elif not answer.unreadable.isdisjoint(_shown(span)[-_LOW:] for span in part.trace["spans"]):
                self.unreadable += 1
            elif answer.cut:
                self.unseen += 1
            else:
                judged.counts.missing_spans += 1

    def _ask(self, traces: set[str]) -> _Answer:
        asked = sorted(traces)
        if len(asked) == 1:
            asked.append(next(one for one in _NONE_SUCH if one not in traces))
        try:
            answer = self._client.traces(asked)
        except Unreadable:
            if len(traces) == 1:
                return _Answer({}, cut=False, unreadable=frozenset(one[-_LOW:] for one in traces))
            half = len(asked) // 2
            return _joined([self._ask(set(asked[:half])), self._ask(set(asked[half:]))])
        found: dict[str, set[SpanKey]] = {}
        count = 0
        for trace in answer:
            for span in trace:
                found.setdefault(span["traceId"][-_LOW:], set()).add(span_key(span["id"], span.get("kind")))
                count += 1
        return _Answer(found, count >= _MOST_SPANS)


def _joined(answers: Sequence[_Answer]) -> _Answer:
    return _Answer(
        {low: keys for one in answers for low, keys in one.spans.items()},
        any(one.cut for one in answers),
        frozenset().union(*(one.unreadable for one in answers)),
    )


def _missing(part: Part, answer: _Answer) -> set[SpanKey]:
    found: set[SpanKey] = set()
    for span in part.trace["spans"]:
        key = span_key(span["id"], span.get("kind"))
        if key not in answer.spans.get(_shown(span)[-_LOW:], ()):
            found.add(key)
    return found


def _shown(span: Span) -> str:
    """Return the trace id of a span as Zipkin stores it: 16 characters if it is short or its upper half is zero."""
    if span["flags"] & Flag.SHORT_ID:
        return print_trace_id(span["traceId"], span["flags"])
    return shown_trace_id(span["traceId"])


def _requests(records: Iterable[Record], wants: Callable[[Part, Judged], bool]) -> Iterator[list[tuple[Part, Judged]]]:
    """Yield the wanted parts of one request after the other, bounded by the numbers of traces and spans."""
    some: list[tuple[Part, Judged]] = []
    spans = 0
    for part, judged in records:
        if not isinstance(part, Part) or not wants(part, judged):
            continue
        more = len(part.trace["spans"])
        if some and (len(some) == _TRACES_AT_ONCE or spans + more > _SPANS_AT_ONCE):
            yield some
            some, spans = [], 0
        some.append((part, judged))
        spans += more
    if some:
        yield some
