"""One module for each case: its subjects, their peers, and the targets of the result."""

from benchmarks.case import Case
from benchmarks.cases import (
    alerting,
    elasticsearch,
    gateway,
    growth,
    join,
    page,
    parsing,
    pipeline,
    publisher,
    recovery,
    replaying,
    scaling,
    serving,
    steady,
    windows,
    zipkin,
)

CASES: dict[str, Case] = {
    module.CASE.name: module.CASE
    for module in (
        join,
        steady,
        alerting,
        growth,
        recovery,
        replaying,
        scaling,
        publisher,
        parsing,
        gateway,
        serving,
        windows,
        page,
        zipkin,
        elasticsearch,
        pipeline,
    )
}
