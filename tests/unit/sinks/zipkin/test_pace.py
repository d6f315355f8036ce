"""How much is posted before Zipkin's storage has taken it."""

import logging
import time

import pytest

from sinks.zipkin.pace import Pace, Storage
from tracelink.errors import Unavailable

_PATIENCE = 0.2

# As Zipkin 3.6.1 writes it.
_PAGE = """\
# HELP elasticsearch_active_requests \n# TYPE elasticsearch_active_requests gauge
elasticsearch_active_requests{method="get-node",service="none",} 0.0
elasticsearch_active_requests{method="index-span",service="none",} 3.0
elasticsearch_requests_total{http_status="200",method="get-node",result="success",service="none",} 1.0
elasticsearch_requests_total{http_status="200",method="index-span",result="success",service="none",} 40.0
elasticsearch_requests_total{http_status="200",method="index-span",result="failure",service="none",} 0.0
elasticsearch_requests_total{http_status="429",method="index-span",result="failure",service="none",} 2.0
elasticsearch_requests_total{http_status="404",method="get-template",result="failure",service="none",} 3.0
jvm_memory_used_bytes{area="heap",id="G1 Old Gen",} 2.2982064E7
"""


class Zipkin:
    """A Zipkin whose storage answers so many requests each time that its metrics are asked for."""

    def __init__(self, at_a_time: int) -> None:
        self.at_a_time = at_a_time
        self.active: list[int] = []
        self.answered = self.failed = 0
        self.most = 0

    def take(self, size: int) -> None:
        self.active.append(size)
        self.most = max(self.most, sum(self.active))

    def page(self) -> str:
        page = (
            f'elasticsearch_active_requests{{method="index-span",}} {len(self.active)}\n'
            f'elasticsearch_requests_total{{method="index-span",result="success",}} {self.answered}\n'
            f'elasticsearch_requests_total{{method="index-span",result="failure",}} {self.failed}\n'
        )
        self.answered += len(self.active[: self.at_a_time])
        del self.active[: self.at_a_time]
        return page


def post(pace: Pace, zipkin: Zipkin, size: int) -> None:
    pace.wait(size)
    zipkin.take(size)
    pace.note(size, 0.0)


def test_it_reads_what_zipkin_writes() -> None:
    assert Storage.read(_PAGE) == Storage(active=3, answered=42, failed=2)
    assert Storage.read("jvm_memory_used_bytes 1.0\n") is None
    assert Storage.read("") is None
    assert Storage.read('elasticsearch_active_requests{method="get-node",} 0.0') == Storage(0, 0, 0)


@pytest.mark.parametrize("size", [30, 100, 250])
def test_what_is_in_zipkins_memory_is_bounded(size: int) -> None:
    zipkin = Zipkin(at_a_time=1)
    pace = Pace(zipkin.page, 100, _PATIENCE)
    for _ in range(60):
        post(pace, zipkin, size)
    # Beside what may be posted between two looks, one request is left behind and one comes.
    assert zipkin.most <= max(100, size) + 2 * size


def test_a_storage_that_stands_still_gets_nothing_more() -> None:
    zipkin = Zipkin(at_a_time=0)
    pace = Pace(zipkin.page, 100, _PATIENCE)
    post(pace, zipkin, 50)
    post(pace, zipkin, 50)
    for _ in range(2):
        with pytest.raises(Unavailable, match="storage has not answered"):
            pace.wait(50)
    assert zipkin.most == 100
    zipkin.at_a_time = 2
    post(pace, zipkin, 50)


def test_a_zipkin_that_starts_again_has_nothing_in_its_memory() -> None:
    zipkin = Zipkin(at_a_time=1)
    pace = Pace(zipkin.page, 100, _PATIENCE)
    for _ in range(20):
        post(pace, zipkin, 30)
    zipkin.active = [30] * 4
    pages = iter([zipkin.page()])
    again = Zipkin(at_a_time=0)
    pace._page = lambda: next(pages, None) or again.page()  # noqa: SLF001 - the same connection, another process
    post(pace, again, 100)
    assert again.active == [100]


def test_a_zipkin_with_another_storage_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    pace = Pace(lambda: "", 100, _PATIENCE)
    zipkin = Zipkin(at_a_time=0)
    for _ in range(10):
        post(pace, zipkin, 60)
    assert [record.message for record in caplog.records] == [
        "Zipkin does not report pending storage requests: requests are paced by their duration."
    ]


def test_after_a_request_that_took_long_zipkin_has_a_rest() -> None:
    pace = Pace(lambda: "", 100, _PATIENCE)
    pace.note(1, 0.9)
    began = time.monotonic()
    pace.wait(1)
    assert time.monotonic() - began < _PATIENCE
    pace.note(1, 1.1)
    began = time.monotonic()
    pace.wait(1)
    assert time.monotonic() - began >= _PATIENCE


def test_requests_that_the_storage_refused_are_said(caplog: pytest.LogCaptureFixture) -> None:
    zipkin = Zipkin(at_a_time=9)
    pace = Pace(zipkin.page, 100, _PATIENCE)
    post(pace, zipkin, 60)
    post(pace, zipkin, 60)
    zipkin.failed = 3
    for _ in range(5):
        post(pace, zipkin, 60)
        zipkin.failed += 1  # not said for each anew
    assert [record.message.split(" or ")[0] for record in caplog.records] == ["Zipkin's storage refused 3 requests"]
