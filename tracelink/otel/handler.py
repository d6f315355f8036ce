"""The handler that passes lines of `logging` to OpenTelemetry."""

import logging

from opentelemetry._logs import LoggerProvider, SeverityNumber
from opentelemetry.context import get_current

# The attributes of every LogRecord; all others came as `extra`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# Loggers of the export itself: exporting their lines would cause more such lines.
_OWN = ("tracelink", "opentelemetry")
_SEVERITIES = (
    (logging.CRITICAL, SeverityNumber.FATAL),
    (logging.ERROR, SeverityNumber.ERROR),
    (logging.WARNING, SeverityNumber.WARN),
    (logging.INFO, SeverityNumber.INFO),
    (logging.DEBUG, SeverityNumber.DEBUG),
)


class OpenTelemetryHandler(logging.Handler):
    """Emits each line with the current trace and span, except lines of the exporting libraries.

    The SDK's own handler is deprecated.
    """

    def __init__(self, provider: LoggerProvider) -> None:
        super().__init__()
        self._provider = provider
        self.addFilter(lambda record: record.name.partition(".")[0] not in _OWN)

    def emit(self, record: logging.LogRecord) -> None:
        """Emit a line; errors go to `handleError`, as in every handler of `logging`, and are never raised."""
        try:
            attributes = {name: value for name, value in vars(record).items() if name not in _STANDARD}
            attributes["code.file.path"] = record.pathname
            attributes["code.function.name"] = record.funcName
            attributes["code.line.number"] = record.lineno
            attributes["thread.name"] = record.threadName
            self._provider.get_logger(record.name).emit(
                timestamp=int(record.created * 1e9),
                context=get_current(),
                severity_number=_severity(record.levelno),
                severity_text=record.levelname,
                body=record.getMessage(),
                attributes=attributes,
                exception=record.exc_info[1] if record.exc_info else None,
            )
        except Exception:  # noqa: BLE001 - as every handler does
            self.handleError(record)


def _severity(level: int) -> SeverityNumber:
    return next((number for least, number in _SEVERITIES if level >= least), SeverityNumber.TRACE)
