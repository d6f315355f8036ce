"""A Faust table of encoded entries: in memory, restored from its changelog."""

import logging
from collections.abc import Iterable
from typing import Any

import faust
from faust.types import TP, EventT

from pipeline.model.trends import CURVE, head_of, partition_in
from tracelink.errors import InvalidRecord

_log = logging.getLogger(__name__)


class CurveTable(faust.Table[bytes, bytes]):
    """A table whose keys say their partition; see `pipeline.model.trends.key_of`.

    The worker writes to `data`, and to the changelog: Faust would write to the partition of the current event, but a
    timer has none, and it would not say whether Kafka has the record.
    """

    logger = logging.getLogger("faust.tables")  # mode's would be this module's

    def apply_changelog_batch(self, batch: Iterable[EventT[Any]]) -> None:
        """Apply restored records, except invalid ones, and those with a lower offset than the entry.

        Another worker may have written such a record after it had lost the partition without noticing.
        """
        for event in batch:
            key, value = event.message.key, event.message.value
            try:
                partition_in(key or b"")
                if value is None:
                    self.data.pop(key, None)
                elif key not in self.data or head_of(value)[0] >= head_of(self.data[key])[0]:
                    CURVE.decode(value)
                    self.data[key] = value
            except InvalidRecord as error:
                message = event.message
                _log.warning("%s[%d] offset %d is skipped: %s", message.topic, message.partition, message.offset, error)

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Drop the entries of lost partitions: Faust's store keeps those that it has not restored itself."""
        await super().on_recovery_completed(active_tps, standby_tps)
        numbers = {one.partition for one in active_tps}
        for key in [key for key in self.data if partition_in(key) not in numbers]:
            self.data.pop(key)
