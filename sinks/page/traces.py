"""Traces from Elasticsearch, kept for a moment: a person turns the pages of the same one."""

import threading
import time
from collections import OrderedDict

from sinks.elasticsearch.client import ElasticsearchClient
from sinks.page.waterfall import Waterfall
from sinks.trace.search import FoundTrace, fetch

LIMIT = 20_000
"""Most spans, and most log lines, of a trace."""
_FRESH_SECONDS = 1.5
_MOST_ROWS = 100_000
"""Rows of all kept traces: about 200 MB."""


class Traces:
    """Finds traces; any thread may call it. `within` is the seconds for all requests of a trace together."""

    def __init__(self, client: ElasticsearchClient, prefix: str, within: float) -> None:
        self._client = client
        self._within = within
        self._prefix = prefix
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, tuple[float, FoundTrace, Waterfall]] = OrderedDict()

    def find(self, trace_id: bytes) -> tuple[FoundTrace, Waterfall] | None:
        """Return a trace and its rows; None if Elasticsearch has nothing of it. Raises Unavailable."""
        with self._lock:
            kept = self._kept.get(trace_id)
        if kept is not None and time.monotonic() - kept[0] < _FRESH_SECONDS:
            return kept[1:]
        found = fetch(self._client, self._prefix, trace_id, LIMIT, until=time.monotonic() + self._within)
        if found is None:
            return None
        waterfall = Waterfall.of(found)
        with self._lock:
            self._kept[trace_id] = (time.monotonic(), found, waterfall)
            self._kept.move_to_end(trace_id)
            while len(self._kept) > 1 and sum(len(one.rows) for _, _, one in self._kept.values()) > _MOST_ROWS:
                self._kept.popitem(last=False)
        return found, waterfall
