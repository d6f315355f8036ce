"""What a producer's client raises, as the transactions pass it on."""

from threading import Event
from typing import NoReturn, cast

import pytest
from confluent_kafka import KafkaError, KafkaException

from pipeline.kafka import transactions
from pipeline.kafka.transactions import Transactions
from tracelink.kafka import errors


class _Fenced:
    """A producer that was fenced, and has a log line to pass on after its fatal error."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def begin_transaction(self) -> None: ...

    def flush(self, _: float) -> NoReturn:
        # As the client does it: the logger is called while the exception is set.
        raise SystemError("<class 'logging.LogRecord'> returned a result with an exception set") from KafkaException(
            KafkaError(errors.FENCED, "fenced", fatal=True)
        )

    poll = flush


def test_a_fatal_error_is_raised_though_a_log_line_came_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "Producer", _Fenced)
    fenced = Transactions({}, Event())
    for serve in (fenced.flush, fenced.poll):
        with pytest.raises(KafkaException) as raised:
            serve()
        assert cast("KafkaError", raised.value.args[0]).code() == errors.FENCED
