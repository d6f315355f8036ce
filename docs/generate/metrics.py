"""The page of the metrics, from the metrics themselves."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector

from producers.canary import metrics as canary
from producers.canary.settings import CANARY_STAGES
from producers.gateway import metrics as gateway
from sinks.base import metrics as sinks
from sinks.elasticsearch.span_metrics import ServiceMetrics
from sinks.page import metrics as page
from streams.alerts import metrics as alerts
from streams.join import metrics as join
from streams.trends import metrics as trends
from tracelink import metrics as publisher
from tracelink.metrics import Equation

_INTRO = """\
# Metrics

Written by `make docs` from the code.

- Each process serves its metrics at `/metrics` on its `--http-port`. The SDK adds its metrics to the default registry
  of prometheus-client, so a service that exposes this registry exposes them too.
- A histogram NAME has the series `NAME_bucket`, `NAME_sum` and `NAME_count`.
- In an equation, each metric is the sum over its labels. The fault tests check the equations of the join and of the
  sinks in every process ([reliability.md](reliability.md)).
- [deploy/](../deploy/README.md) has alert rules and a dashboard made of these metrics.
"""


class Section(NamedTuple):
    """The metrics of one kind of process: what makes them in a registry, and their equations."""

    title: str
    make: Callable[[CollectorRegistry], object]
    equations: tuple[Equation, ...] = ()


SECTIONS = (
    Section("Services with the SDK, and the canary", publisher.PublisherMetrics, (publisher.EQUATION,)),
    Section("`tracelink join`", join.JoinMetrics, (join.EQUATION,)),
    Section("`tracelink alerts`", alerts.AlertMetrics, alerts.EQUATIONS),
    Section("`tracelink trends`", trends.TrendMetrics),
    Section("Each sink", lambda registry: sinks.SinkMetrics(registry, "any"), (sinks.EQUATION,)),
    Section("`tracelink sink elasticsearch`: the traced services", ServiceMetrics),
    Section("`tracelink canary`", lambda registry: canary.CanaryMetrics(registry, CANARY_STAGES), (canary.EQUATION,)),
    Section("`tracelink gateway`", gateway.GatewayMetrics, (gateway.EQUATION,)),
    Section("`tracelink page`", page.PageMetrics),
    Section("All processes, on Linux", lambda registry: ProcessCollector(registry=registry)),
)


class Metric(NamedTuple):
    """A metric as a scrape shows it."""

    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str

    @property
    def unit(self) -> str:
        """Its base unit; empty for a plain number."""
        last = self.name.removesuffix("_total").rpartition("_")[2]
        return last if last in {"seconds", "bytes"} else ""


def metrics_of(section: Section) -> Iterator[Metric]:
    """Yield the metrics of a kind of process."""
    registry = CollectorRegistry()
    section.make(registry)
    # The registry offers no other way to the labels of a metric of which there is no sample yet.
    for collector in registry._collector_to_names:  # noqa: SLF001 - see above
        labels: tuple[str, ...] = getattr(collector, "_labelnames", ())
        for family in collector.collect():
            name = f"{family.name}_total" if family.type == "counter" else family.name
            yield Metric(name, family.type, labels, family.documentation)


def metrics_page() -> str:
    """Return the page."""
    return "\n".join([_INTRO, *(line for section in SECTIONS for line in _section(section))])


def _section(section: Section) -> Iterator[str]:
    yield from (
        f"## {section.title}",
        "",
        "| name | type | labels | unit | meaning |",
        "| --- | --- | --- | --- | --- |",
    )
    for metric in metrics_of(section):
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        yield f"| `{metric.name}` | {metric.type} | {labels} | {metric.unit} | {metric.meaning} |"
    yield ""
    for equation in section.equations:
        first, *others = filter(None, (*equation.parts, equation.rest))
        terms = [f"  = {first}", *(f"  + {other}" for other in others)]
        yield from (f"{equation.holds}:", "", "```text", equation.whole, *terms, "```", "")
