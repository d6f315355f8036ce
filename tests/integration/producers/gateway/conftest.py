"""The gateway that the tests of this folder share: they only send to it, each under trace ids of its own."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from pipeline.local.stack import Endpoints
from tests.integration.producers.gateway.arrivals import Arrivals
from tests.kit.gateway import Running, gateway
from tests.kit.kafka_topics import create, settings
from tracelink.settings import KafkaSettings


@pytest.fixture(scope="module")
def where(stack: Endpoints) -> KafkaSettings:
    """Give the topics of a module's gateway."""
    prefix = f"t{uuid4().hex[:8]}."
    create(stack.kafka, prefix)
    return settings(stack.kafka, prefix)


@pytest.fixture(scope="module")
def door(where: KafkaSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run a gateway for the tests of a module."""
    folder = tmp_path_factory.mktemp("gateway")
    limits = {"max_body_bytes": "1MiB", "body_timeout": "5", "header_timeout": "3", "max_request_records": "5000"}
    with gateway(where.kafka_bootstrap_servers, where.topic_prefix, folder, **limits) as running:
        yield running


@pytest.fixture
def arrivals(where: KafkaSettings) -> Arrivals:
    """Give the records that a test's clients send."""
    return Arrivals(where)
