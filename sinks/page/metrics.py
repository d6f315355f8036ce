"""The metrics of the page."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from pipeline.runtime.buckets import SECONDS


class PageMetrics:
    """The metrics of the page; `page` is `problems`, `problem`, `traces` (a search) or `trace`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "tracelink_page_requests",
            "Requests that were answered, by page (problems, problem, traces, trace) and HTTP status.",
            ("page", "status"),
            registry=registry,
        )
        self.duration = Histogram(
            "tracelink_page_request_duration_seconds",
            "Time from a request to its answer, by page.",
            ("page",),
            buckets=SECONDS,
            registry=registry,
        )
        for page in ("problems", "problem", "traces", "trace"):
            self.duration.labels(page)
