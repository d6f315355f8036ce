"""The handler that passes lines of `logging` to OpenTelemetry."""

import logging
import time
import traceback

from opentelemetry._logs import LoggerProvider
from opentelemetry.context import get_current

from tracelink.model.levels import ORIGINAL_LEVEL
from tracelink.otel.levels import level_of_logging
from tracelink.texts import text

# The attributes of every LogRecord; all others came as `extra`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# Loggers of the export itself: exporting their lines would cause more such lines.
_OWN = ("tracelink", "opentelemetry")
# Types that OpenTelemetry takes unchanged. It converts others with code that raises if an object's `str` does.
_PLAIN = frozenset({str, int, float, bool, type(None)})


class OpenTelemetryHandler(logging.Handler):
    """Emits each line with the current trace and span, except lines of the exporting libraries.

    The SDK's own handler is deprecated.
    """

    def __init__(self, provider: LoggerProvider) -> None:
        super().__init__()
        self._provider = provider
        self.addFilter(lambda record: str(record.name).partition(".")[0] not in _OWN)

    def emit(self, record: logging.LogRecord) -> None:
        """Emit a line; errors go to `handleError`, as in every handler of `logging`, and are never raised.

        No value of a record is an error: one that cannot be printed is replaced by its type and the reason.
        """
        try:
            attributes: dict[str, object] = {}
            for name, value in vars(record).items():
                if name not in _STANDARD:
                    shown = name if type(name) is str and name else text(name) or "(no name)"
                    attributes[shown] = value if type(value) in _PLAIN else text(value)
            # The extras come first: if there are too many attributes, OpenTelemetry drops the first ones, and says so.
            level = level_of_logging(record.levelno, record.levelname)
            if level.original is not None:
                attributes.setdefault(ORIGINAL_LEVEL, level.original)
            body = _message(record, attributes)
            attributes.setdefault("code.file.path", record.pathname)
            attributes.setdefault("code.function.name", record.funcName)
            attributes.setdefault("code.line.number", record.lineno)
            attributes.setdefault("thread.name", record.threadName)
            if record.exc_info or record.exc_text or record.stack_info:
                attributes = attributes | _stacks(record) | attributes
            self._provider.get_logger(text(record.name)).emit(
                timestamp=_nanoseconds(record.created),
                context=get_current(),
                severity_number=level.number,
                severity_text=level.word,
                body=body,
                attributes=attributes,  # type: ignore[arg-type]  # their values are plain now
            )
        except Exception:  # noqa: BLE001 - as every handler does
            self.handleError(record)


def _message(record: logging.LogRecord, attributes: dict[str, object]) -> str:
    """Return a line's message; one whose arguments do not fit its format has them as attributes."""
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - a wrong format, or errors of an argument's own code
        attributes["logging.args"] = text(record.args)
        attributes["logging.error"] = text(error)
        return text(record.msg)


def _stacks(record: logging.LogRecord) -> dict[str, object]:
    """Return the exception and the stack of a line, with OpenTelemetry's names."""
    found: dict[str, object] = {}
    exception = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    if exception is not None:
        kind = type(exception)
        module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
        found["exception.type"] = f"{module}{kind.__qualname__}"
        found["exception.message"] = _said(exception)
        found["exception.stacktrace"] = _trace(exception)
    elif record.exc_text:  # the record came from another process, which has printed the exception
        found["exception.stacktrace"] = text(record.exc_text)
    if record.stack_info:
        found["code.stacktrace"] = text(record.stack_info)
    return found


def _said(exception: BaseException) -> str:
    try:
        return str(exception)
    except Exception:  # noqa: BLE001 - an exception's own code may raise anything
        return text(exception)


def _trace(exception: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(exception))
    except Exception:  # noqa: BLE001 - as above
        return "".join(traceback.format_tb(exception.__traceback__))


def _nanoseconds(seconds: float) -> int:
    """Return a time in nanoseconds since the epoch; the present if it is no number."""
    try:
        return int(seconds * 1e9)
    except (TypeError, ValueError, OverflowError):
        return time.time_ns()
