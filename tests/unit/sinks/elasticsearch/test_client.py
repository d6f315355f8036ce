"""The client of Elasticsearch: how long it waits."""

from threading import Event

import pytest

from pipeline.settings import ElasticsearchAccess
from sinks.elasticsearch.client import ElasticsearchClient, Late
from tests.kit.http_stub import Request, stub

_LONG = 10.0


def test_a_search_waits_no_longer_than_the_request_timeout() -> None:
    answered = Event()

    def answer(_: Request) -> tuple[int, object]:
        answered.wait(_LONG)
        return 200, {"hits": {"hits": []}}

    with stub(answer) as url:
        client = ElasticsearchClient(ElasticsearchAccess.load(elasticsearch_url=url), 0.2)
        with pytest.raises(Late):
            list(client.search("logs-*", {"query": {"match_all": {}}}, 10))
        with pytest.raises(Late):
            client.ask("logs-*", {"query": {"match_all": {}}})
        answered.set()
        client.close()
