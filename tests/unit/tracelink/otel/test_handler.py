"""Lines of `logging` as records: whatever a line carries, it arrives."""

import logging
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from prometheus_client import CollectorRegistry

from tracelink.metrics import PublisherMetrics
from tracelink.model.codec import LOG_RECORD
from tracelink.model.levels import ORIGINAL_LEVEL
from tracelink.model.records import Flag, LogRecord
from tracelink.otel import TracelinkLogExporter
from tracelink.otel.handler import OpenTelemetryHandler
from tracelink.settings import PublisherSettings
from tracelink.testing import MemoryPublisher


class NoRepr:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class NoStrError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no str")


class Service:
    """A logger with our handler, and the records that it published."""

    def __init__(self) -> None:
        self.publisher = MemoryPublisher(PublisherSettings.load(), PublisherMetrics(CollectorRegistry()))
        self._provider = LoggerProvider(shutdown_on_exit=False)
        self._provider.add_log_record_processor(SimpleLogRecordProcessor(TracelinkLogExporter(self.publisher)))
        self.handler = OpenTelemetryHandler(self._provider)
        self.log = logging.Logger("shop.pay")  # noqa: LOG001 - no other test may see its handler
        self.log.addHandler(self.handler)

    def lines(self) -> list[LogRecord]:
        return [LOG_RECORD.decode(message.value) for message in self.publisher.messages]

    def line(self) -> LogRecord:
        (line,) = self.lines()
        return line

    def close(self) -> None:
        self._provider.shutdown()


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    def fail(_: logging.Handler, record: logging.LogRecord) -> None:
        raise AssertionError(f"the line is lost: {record.msg}") from sys.exception()

    monkeypatch.setattr(logging.Handler, "handleError", fail)
    made = Service()
    yield made
    made.close()


def test_a_line_has_its_level_logger_place_and_extras(service: Service) -> None:
    service.log.error("charge of %d failed", 7, extra={"card": {"id": 3}, "attempt": 2, "ratio": 0.5})
    line = service.line()
    assert (line["message"], line["level"], line["logger"]) == ("charge of 7 failed", "ERROR", "shop.pay")
    assert line["flags"] == Flag.ERROR
    fields = line["fields"]
    assert fields["card"] == '{"id":3}'
    assert (fields["attempt"], fields["ratio"]) == ("2", "0.5")
    assert fields["code.function.name"] == "test_a_line_has_its_level_logger_place_and_extras"
    assert fields["code.file.path"] == __file__
    assert ORIGINAL_LEVEL not in fields


def cyclic() -> dict[str, object]:
    found: dict[str, object] = {"a": 1}
    found["me"] = found
    return found


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (NoRepr(), "<NoRepr: cannot be printed (RuntimeError)>"),
        ([NoRepr()], '["<NoRepr: cannot be printed (RuntimeError)>"]'),
        (cyclic(), '{"a":1,"me":"<cycle>"}'),
        (b"\xff\x00", "ff00"),
        (b"text", "text"),
        (float("nan"), "NaN"),
        ([float("-inf")], '["-Infinity"]'),
        ("half \ud800", "half ?"),
        (2**200, str(2**200)),
        pytest.param(10**5000, hex(10**5000), id="huge"),
        (object, "<class 'object'>"),
        (None, "null"),
        (NoStrError("lost"), "NoStrError('lost')"),
        (iter([1]), "<list_iterator"),
    ],
)
def test_an_extra_of_any_kind_is_a_field(service: Service, value: object, shown: str) -> None:
    service.log.error("charge failed", extra={"card": value, "order": "o-1"})
    assert service.line()["message"] == "charge failed"
    assert service.line()["fields"]["card"].startswith(shown)
    assert service.line()["fields"]["order"] == "o-1"


def test_an_extra_is_as_it_was_when_the_line_was_written(service: Service) -> None:
    basket = ["apple"]
    service.log.warning("filled", extra={"basket": basket})
    basket.append("pear")
    assert service.line()["fields"]["basket"] == '["apple"]'


@pytest.mark.parametrize(("name", "shown"), [(7, "7"), ("", "(no name)"), ("\ud800", "?"), (("a", 1), '["a",1]')])
def test_an_extra_may_have_any_name(service: Service, name: object, shown: str) -> None:
    service.log.warning("odd", extra={name: "kept"})  # type: ignore[dict-item]  # what `logging` lets pass
    assert service.line()["fields"][shown] == "kept"


def test_an_extra_with_the_name_of_a_field_of_ours_has_priority(service: Service) -> None:
    service.log.warning("here", extra={"code.line.number": 3, ORIGINAL_LEVEL: "mine"})
    assert service.line()["fields"]["code.line.number"] == "3"
    assert service.line()["fields"][ORIGINAL_LEVEL] == "mine"


@pytest.mark.parametrize(
    ("message", "arguments", "shown", "said"),
    [
        ("%d cards", ("no number",), "%d cards", '["no number"]'),
        ("%s and %s", ("one",), "%s and %s", '["one"]'),
        ("plain", (1, 2), "plain", "[1,2]"),
        ("by %s", (NoRepr(),), "by %s", '["<NoRepr: cannot be printed (RuntimeError)>"]'),
        ("100%", ("x",), "100%", '["x"]'),
    ],
)
def test_a_message_whose_arguments_do_not_fit_has_them_beside(
    service: Service, message: str, arguments: tuple[object, ...], shown: str, said: str
) -> None:
    service.log.error(message, *arguments)
    line = service.line()
    assert (line["message"], line["fields"]["logging.args"]) == (shown, said)
    assert "Error" in line["fields"]["logging.error"]


def test_a_message_that_cannot_be_printed_is_its_type(service: Service) -> None:
    service.log.error(NoRepr())
    assert service.line()["message"] == "<NoRepr: cannot be printed (RuntimeError)>"


def test_an_exception_has_type_message_and_stack(service: Service) -> None:
    try:
        raise KeyError("stock")
    except KeyError:
        service.log.exception("no order")
    exception = service.line()["exception"]
    assert exception is not None
    assert (exception["type"], exception["message"]) == ("KeyError", "'stock'")
    assert str(exception["stackTrace"]).endswith("KeyError: 'stock'\n")


def test_an_exception_that_cannot_be_printed_keeps_its_line(service: Service) -> None:
    try:
        raise NoStrError("lost")
    except NoStrError:
        service.log.exception("no order")
    line = service.line()
    assert line["message"] == "no order"
    assert line["exception"] is not None
    assert line["exception"]["type"] == f"{__name__}.NoStrError"
    assert line["exception"]["message"] == "NoStrError('lost')"
    assert "test_handler.py" in str(line["exception"]["stackTrace"])


def test_a_stack_is_a_field(service: Service) -> None:
    service.log.warning("who calls", stack_info=True)
    assert service.line()["fields"]["code.stacktrace"].startswith("Stack (most recent call last)")


def by_hand(**values: object) -> logging.LogRecord:
    """Return a record as a listener of another process gets it."""
    return logging.makeLogRecord({"name": "shop", "levelno": 40, "levelname": "ERROR", "msg": "hi", **values})


def test_an_exception_that_another_process_printed_is_the_stack_trace(service: Service) -> None:
    service.log.handle(by_hand(exc_text="Traceback …\nKeyError: 'a'"))
    exception = service.line()["exception"]
    assert exception is not None
    assert exception["stackTrace"] == "Traceback …\nKeyError: 'a'"


@pytest.mark.parametrize(
    "values",
    [
        {"created": float("nan")},
        {"created": float("inf")},
        {"created": "2026"},
        {"created": None},
        {"created": 1e300},
        {"exc_info": True},
        {"exc_info": (None, None, None)},
        {"name": None},
        {"name": "\ud800"},
        {"levelname": None},
        {"pathname": None, "lineno": None, "funcName": None},
        {"msg": None},
        {"threadName": b"main"},
    ],
)
def test_a_record_made_by_hand_is_a_line(service: Service, values: dict[str, object]) -> None:
    service.log.handle(by_hand(**values))
    line = service.line()
    assert line["level"] == "ERROR"
    assert line["message"] == ("hi" if "msg" not in values else "None")
    assert 0 < line["timestamp"] < 2**63


def test_lines_of_the_exporting_libraries_are_left_out(service: Service) -> None:
    for name in ("tracelink", "tracelink.publisher", "opentelemetry.sdk", "tracelinker"):
        service.log.handle(by_hand(name=name))
    assert service.line()["logger"] == "tracelinker"


@pytest.mark.parametrize(
    ("number", "name", "level", "original"),
    [
        (40, "ERROR", "ERROR", None),
        (40, "\x1b[31mERROR\x1b[0m", "ERROR", None),
        (40, "\x1b[1;31mError   \x1b[0m", "ERROR", None),
        (40, "  error", "ERROR", None),
        (40, "E", "ERROR", "E"),
        (40, "Fehler", "ERROR", "Fehler"),
        (40, "INFO", "ERROR", "INFO"),
        (30, "WARN", "WARNING", "WARN"),
        (25, "SUCCESS", "INFO", "SUCCESS"),
        (25, "Level 25", "INFO", "Level 25"),
        (35, "\x1b[33mNOTICE\x1b[0m", "WARNING", "\x1b[33mNOTICE\x1b[0m"),
        (49, "Level 49", "ERROR", "Level 49"),
        (60, "FATAL", "CRITICAL", "FATAL"),
        (10**6, "worst", "CRITICAL", "worst"),
        (15, "VERBOSE", "DEBUG", "VERBOSE"),
        (5, "TRACE", "TRACE", None),
        (1, "Level 1", "TRACE", "Level 1"),
    ],
)
def test_a_level_is_the_word_of_its_number(
    service: Service, number: int, name: str, level: str, original: str | None
) -> None:
    service.log.handle(by_hand(levelno=number, levelname=name))
    line = service.line()
    assert line["level"] == level
    assert line["fields"].get(ORIGINAL_LEVEL) == original
    assert line["flags"] == (Flag.ERROR if number >= 40 else 0)


def test_a_level_that_was_renamed_is_its_number(service: Service) -> None:
    logging.addLevelName(logging.ERROR, "\x1b[31mFEHLER\x1b[0m")
    try:
        service.log.error("charge failed")
    finally:
        logging.addLevelName(logging.ERROR, "ERROR")
    assert service.line()["level"] == "ERROR"
    assert service.line()["fields"][ORIGINAL_LEVEL] == "\x1b[31mFEHLER\x1b[0m"


@pytest.mark.filterwarnings("ignore:Log record attributes were dropped")
def test_many_extras_keep_the_place_of_the_line_and_say_what_is_missing(service: Service) -> None:
    service.log.error("wide", extra={f"f{number}": number for number in range(500)})
    fields = service.line()["fields"]
    assert fields["f499"] == "499"
    assert "code.file.path" in fields
    assert int(fields["otel.dropped_attributes_count"]) + len(fields) > 500


def test_an_immense_extra_is_cut_and_the_line_says_so(service: Service) -> None:
    service.log.error("charge failed", extra={"body": "x" * 1_200_000, "order": "o-1"})
    fields = service.line()["fields"]
    assert fields["body"].startswith("xxx")
    assert 900_000 < len(fields["body"]) < 1_048_576
    assert fields["tracelink.truncated"] == "body (1200000 bytes)"
    assert fields["order"] == "o-1"
