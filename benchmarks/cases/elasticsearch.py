"""The Elasticsearch sink beside a bare loop that posts the same bulk bodies, made in advance."""

import uuid
from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import urllib3

from benchmarks.case import Bench, Case
from benchmarks.joined import Joined, spliced
from benchmarks.result import Result, Row, Target
from benchmarks.servers import pin
from benchmarks.subject import Subject, measured, pace, peer, running, tracelink
from benchmarks.traffic import Shape
from pipeline.model.dead_letters import Origin
from sinks.base.contract import Report, SourceMessage
from sinks.base.decoding import decode, record_kinds
from sinks.elasticsearch.bulk import body, chunks
from sinks.elasticsearch.encoder import Encoder
from sinks.elasticsearch.settings import ElasticsearchSettings
from sinks.elasticsearch.templates import set_up_now
from tracelink.kafka.topics import TopicNames

SHAPE = Shape()
LOAD = Joined("joined", SHAPE.templates, traces=20_000)

_DOCUMENTS = LOAD.traces * (SHAPE.logs + 1)  # a part has one, besides those of its log lines
_BATCH = 1000
_ROUNDS = 3
_WARM_UPS = 2
_CONNECTIONS = 2  # with one the node is idle between two requests; more are no faster


Measured = AbstractContextManager[Subject]


class _Cores(NamedTuple):
    """The cores of the node and of its client, and the target: a share of the bare loop's rate."""

    about: str
    node: Sequence[int]
    client: Sequence[int]
    wanted: float


_ARRANGEMENTS = (_Cores("a core each", (0,), (1,), 0.9), _Cores("both on both cores", (0, 1), (0, 1), 0.8))


class _Node:
    """Elasticsearch, with the indices of one run of the case."""

    def __init__(self, settings: ElasticsearchSettings) -> None:
        self._url = settings.elasticsearch_url
        self._prefix = settings.index_prefix
        self._pool = urllib3.PoolManager(timeout=60.0)

    def indexed(self) -> float:
        """Count the documents that it has indexed."""
        total = self._ask("GET", f"{self._prefix}*/_stats/indexing")["_all"].get("total", {})
        return float(total.get("indexing", {}).get("index_total", 0))

    def empty(self) -> None:
        """Delete the indices."""
        for index in self._ask("GET", f"{self._prefix}*/_settings?filter_path=*.settings.index.uuid"):
            self._ask("DELETE", index)

    def forget(self) -> None:
        """Delete the indices and their templates."""
        self.empty()
        self._ask("DELETE", f"_index_template/{self._prefix}*")

    def _ask(self, method: str, path: str) -> Any:  # noqa: ANN401 - JSON
        return self._pool.request(method, f"{self._url}/{path}").json()


def _write_bodies(settings: ElasticsearchSettings, folder: Path) -> None:
    """Write the sink's request bodies for the whole load, a file for each; sets up its templates."""
    set_up_now(settings)
    encoder = Encoder(settings)
    names = TopicNames(settings.topic_prefix)
    messages = (
        SourceMessage(Origin(names.traces, 0, offset, 0), key, value)
        for offset, (key, value) in enumerate(spliced(LOAD.templates(), LOAD.traces))
    )
    number, kinds = 0, record_kinds(names)
    while batch := decode(islice(messages, _BATCH), kinds):
        for chunk in chunks(encoder.documents(batch, Report([])), lambda: settings.batch_bytes):
            (folder / f"{number:06}.ndjson").write_bytes(body(chunk))
            number += 1


def _bare_loop(settings: ElasticsearchSettings, folder: Path, cores: Sequence[int]) -> Measured:
    """Run the loop that posts the bodies of a folder."""
    return running(peer("bulk", settings.elasticsearch_url, str(folder), str(_CONNECTIONS)), cores=cores)


def _sink(settings: ElasticsearchSettings, cores: Sequence[int]) -> Measured:
    """Run the sink over the load from its beginning."""
    environment = {
        "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "TRACELINK_TOPIC_PREFIX": settings.topic_prefix,
        "TRACELINK_SINK_GROUP": f"bench-{uuid.uuid4().hex[:8]}",
        "TRACELINK_ELASTICSEARCH_URL": settings.elasticsearch_url,
        "TRACELINK_INDEX_PREFIX": settings.index_prefix,
    }
    return running(tracelink("sink", "elasticsearch"), environment, cores=cores)


def _measure(name: str, node: _Node, process: Measured) -> Row:
    """Measure a process that fills the indices, which are empty before and after."""
    with process as subject:
        samples = subject.follow(node.indexed, _DOCUMENTS * 0.95)
        found = pace(samples, since=_DOCUMENTS * 0.1, until=_DOCUMENTS)
        row = measured(name, found, subject)
    node.empty()
    return row


def _rate(row: Row) -> float:
    return row.records_per_second or 0.0


def _middle(rows: Sequence[Row]) -> Row:
    """Return the row with the median rate."""
    return sorted(rows, key=_rate)[len(rows) // 2]


def _run(bench: Bench) -> Result:
    LOAD.ensure(bench.servers.kafka, bench.say)
    settings = ElasticsearchSettings.load(
        kafka_bootstrap_servers=bench.servers.kafka,
        topic_prefix=LOAD.prefix,
        elasticsearch_url=bench.servers.elasticsearch,
        index_prefix=f"bench-{uuid.uuid4().hex[:8]}-",
    )
    node = _Node(settings)
    rows: list[Row] = []
    targets: list[Target] = []
    with TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        bench.say("making the bodies of the bulk requests")
        _write_bodies(settings, folder)
        bench.say("warming Elasticsearch up")
        for _ in range(_WARM_UPS):
            _measure("warm-up", node, _bare_loop(settings, folder, ()))
        for cores in _ARRANGEMENTS:
            pin(bench.directory / "stack", "elasticsearch", cores.node)
            bare: list[Row] = []
            ours: list[Row] = []
            for number in range(1, _ROUNDS + 1):
                bench.say(f"{cores.about}, round {number} of {_ROUNDS}")
                loop = _bare_loop(settings, folder, cores.client)
                bare.append(_measure(f"bare loop, {cores.about}", node, loop))
                ours.append(_measure(f"tracelink sink, {cores.about}", node, _sink(settings, cores.client)))
            shares = [_rate(our) / _rate(loop) for our, loop in zip(ours, bare, strict=True)]
            rows += [_middle(bare), _middle(ours)]
            text = f"share of the bare loop's rate, {cores.about}, at least {cores.wanted:.0%}"
            targets.append(Target(text, median(shares), cores.wanted))
    node.forget()
    return Result("elasticsearch", CASE.about, rows, targets)


CASE = Case(
    "elasticsearch",
    f"{_DOCUMENTS:,} documents (which are the records here), beside a bare loop that posts the same bulk bodies",
    ("kafka", "elasticsearch"),
    _run,
)
