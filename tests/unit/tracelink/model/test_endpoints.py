"""The other side of a span."""

import sys

from tracelink.model.endpoints import remote_endpoint


def test_a_long_text_is_the_name_of_a_service_and_is_not_kept_in_memory() -> None:
    name = "10.0.0.7" * 100
    before = sys.getrefcount(name)
    assert remote_endpoint("CLIENT", {"server.address": name, "server.port": 80}) == {"serviceName": name, "port": 80}
    assert sys.getrefcount(name) == before
