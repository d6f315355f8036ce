"""What a PromQL expression asks for, and what our processes and Prometheus itself offer."""

from collections.abc import Iterator

import promql_parser

from docs.generate.metrics import SECTIONS, metrics_of

# Prometheus adds these to every series of a target.
_TARGET_LABELS = frozenset({"job", "instance"})
_OF_PROMETHEUS = {"up": _TARGET_LABELS, "ALERTS": frozenset({"alertname", "alertstate", "severity"})}


def offered() -> dict[str, frozenset[str]]:
    """Return the labels of each series, by the series' name."""
    series = dict(_OF_PROMETHEUS)
    for metric in (metric for section in SECTIONS for metric in metrics_of(section)):
        labels = _TARGET_LABELS | set(metric.labels)
        if metric.type == "histogram":
            series[f"{metric.name}_bucket"] = labels | {"le"}
            series |= {f"{metric.name}_sum": labels, f"{metric.name}_count": labels}
        else:
            series[metric.name] = labels
    return series


def faults(expression: str) -> Iterator[str]:
    """Say what is wrong with an expression, as far as the metrics' names and labels tell."""
    series = offered()
    # Grafana's own variables stand for a duration.
    parsed = promql_parser.parse(expression.replace("$__rate_interval", "1m").replace("$__range", "1h"))
    found: list[promql_parser.Expr] = []
    promql_parser.walk(parsed, found.append)
    selectors = [node for node in found if isinstance(node, promql_parser.VectorSelector)]
    if not selectors:
        yield f"no metric in {expression}"
    for selector in selectors:
        if selector.name not in series:
            yield f"no metric {selector.name}"
            continue
        labels = {matcher.name for matcher in selector.matchers.matchers}
        yield from (f"{selector.name} has no label {label}" for label in sorted(labels - series[selector.name]))
    for node in found:
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier:
            yield from _grouping_faults(node, series)


def _grouping_faults(node: promql_parser.AggregateExpr, series: dict[str, frozenset[str]]) -> Iterator[str]:
    inside: list[promql_parser.Expr] = []
    promql_parser.walk(node.expr, inside.append)
    names = [inner.name for inner in inside if isinstance(inner, promql_parser.VectorSelector)]
    for label in node.modifier.labels if node.modifier else ():
        yield from (f"{name} cannot be grouped by {label}" for name in names if label not in series.get(name or "", ()))
