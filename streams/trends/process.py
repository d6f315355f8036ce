"""The process of `tracelink trends`."""

from contextlib import nullcontext

from pipeline.kafka.admin import connect
from pipeline.runtime.process import run_process
from streams.trends.aiokafka_properties import faust_settings
from streams.trends.changelogs import prepare
from streams.trends.metrics import TrendMetrics
from streams.trends.settings import TrendsSettings
from streams.trends.worker import TrendsWorker
from tracelink.kafka.client import client_properties, user_properties
from tracelink.kafka.topics import TopicNames


def run(settings: TrendsSettings) -> None:
    """Count until a signal ends it; raises UserError, also for a Kafka property that Faust's client does not have."""
    promised: dict[str, str | int | float | bool] = {
        "group.id": settings.trends_group,
        "session.timeout.ms": round(settings.session_timeout * 1000),
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_uncommitted",
        "acks": "all",
    }
    client_properties(settings, promised=promised)
    given = faust_settings({name: value for name, value in user_properties(settings).items() if name not in promised})
    names = TopicNames(settings.topic_prefix)
    sources = {"fingerprint": names.errors, "service": names.errors, "reason": names.dead_letters}
    changelogs = {names.changelog(settings.trends_group, kind): source for kind, source in sources.items()}
    run_process(
        settings,
        lambda registry: nullcontext(
            TrendsWorker(settings, given, prepare(connect(settings), changelogs), TrendMetrics(registry))
        ),
        TrendsWorker.run,
        kafka=settings,
        topics=settings.topics,
    )
