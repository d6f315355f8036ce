"""The gateway that the tests of this folder share: they only send to it, each under trace ids of its own.

What their clients have sent is joined at the end of a module, and looked for in both stores.
"""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from pipeline.local.stack import Endpoints
from tests.integration.producers.gateway.arrivals import Arrivals
from tests.integration.producers.gateway.stores import in_both_stores
from tests.kit.gateway import Running, gateway
from tests.kit.kafka_topics import read, settings
from tests.kit.live import Live, delete_indices, live_pipeline
from tracelink.settings import KafkaSettings


@pytest.fixture(scope="module")
def live(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Name a module's pipeline, and make its topics."""
    name = f"t{uuid4().hex[:8]}"
    made = live_pipeline(stack, f"{name}.", f"{name}-", tmp_path_factory.mktemp("pipeline"), TRACELINK_IDLE_GAP="1")
    made.make_topics()
    yield made
    delete_indices(stack.elasticsearch, made.index_prefix)


@pytest.fixture(scope="module")
def where(live: Live) -> KafkaSettings:
    """Give the topics of a module's gateway."""
    return settings(live.stack.kafka, live.topic_prefix)


@pytest.fixture(scope="module")
def limits() -> dict[str, str]:
    """Give the limits of a module's gateway, with patience for clients and a Kafka on a machine that runs a suite."""
    return {"max_body_bytes": "1MiB", "max_request_records": "5000", "header_timeout": "60", "answer_within": "30"}


@pytest.fixture(scope="module")
def door(where: KafkaSettings, limits: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run a gateway for the tests of a module."""
    folder = tmp_path_factory.mktemp("gateway")
    with gateway(where.kafka_bootstrap_servers, where.topic_prefix, folder, **limits) as running:
        yield running


@pytest.fixture(scope="module")
def joined(live: Live, where: KafkaSettings) -> Iterator[None]:
    """Join what came during a module, and check that both stores have each record, and none twice."""
    yield
    with live.running():
        in_both_stores(live, read(where))


@pytest.fixture
def arrivals(where: KafkaSettings, joined: None) -> Arrivals:
    """Give the records that a test's clients send."""
    del joined
    return Arrivals(where)
