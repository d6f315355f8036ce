"""The settings as tables, for `tracelink settings` and for README.md."""

from pydantic_core import PydanticUndefined

from tracelink.settings import (
    AlertmanagerSettings,
    AlertSettings,
    CanarySettings,
    ElasticsearchSettings,
    JoinSettings,
    KafkaSettings,
    MonitoringSettings,
    OutboundSettings,
    PublisherSettings,
    RedactionSettings,
    ReplayedSettings,
    Settings,
    SinkSettings,
    TopicSettings,
    TraceSinkSettings,
    WatchedSettings,
    WebhookSettings,
    WorkerSettings,
    ZipkinSettings,
    variable_of,
)

_GROUPS: tuple[tuple[str, type[Settings]], ...] = (
    ("Everything", KafkaSettings),
    ("`tracelink topics`, the workers and the sinks", TopicSettings),
    ("The workers, the sinks and the canary", MonitoringSettings),
    ("The workers and the sinks", WatchedSettings),
    ("The workers: the join and `tracelink alerts`", WorkerSettings),
    ("The join and the sinks of traces", ReplayedSettings),
    ("The join", JoinSettings),
    ("`tracelink alerts` and the sinks", RedactionSettings),
    ("`tracelink alerts`", AlertSettings),
    ("All sinks", SinkSettings),
    ("The sinks of traces", TraceSinkSettings),
    ("The Zipkin sink", ZipkinSettings),
    ("The Elasticsearch sink", ElasticsearchSettings),
    ("The sinks of alerts", OutboundSettings),
    ("The Alertmanager sink", AlertmanagerSettings),
    ("The webhook sink", WebhookSettings),
    ("The canary", CanarySettings),
    ("Services, and `tracelink send`", PublisherSettings),
)


def settings_table() -> str:
    """Return a Markdown table for each group of settings, with their variables, defaults and meanings."""
    shown: set[str] = set()
    lines: list[str] = []
    for title, group in _GROUPS:
        lines += [f"**{title}**", "", "| variable | default | meaning |", "| --- | --- | --- |"]
        lines += [
            f"| `{variable_of(name)}` | {shown_default(group, name)} | {field.description} |"
            for name, field in group.model_fields.items()
            if name not in shown
        ]
        lines.append("")
        shown |= group.model_fields.keys()
    return "\n".join(lines).rstrip()


def shown_default(group: type[Settings], name: str) -> str:
    """Return a setting's default as people write it, empty where there is none."""
    default = group.model_fields[name].default
    if default is None or default is PydanticUndefined:
        return ""
    human = getattr(default, "human_readable", None)
    return str(human() if human else default)
