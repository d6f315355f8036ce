"""The Faust app of the trends: its topics and tables, and the settings with their reasons."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import faust
from faust.app.base import BootStrategy
from faust.types import TopicT

from pipeline.model.trends import KINDS, Kind
from streams.trends.settings import TrendsSettings
from streams.trends.table import CurveTable
from tracelink.kafka.topics import TopicNames

# Faust's own, of the changelogs that it makes.
_RECOVERY_BUFFER = 131_072


class _Boot(BootStrategy):
    """Starts no web server of Faust: metrics and health are served as those of all our processes."""

    enable_web = False


class TrendsApp(faust.App):
    """A Faust app with Faust's own consumer and producer, and a table of each kind of curve."""

    BootStrategy: ClassVar[type[BootStrategy]] = _Boot
    logger = logging.getLogger("faust.app")  # mode's would be this module's

    def __init__(
        self, settings: TrendsSettings, given: Mapping[str, Any], partitions: Mapping[str, int], folder: Path
    ) -> None:
        """Make the app; `given` are settings of Faust, `partitions` the number of each changelog's partitions."""
        names = TopicNames(settings.topic_prefix)
        timing = settings.session_timeout
        own = {
            "broker": ";".join(f"kafka://{server.strip()}" for server in settings.kafka_bootstrap_servers.split(",")),
            "broker_client_id": "tracelink",
            "broker_session_timeout": timing,
            "broker_heartbeat_interval": timing / 4,
            # Faust rejects a request time-out below the session's.
            "broker_request_timeout": max(90.0, timing),
            "producer_compression_type": "lz4",
            "consumer_auto_offset_reset": "earliest",
            # Faust would hold up a rebalance until its agents have acknowledged what they have read.
            "stream_wait_empty": False,
            # Restored from the changelogs at each start: nothing on disk can be lost or be stale.
            "store": "memory://",
            "table_standby_replicas": 0,
            # Its topics are made by us, with the replicas and settings that they need.
            "topic_allow_declare": False,
            "topic_disable_leader": True,
        }
        super().__init__(
            settings.trends_group, autodiscover=False, datadir=folder, web_enabled=False, **{**own, **given}
        )
        self.errors = self._topic(names.errors)
        self.dead_letters = self._topic(names.dead_letters)
        self.curve_tables: dict[Kind, CurveTable] = {}
        for kind in KINDS:
            changelog = names.changelog(settings.trends_group, kind)
            table = self.curve_tables[kind] = CurveTable(
                self,
                name=kind,
                key_type=bytes,
                value_type=bytes,
                partitions=partitions[changelog],
                changelog_topic=self._topic(changelog, internal=True, maxsize=_RECOVERY_BUFFER),
            )
            self.tables.add(table)

    def _topic(self, name: str, *, internal: bool = False, maxsize: int | None = None) -> TopicT:
        return self.topic(
            name,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            # Faust must not commit what an agent has read: an offset is committed after its curves are written.
            acks=False,
            internal=internal,
            maxsize=maxsize,
            allow_empty=True,
        )
