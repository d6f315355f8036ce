"""The worker of the trends: Faust's agents count, and a timer writes what has changed and commits the offsets.

It counts nothing twice: an entry knows the offset up to which it counts. It counts everything once: an offset is
committed when Kafka has the entries, so that after a crash or a rebalance the records in between are read again.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any, NamedTuple

import faust
from faust.exceptions import ConsumerNotStarted, ProducerSendError
from faust.types import TP, Message, RecordMetadata, StreamT

from pipeline.failpoints import Failpoint, hit
from pipeline.model.dead_letters import REASON
from pipeline.model.problems import OCCURRENCE
from pipeline.model.trends import KINDS, Kind, partition_in
from pipeline.runtime.log_config import logging_config
from pipeline.runtime.watchdog import Watchdog, terminate
from streams.trends.app import TrendsApp
from streams.trends.curves import Curves
from streams.trends.metrics import FaustSensor, TrendMetrics
from streams.trends.settings import TrendsSettings
from tracelink.errors import InvalidRecord
from tracelink.kafka.client import seldom
from tracelink.kafka.topics import TopicNames

_log = logging.getLogger(__name__)

# Loggers of Faust's client that repeat themselves while a broker is down.
_TALKATIVE = (
    "aiokafka",
    "aiokafka.cluster",
    "aiokafka.conn",
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
    "aiokafka.producer.sender",
)
_POSITION_TIMEOUT = 5.0
_RESTORING = "waiting for partitions, or restoring their curves"


class _Write(NamedTuple):
    """A record to write; without a partition, its key decides."""

    topic: str
    partition: int | None
    key: bytes
    value: bytes | None


class TrendsWorker:
    """Counts the records of the partitions that the group assigns to it; see `pipeline.runtime.process.Work`."""

    def __init__(
        self, settings: TrendsSettings, given: dict[str, Any], partitions: dict[str, int], metrics: TrendMetrics
    ) -> None:
        self.group = settings.trends_group
        self.watchdog = Watchdog(settings.stuck_after)
        self._settings = settings
        self._given = given
        self._partitions = partitions
        self._metrics = metrics
        self._trends = TopicNames(settings.topic_prefix).trends
        self._stopping = Event()
        self._waiting_for: str | None = _RESTORING
        self._failure: Exception | None = None
        # The next offset of each partition: of the records that are counted, and of those whose counts are committed.
        self._counted: dict[TP, int] = {}
        self._committed: dict[TP, int] = {}
        # All curves are to be written again: to the topic, after a rebalance; to the changelogs too, after an error.
        self._publish_all = self._store_all = False
        self._app: TrendsApp
        self._process: faust.Worker
        self._curves: dict[Kind, Curves]
        self._streams: dict[object, StreamT[Any]] = {}

    def stop(self) -> None:
        """Ask the worker to end; what is not written is counted again by the next owner of the partitions."""
        self._stopping.set()

    def not_ready(self) -> str | None:
        """Return why the worker is not ready, or None."""
        return self.watchdog.not_ready() or self._waiting_for

    def run(self) -> None:
        """Work until `stop` is called, or until SIGTERM or Ctrl-C; raises the exception of an agent or a timer."""
        with TemporaryDirectory(prefix="tracelink-") as folder:
            app = self._app = TrendsApp(self._settings, self._given, self._partitions, Path(folder))
            self._curves = {
                kind: Curves(kind, app.curve_tables[kind].data, self._settings.max_curves) for kind in KINDS
            }
            app.agent(app.errors)(self._count_errors)
            app.agent(app.dead_letters)(self._count_dead_letters)
            app.timer(self._settings.trends_every)(self._write)
            app.timer(self.watchdog.interval)(self._look)
            app.on_partitions_revoked.connect(self._revoked)
            app.on_rebalance_complete.connect(self._restored)
            self._process = faust.Worker(
                app,
                sensors=[FaustSensor(self._metrics, self._ready)],
                loglevel=self._settings.log_level,
                redirect_stdouts=False,
                logging_config=logging_config(self._settings.log_level),
            )
            self._process.spinner = None
            for name in _TALKATIVE:
                seldom(logging.getLogger(name))
            try:
                self._process.execute_from_commandline()
            except SystemExit:  # Faust ends the process: the worker's exception takes precedence
                if self._failure is not None:
                    raise self._failure from None
                raise

    # Agents

    async def _count_errors(self, stream: StreamT[Any]) -> None:
        self._streams[self._app.errors] = stream
        async for event in stream.events():
            self._take(event.message, self._count_error)

    async def _count_dead_letters(self, stream: StreamT[Any]) -> None:
        self._streams[self._app.dead_letters] = stream
        async for event in stream.events():
            self._take(event.message, self._count_dead_letter)

    def _take(self, message: Message, count: Callable[[Message, int], None]) -> None:
        """Count a record, and note its offset; a record that is invalid is skipped."""
        self._metrics.records.labels(message.topic).inc()
        # The clock of a producer of dead letters may be wrong: a minute in the future would end the day of all others.
        minute = int(min(message.timestamp, time.time()) // 60)
        try:
            count(message, minute)
        except InvalidRecord as error:
            self._metrics.invalid.labels(message.topic).inc()
            _log.warning("%s[%d] offset %d is not counted: %s", message.topic, message.partition, message.offset, error)
        except Exception as error:  # noqa: BLE001 - `run` raises it; Faust would restart the agent and go on
            self._fail(error)
            return
        self._counted[message.tp] = message.offset + 1

    def _count_error(self, message: Message, minute: int) -> None:
        """Count an occurrence: by fingerprint, and by the service in which the error began."""
        occurrence = OCCURRENCE.decode(message.value or b"")
        number, offset = message.partition, message.offset
        self._curves["fingerprint"].count(number, occurrence["fingerprint"], minute, offset)
        self._curves["service"].count(number, occurrence["service"] or "", minute, offset)

    def _count_dead_letter(self, message: Message, minute: int) -> None:
        """Count a dead letter by its reason."""
        reason = dict(message.headers or ()).get(REASON, b"")
        self._curves["reason"].count(message.partition, reason.decode(errors="replace"), minute, message.offset)

    # Timers

    async def _write(self) -> None:
        """Write the changed curves, then commit the offsets up to which they count."""
        if self._waiting_for is not None:
            return
        rebalances = self._app.rebalancing_count
        begun = time.monotonic()
        try:
            offsets = {tp: offset for tp, offset in self._counted.items() if self._committed.get(tp) != offset}
            if not await self._write_curves(rebalances) or self._app.rebalancing_count != rebalances or not offsets:
                return
            hit(Failpoint.TRENDS_WRITTEN)
            consumer: Any = self._app.consumer
            if await consumer._commit_offsets(offsets):  # noqa: SLF001 - Faust itself commits only acknowledged events
                self._committed |= offsets
                self._metrics.write_seconds.observe(time.monotonic() - begun)
        except Exception as error:  # noqa: BLE001 - `run` raises it
            self._fail(error)

    async def _write_curves(self, rebalances: int) -> bool:
        """Write the changed curves to their changelogs and to the topic; return False if not all were written.

        Curves without a recent minute are removed from the topic first: nothing else would remember them there.
        """
        publish_all, store_all = self._publish_all, self._store_all
        self._publish_all = self._store_all = False
        writes: list[_Write] = []
        removals: list[_Write] = []
        for kind, table in self._app.curve_tables.items():
            changelog = table.changelog_topic_name
            changes = self._curves[kind].changes()
            self._curves[kind].forget()
            if publish_all:
                changes = dict(table.data) | changes
            for key, value in changes.items():
                writes.append(_Write(self._trends, None, key, value))
                if value is None:
                    removals.append(_Write(changelog, partition_in(key), key, None))
                elif store_all or table.data.get(key) != value:
                    writes.append(_Write(changelog, partition_in(key), key, value))
                    table.data[key] = value
            self._metrics.curves.labels(kind).set(len(table.data))
            self._metrics.written.inc(len(changes))
        written = await self._send(writes, rebalances)
        if written:
            for table in self._app.curve_tables.values():
                for one in removals:
                    table.data.pop(one.key, None)
            written = await self._send(removals, rebalances)
        if not written:
            self._publish_all = self._store_all = True
        return written

    async def _send(self, writes: Sequence[_Write], rebalances: int) -> bool:
        """Send records until a rebalance begins, and wait for them; return False if Kafka does not have all of them."""
        sent: list[Awaitable[RecordMetadata]] = []
        outcomes: list[RecordMetadata | BaseException] = []
        for topic, partition, key, value in writes:
            # From now on, another worker may own the partition.
            if self._app.rebalancing_count != rebalances:
                break
            try:
                sent.append(await self._app.producer.send(topic, key, value, partition, None, None))
            except ProducerSendError as error:
                outcomes.append(error)
                break
        outcomes += await asyncio.gather(*sent, return_exceptions=True)
        errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if errors:
            self._metrics.send_errors.inc(len(errors))
            _log.warning("%d records are not written, and will be written again: %r", len(errors), errors[0])
        return not errors and len(sent) == len(writes)

    async def _look(self) -> None:
        """Report the progress to the watchdog, and end if that was asked for."""
        if self._stopping.is_set():
            terminate()
            return
        try:
            assigned = {tp for tp in self._app.consumer.assignment() if not self._is_changelog(tp)}
        except ConsumerNotStarted:
            assigned = set()
        offsets = await asyncio.gather(*map(self._done, assigned))
        done = {(tp.topic, tp.partition): offset for tp, offset in zip(assigned, offsets, strict=True)}
        self.watchdog.report(time.monotonic(), done)
        self._metrics.partitions.set(len(done))
        ends = self._app.monitor.tp_end_offsets
        self._metrics.lag.clear()
        for tp in assigned & ends.keys():
            lag = max(0, (ends[tp] or 0) - done[tp.topic, tp.partition])
            self._metrics.lag.labels(tp.topic, str(tp.partition)).set(lag)

    async def _done(self, tp: TP) -> int:
        """Return the offset up to which the curves of a partition are committed, negative if that is not known.

        The consumer's position is beyond the end markers of transactions, which no agent sees.
        """
        is_idle = self._counted.get(tp) == self._committed.get(tp) and self._waiting_for is None
        channels: list[Any] = [stream.channel for stream in self._streams.values()]
        if not is_idle or not all(channel.queue.empty() for channel in channels):
            return self._committed.get(tp, -1)
        with suppress(TimeoutError):
            position = await asyncio.wait_for(self._app.consumer.position(tp), _POSITION_TIMEOUT)
            return -1 if position is None else position
        return -1

    def _is_changelog(self, tp: TP) -> bool:
        return tp.topic in self._partitions

    # Rebalances

    async def _revoked(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - the arguments of Faust's signal
        """Forget what is not written: Faust reads all partitions again from their committed offsets."""
        self._waiting_for = _RESTORING
        self._counted, self._committed = {}, {}
        for curves in self._curves.values():
            curves.forget()

    async def _restored(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - as above
        """Stop the flow of records until Faust resumes it, after it has sought the committed offsets.

        Faust lets the records of the inputs flow first, and empties the agents' queues when it resumes: it would lose
        a record that it fetched in between.
        """
        self._app.consumer.stop_flow()
        self._app.flow_control.suspend()

    def _ready(self) -> None:
        """Write the curves of all partitions again: their last owner may not have written its last ones."""
        self._publish_all = True
        self._waiting_for = None
        _log.info("counting; %d curves are restored", sum(len(one.data) for one in self._app.curve_tables.values()))

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        terminate()
