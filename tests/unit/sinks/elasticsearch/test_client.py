"""The client of Elasticsearch: how long it waits."""

import time
from contextlib import closing
from itertools import islice
from threading import Event

import pytest

from pipeline.settings import ElasticsearchAccess
from sinks.elasticsearch.client import ElasticsearchClient, Late
from tests.kit.http_stub import Request, stub

_LONG = 10.0


def _client(url: str, seconds: float) -> ElasticsearchClient:
    return ElasticsearchClient(ElasticsearchAccess.load(elasticsearch_url=url), seconds)


def test_a_search_waits_no_longer_than_the_request_timeout() -> None:
    answered = Event()

    def answer(_: Request) -> tuple[int, object]:
        answered.wait(_LONG)
        return 200, {"hits": {"hits": []}}

    with stub(answer) as url, closing(_client(url, 0.2)) as client:
        with pytest.raises(Late):
            list(client.search("logs-*", {"query": {"match_all": {}}}, 10))
        with pytest.raises(Late):
            client.ask("logs-*", {"query": {"match_all": {}}})
        answered.set()


def test_a_search_of_many_answers_ends_with_its_time_for_all_of_them() -> None:
    hits = [{"_index": "logs-1", "_id": str(number), "_source": {}} for number in range(10)]

    def answer(_: Request) -> tuple[int, object]:
        Event().wait(0.05)
        shards = {"total": 1, "successful": 1, "skipped": 0}
        return 200, {"_scroll_id": "more", "hits": {"hits": hits}, "_shards": shards}

    with stub(answer) as url, closing(_client(url, _LONG)) as client:
        found = client.search("logs-*", {"query": {"match_all": {}}}, 10, until=time.monotonic() + 0.5)
        with pytest.raises(Late, match="has not sent all hits"):
            list(islice(found, 1_000))
