"""The commands of the sinks: `tracelink sink zipkin`, `… elasticsearch`, `… alertmanager`, `… webhook`.

The clients of Kafka, Zipkin and Elasticsearch are imported where they are used: `--help` needs none of them.
"""

import click

from pipeline.cli.options import settings_options
from pipeline.settings import names_of
from sinks.alerting.settings import AlertmanagerSettings, WebhookSettings
from sinks.elasticsearch.settings import ElasticsearchSettings
from sinks.zipkin.settings import ZipkinSettings
from tracelink.kafka.topics import TopicNames


@click.group(short_help="Write traces and alerts to their targets.")
def sink() -> None:
    """Write joined traces or alerts to a target. Each sink is a process and a consumer group of its own.

    \b
    Examples:
      tracelink sink zipkin --zipkin-url http://zipkin:9411
      tracelink sink elasticsearch --elasticsearch-url https://es:9200 --replicas 1
      tracelink sink alertmanager --alertmanager-url http://alertmanager:9093 --allow-networks 10.0.0.0/8
      TRACELINK_WEBHOOK_URL_FILE=/run/secrets/slack tracelink sink webhook --webhook-template slack
    """


@sink.command()
@settings_options(ZipkinSettings)
def zipkin(**flags: str | None) -> None:
    """Write the spans of joined traces to Zipkin.

    Zipkin responds before it stores the spans. Spans that its storage refuses appear only in Zipkin's own metrics.

    \b
    Examples:
      tracelink sink zipkin
      tracelink sink zipkin --keep-share 0.1 --keep-slower-than 2
      tracelink sink zipkin --replay friday
      TRACELINK_ZIPKIN_HEADERS_FILE=/run/secrets/zipkin tracelink sink zipkin --zipkin-url https://zipkin.example.org
    """
    from sinks.base.process import run
    from sinks.zipkin.sink import ZipkinSink

    settings = ZipkinSettings.load(**flags)
    topics = (names_of(settings).traces,)
    run("zipkin", settings, topics, lambda metrics, _: ZipkinSink(settings, metrics))


@sink.command()
@settings_options(ElasticsearchSettings)
@click.option("--setup-only", is_flag=True, help="Set up the index templates and exit.")
def elasticsearch(*, setup_only: bool, **flags: str | None) -> None:
    """Write log lines and joined traces to Elasticsearch: one document for each line and each part of a trace.

    \b
    Examples:
      tracelink sink elasticsearch
      tracelink sink elasticsearch --setup-only --replicas 1
      tracelink sink elasticsearch --keep-share 0.1 --keep-log-level WARN
      tracelink sink elasticsearch --replay friday --index-suffix=-friday
      TRACELINK_ELASTICSEARCH_API_KEY_FILE=/run/secrets/key tracelink sink elasticsearch --setup-templates false
    """
    from sinks.base.process import run
    from sinks.elasticsearch.sink import ElasticsearchSink
    from sinks.elasticsearch.span_metrics import ServiceMetricsRecorder
    from sinks.elasticsearch.templates import set_up_now

    settings = ElasticsearchSettings.load(**flags)
    if setup_only:
        click.echo(f"Index templates are set up: {', '.join(set_up_now(settings))}.")
        return
    names = names_of(settings)
    topics: tuple[str, ...] = (names.traces, names.unlinked_logs)
    if names.job is not None:
        # Replayed traces must not change the metrics of the services: they are old.
        run("elasticsearch", settings, topics, lambda metrics, _: ElasticsearchSink(settings, metrics))
        return
    run(
        "elasticsearch",
        settings,
        (*topics, names.problems),
        lambda metrics, registry: ElasticsearchSink(settings, metrics, ServiceMetricsRecorder.of(settings, registry)),
    )


@sink.command()
@settings_options(AlertmanagerSettings)
def alertmanager(**flags: str | None) -> None:
    """Send problems to Alertmanager when they fire, while they continue, and when they are resolved.

    List all members of a cluster: they do not exchange alerts. Addresses that are not public are called only if
    --allow-networks includes them.

    \b
    Examples:
      tracelink sink alertmanager
      tracelink sink alertmanager --alertmanager-url http://am-0:9093,http://am-1:9093 --allow-networks 10.0.0.0/8
      TRACELINK_ALERTMANAGER_HEADERS_FILE=/run/secrets/am tracelink sink alertmanager
    """
    from sinks.alerting.alertmanager import AlertmanagerSink
    from sinks.base.process import run

    settings = AlertmanagerSettings.load(**flags)
    names = TopicNames(settings.topic_prefix)
    run(
        "alertmanager", settings, (names.alerts, names.problems), lambda metrics, _: AlertmanagerSink(settings, metrics)
    )


@sink.command()
@settings_options(WebhookSettings)
def webhook(**flags: str | None) -> None:
    """Post each alert to a webhook, signed.

    The first start posts all older alerts in the topic; TRACELINK_KAFKA_AUTO_OFFSET_RESET=latest skips them.
    Pass the URL in a variable or a file: flags are visible in the list of processes.

    \b
    Examples:
      TRACELINK_WEBHOOK_URL=https://ops.example.org/tracelink tracelink sink webhook
      TRACELINK_WEBHOOK_URL_FILE=/run/secrets/slack tracelink sink webhook --webhook-template slack
      TRACELINK_WEBHOOK_SECRET_FILE=/run/secrets/key tracelink sink webhook --webhook-events NEW,BACK
    """
    from sinks.alerting.webhook import WebhookSink
    from sinks.base.process import run

    settings = WebhookSettings.load(**flags)
    topics = (TopicNames(settings.topic_prefix).alerts,)
    run("webhook", settings, topics, lambda metrics, _: WebhookSink(settings, metrics))
