"""Metrics of the traced services: requests, errors and durations, and calls between services."""

from collections import Counter as Tally
from collections.abc import Iterable
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram

from pipeline.analysis.span_tree import SENDING, by_side, caller_of
from pipeline.runtime.buckets import SECONDS
from sinks.elasticsearch.settings import ElasticsearchSettings
from tracelink.model.records import Flag, Trace, print_trace_id, service_of

OTHER = "other"


class Request(NamedTuple):
    """One request that a service answered, or one message that it consumed."""

    service: str
    operation: str
    seconds: float
    errored: bool


class ServiceCall(NamedTuple):
    """One call from a service to another."""

    client: str
    server: str
    errored: bool


class Observed(NamedTuple):
    """The requests and calls in a part of a trace."""

    requests: list[Request]
    calls: list[ServiceCall]


def observe(trace: Trace) -> Observed:
    """Return the requests and calls in a part.

    A request is a span by which a trace enters a service: a server or consumer span, or one without a kind that is the
    root or whose parent is of another service. If its parent is of another service, it is a call, too. A client or
    producer span without a matching span in this part is a call to its remote endpoint: a database, or another service
    that sends no spans.
    """
    found = Observed([], [])
    callers, answering = by_side(trace["spans"])
    answered: set[str] = set()
    for span in trace["spans"]:
        kind = span.get("kind")
        if kind in SENDING:
            continue
        parent = caller_of(span, callers, answering)
        service, caller = service_of(span), service_of(parent) if parent else None
        if not service or not (kind or span["flags"] & Flag.ROOT or (caller and caller != service)):
            continue
        if parent:
            answered.add(parent["id"])
        errored = bool(span["flags"] & Flag.ERROR)
        found.requests.append(Request(service, span.get("name") or "", (span.get("duration") or 0) / 1e6, errored))
        if caller and caller != service:
            found.calls.append(ServiceCall(caller, service, errored))
    for span in callers.values():
        remote = span.get("remoteEndpoint")
        if span.get("kind") in SENDING and remote and span["id"] not in answered:
            client, server = service_of(span), remote.get("serviceName")
            if client and server and client != server:
                found.calls.append(ServiceCall(client, server, bool(span["flags"] & Flag.ERROR)))
    return found


class ServiceMetrics:
    """Metrics of the traced services, from their spans: requests, errors, durations, and calls between them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        by_operation = ("service", "operation")
        self.errors = Counter(
            "tracelink_service_failed_requests",
            "Errored requests to a service.",
            by_operation,
            registry=registry,
        )
        self.duration_seconds = Histogram(
            "tracelink_service_request_duration_seconds",
            "Durations of all requests to a service. Exemplars are trace ids.",
            by_operation,
            buckets=SECONDS,
            registry=registry,
        )
        self.calls = Counter(
            "tracelink_service_calls",
            "Calls from one service to another.",
            ("client", "server"),
            registry=registry,
        )
        self.failed_calls = Counter(
            "tracelink_service_failed_calls",
            "Errored calls from one service to another.",
            ("client", "server"),
            registry=registry,
        )


class ServiceMetricsRecorder:
    """Counts requests and calls, under a bounded number of names."""

    def __init__(self, metrics: ServiceMetrics, most: int) -> None:
        self._metrics = metrics
        self._most = most
        self._operations: dict[tuple[str, str], tuple[Histogram, Counter]] = {}
        self._calls: dict[tuple[str, str], tuple[Counter, Counter]] = {}

    @classmethod
    def of(cls, settings: ElasticsearchSettings, registry: CollectorRegistry) -> "ServiceMetricsRecorder | None":
        """Return the recorder for these settings, or None if `service_metrics` is false."""
        return cls(ServiceMetrics(registry), settings.max_operations) if settings.service_metrics else None

    def count(self, batch: Iterable[tuple[Trace, Observed]]) -> None:
        """Count the requests and calls of a batch.

        Only a request that is its operation's slowest so far in the batch has its trace id as exemplar: exemplars for
        all would be most of the work, and each would be replaced before anyone saw it.
        """
        slowest: dict[Histogram, float] = {}
        calls = Tally[ServiceCall]()
        for trace, observed in batch:
            calls.update(observed.calls)
            for service, operation, seconds, errored in observed.requests:
                durations, errors = self._operation(service, operation)
                if seconds > slowest.get(durations, -1.0):
                    slowest[durations] = seconds
                    durations.observe(seconds, {"trace_id": print_trace_id(trace["traceId"], trace["flags"])})
                else:
                    durations.observe(seconds)
                if errored:
                    errors.inc()
        for call, number in calls.items():
            made, failed = self._pair(call.client, call.server)
            made.inc(number)
            if call.errored:
                failed.inc(number)

    def _operation(self, service: str, operation: str) -> tuple[Histogram, Counter]:
        name = (service, operation)
        if name not in self._operations and len(self._operations) >= self._most:
            name = (OTHER, OTHER)
        found = self._operations.get(name)
        if found is None:
            found = (self._metrics.duration_seconds.labels(*name), self._metrics.errors.labels(*name))
            self._operations[name] = found
        return found

    def _pair(self, client: str, server: str) -> tuple[Counter, Counter]:
        name = (client, server)
        if name not in self._calls and len(self._calls) >= self._most:
            name = (OTHER, OTHER)
        found = self._calls.get(name)
        if found is None:
            found = (self._metrics.calls.labels(*name), self._metrics.failed_calls.labels(*name))
            self._calls[name] = found
        return found
