"""Reading log lines: from the bytes of a line to an encoded message, in one process without a server."""

import json

from benchmarks.case import Bench, Case
from benchmarks.paired import paired
from benchmarks.result import Result, Row, Target
from pipeline.formats.log_lines import read_log_lines
from pipeline.formats.log_record import LineReader
from pipeline.formats.text_lines import parse_text_line
from tracelink.model.codec import LOG_RECORD
from tracelink.model.encoding import encode_log
from tracelink.model.records import ErrorRule, LogRecord

_TRACE = "1017aa41c0de71473641e43ccb6c8e3d"
# For each row: what it is, its line, and the most that it may cost as a multiple of decoding and encoding alone.
_ECS = (
    '{"@timestamp":"2026-11-20T08:15:30.123456Z","log.level":"ERROR","message":"charge of order 4711 failed",'
    f'"service.name":"pay","log.logger":"shop.pay.Charge","trace.id":"{_TRACE}","span.id":"3ffd6372d39b35f2",'
    '"process.thread.name":"http-nio-8080-exec-1","ecs.version":"1.2.0"}'
)
_PINO = (
    '{"level":50,"time":1795162530123,"pid":4711,"hostname":"pay-7f9c","msg":"charge of order 4711 failed",'
    f'"trace_id":"{_TRACE}","span_id":"3ffd6372d39b35f2","trace_flags":"01","reqId":"req-1",'
    '"req":{"method":"POST","url":"/charge","remoteAddress":"10.0.0.7"},"responseTime":12.5}'
)
_LOGBACK = (
    f"2026-11-20 08:15:30.123 [http-nio-8080-exec-1] ERROR shop.pay.Charge [traceId={_TRACE},"
    "spanId=3ffd6372d39b35f2] - charge of order 4711 failed"
)
_DOTNET = (
    '{"Timestamp":"2026-11-20T08:15:30.1234560+00:00","EventId":0,"LogLevel":"Error","Category":"Shop.Pay",'
    '"Message":"Charge of order 4711 failed","State":{"Message":"Charge of order 4711 failed","Order":4711},'
    f'"Scopes":[{{"SpanId":"3ffd6372d39b35f2","TraceId":"{_TRACE}"}},{{"RequestPath":"/charge"}}]}}'
)
# For each row: the logger, a line of its, and the most that it may cost as a multiple of decoding and encoding alone.
_LINES = (
    ("Elastic Common Schema", _ECS, 2.5),
    ("pino", _PINO, 2.5),
    ("Logback text", _LOGBACK, 4.0),
    (".NET's JSON console, with scopes", _DOTNET, None),
    ("text of no layout", "charge of order 4711 failed", None),
)
_BATCH, _ROUNDS = 2000, 25


def _read(lines: list[bytes]) -> LogRecord:
    """Read and encode lines; returns the last record."""
    reader = LineReader(ErrorRule(), 1795162530123456)
    for found in read_log_lines(lines):
        record = reader.read(found.entry, "0123456789abcdef0123456789abcdef-1")  # type: ignore[arg-type] # none is refused
        encode_log(record)
    return record


def _alone(line: str, record: LogRecord) -> None:
    """Decode JSON with the standard library as often, and encode the record."""
    for _ in range(_BATCH):
        json.loads(line)
        LOG_RECORD.encode(record)


def _measure(title: str, text: str, most: float | None) -> tuple[Row, Target | None]:
    """Measure reading a line, beside decoding and encoding alone."""
    line = text.encode() + b"\n"
    lines = [line] * _BATCH
    record = _read(lines)
    # Text is compared with JSON that says the same.
    same = text if text.startswith("{") else json.dumps(parse_text_line(text))
    found = paired(lambda: _read(lines), lambda: _alone(same, record), records=_BATCH, rounds=_ROUNDS)
    row = Row(
        title,
        cpu_us=found.ours,
        note=f"{len(text)} bytes; {found.ratio:.2f} times the {found.other:.1f} µs of decoding and encoding alone",
    )
    if most is None:
        return row, None
    return row, Target(
        f"{title}: multiple of decoding and encoding alone, at most {most}", found.ratio, most, at_most=True
    )


def _run(_: Bench) -> Result:
    measured = [_measure(*one) for one in _LINES]
    return Result("parsing", CASE.about, [row for row, _ in measured], [target for _, target in measured if target])


CASE = Case("parsing", "log lines from bytes to encoded messages", (), _run)
