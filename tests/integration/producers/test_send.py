"""`tracelink send` as its user runs it, on a real Kafka."""

import gzip
import json
import lzma
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipeline.cli.root import main
from pipeline.kafka.admin import connect
from pipeline.local.stack import Endpoints
from tests.kit.kafka_topics import create, read, settings
from tracelink.kafka.messages import LOGS, SPANS, UNLINKED_LOGS
from tracelink.model.codec import LOG_RECORD, SPAN

SPAN_LINE = {"traceId": "463ac35c9f6413ad", "id": "a", "timestamp": 1_674_984_128_000_000}
LOG_LINE = {"time": "2023-01-29T09:22:08Z", "message": "hello", "traceId": "463ac35c9f6413ad"}
UNLINKED_LINE = {"time": "2023-01-29T09:22:09Z", "message": "alone"}


_SEND = (sys.executable, "-m", "pipeline.cli", "send")


def send(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["send", *map(str, arguments)])


def lines(path: Path, *values: object) -> Path:
    path.write_text("".join(f"{value if isinstance(value, str) else json.dumps(value)}\n" for value in values))
    return path


@pytest.fixture
def where(stack: Endpoints, topic_prefix: str) -> tuple[str, ...]:
    create(stack.kafka, topic_prefix)
    return ("--kafka-bootstrap-servers", stack.kafka, "--topic-prefix", topic_prefix)


def test_files_are_sent_and_counted(
    where: tuple[str, ...], stack: Endpoints, topic_prefix: str, tmp_path: Path
) -> None:
    spans = tmp_path / "spans.json.gz"
    spans.write_bytes(gzip.compress(json.dumps([[SPAN_LINE], [SPAN_LINE, SPAN_LINE]], indent=1).encode()))
    logs = lines(tmp_path / "logs.jsonl", LOG_LINE, UNLINKED_LINE)
    done = send("--spans", spans, "--logs", logs, "--json", *where)
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout) == {
        "spans": 3,
        "logs": 1,
        "unlinked_logs": 1,
        "delivered": 5,
        "undelivered": {},
        "refused": {},
        "formats": {},
        "compressed": {str(spans): "gzip"},
        "refusals": [],
        "interrupted": False,
    }
    messages = read(settings(stack.kafka, topic_prefix))
    assert sorted(message.kind for message in messages) == [LOGS, SPANS, SPANS, SPANS, UNLINKED_LOGS]
    assert SPAN.decode(next(message.value for message in messages if message.kind == SPANS))["id"] == "a".zfill(16)


def test_a_compressed_file_is_read_and_said(where: tuple[str, ...], tmp_path: Path) -> None:
    logs = tmp_path / "app.jsonl.xz"
    logs.write_bytes(lzma.compress(json.dumps(LOG_LINE).encode()))
    done = send("--logs", logs, *where)
    assert done.exit_code == 0, done.stderr
    assert f"Decompressed: {logs} (xz)." in done.stdout


def test_a_second_reading_of_lines_without_a_time_gives_the_same_messages(
    where: tuple[str, ...], stack: Endpoints, topic_prefix: str, tmp_path: Path
) -> None:
    logs = lines(tmp_path / "app.log", "starting", "2026-11-20 08:15:30.123 [main] INFO shop.Pay - ready", "charged 7")
    for _ in range(2):
        assert send("--logs", logs, *where).exit_code == 0
    values = [message.value for message in read(settings(stack.kafka, topic_prefix))]
    assert len(values) == 6
    assert len(set(values)) == 3
    times = {one["message"]: one["timestamp"] for one in map(LOG_RECORD.decode, values)}
    assert times["charged 7"] == times["ready"] == 1_795_162_530_123_000
    assert times["starting"] == logs.stat().st_mtime_ns // 1000


def test_spans_in_other_formats_are_sent_and_said(where: tuple[str, ...], tmp_path: Path) -> None:
    jaeger = tmp_path / "trace.json"
    span = {"traceID": "a", "spanID": "b", "operationName": "charge", "startTime": SPAN_LINE["timestamp"]}
    jaeger.write_text(json.dumps({"data": [{"spans": [span, span]}]}, indent=4))
    zipkin = lines(tmp_path / "v1.jsonl", SPAN_LINE, {**SPAN_LINE, "binaryAnnotations": []})
    done = send("--spans", jaeger, "--spans", zipkin, *where)
    assert done.exit_code == 0, done.stderr
    assert "Sent 4 spans" in done.stdout
    assert "Spans in other formats than Zipkin v2: 2 in Jaeger, 1 in Zipkin v1." in done.stdout


def test_sending_a_file_again_gives_its_lines_the_same_ids(
    where: tuple[str, ...], stack: Endpoints, topic_prefix: str, tmp_path: Path
) -> None:
    logs = lines(tmp_path / "logs.jsonl", LOG_LINE, LOG_LINE)
    for _ in range(2):
        assert send("--logs", logs, *where).exit_code == 0
    ids = [LOG_RECORD.decode(message.value)["id"] for message in read(settings(stack.kafka, topic_prefix))]
    assert (len(ids), len(set(ids))) == (4, 2)


def test_lines_come_from_standard_input(where: tuple[str, ...]) -> None:
    piped = f"{json.dumps(LOG_LINE)}\n{json.dumps(UNLINKED_LINE)}\n"
    done = subprocess.run(
        [*_SEND, "--logs", "-", *where], check=False, capture_output=True, text=True, timeout=60, input=piped
    )
    assert done.returncode == 0, done.stderr
    assert "1 log lines and 1 log lines without a trace" in done.stdout


def test_a_refused_line_is_shown_with_its_place_and_the_rest_is_sent(where: tuple[str, ...], tmp_path: Path) -> None:
    spans = lines(tmp_path / "spans.jsonl", SPAN_LINE, "nonsense", {"traceId": "xyz", "id": "a"}, SPAN_LINE)
    logs = lines(tmp_path / "logs.jsonl", *[{"time": "Nov 20 08:15:30", "message": "no year"}] * 20)
    done = send("--spans", spans, "--logs", logs, *where)
    assert done.exit_code == 1
    assert "Sent 2 spans" in done.stdout
    assert "Refused 22: 1 no JSON, 20 time, 1 traceId." in done.stderr
    assert f"{logs}:1: time" in done.stderr
    assert "… and 12 more" in done.stderr

    assert send("--spans", spans, *where, "--skip-invalid").exit_code == 0
    shown = send("--spans", spans, *where)
    assert f"{spans}:2: no JSON" in shown.stderr
    assert f"{spans}:3: traceId" in shown.stderr


def test_nothing_is_dropped_while_the_buffer_is_full(
    where: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACELINK_BUFFER_RECORDS", "10")
    spans = lines(tmp_path / "spans.jsonl", *[SPAN_LINE] * 500)
    done = send("--spans", spans, *where, "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["delivered"] == 500


def test_the_rate_is_kept(where: tuple[str, ...], tmp_path: Path) -> None:
    spans = lines(tmp_path / "spans.jsonl", *[SPAN_LINE] * 100)
    start = time.monotonic()
    assert send("--spans", spans, *where, "--rate", "100").exit_code == 0
    assert time.monotonic() - start >= 0.99


def test_ctrl_c_sends_what_is_buffered_and_says_how_far_it_got(where: tuple[str, ...]) -> None:
    with subprocess.Popen(
        [*_SEND, "--logs", "-", "--json", *where],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as sending:
        assert sending.stdin is not None
        # More than a pipe and the reader's buffer hold: the second write ends only when the first lines were read.
        for _ in range(2):
            sending.stdin.write(f"{json.dumps(LOG_LINE)}\n" * 5000)
            sending.stdin.flush()
        sending.send_signal(signal.SIGINT)
        output, errors = sending.communicate(timeout=30)
    assert sending.returncode == 130, errors
    outcome = json.loads(output)
    assert outcome["interrupted"]
    assert outcome["logs"] == outcome["delivered"] > 0


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ((), 2, "Give at least one file"),
        (("--spans", "-", "--logs", "-"), 2, "only once"),
        (("--spans", "missing.json"), 1, "missing.json"),
        (("--rate", "0", "--spans", "-"), 2, "--rate"),
    ],
)
def test_what_the_user_got_wrong_is_told_in_a_line(arguments: tuple[str, ...], code: int, told: str) -> None:
    done = send(*arguments)
    assert done.exit_code == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broker_that_does_not_answer_is_told_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connect.__kwdefaults__ or {}, "timeout", 0.5)
    spans = lines(tmp_path / "spans.jsonl", SPAN_LINE)
    done = send("--spans", spans, "--kafka-bootstrap-servers", "127.0.0.1:1")
    assert done.exit_code == 1
    assert "does not answer" in done.stderr


def test_missing_topics_are_told_with_the_command_that_makes_them(stack: Endpoints, tmp_path: Path) -> None:
    spans = lines(tmp_path / "spans.jsonl", SPAN_LINE)
    done = send("--spans", spans, "--kafka-bootstrap-servers", stack.kafka, "--topic-prefix", "nobody-made-these.")
    assert done.exit_code == 1
    assert "tracelink topics apply" in done.stderr
    assert "nobody-made-these.spans" in done.stderr


SHARED = Path(__file__).parents[3].parent / "shared/data"
SETS = {
    "trainticket": (5617, 2993),
    "boutique": (6712, 7260),
    "zipkin/ascend": None,
    "zipkin/envoy": None,
    "zipkin/messaging-kafka": None,
    "zipkin/messaging": None,
    "zipkin/skew": None,
    "zipkin/yelp": None,
}


@pytest.mark.skipif(
    not SHARED.is_dir() and os.environ.get("CI") != "true", reason="the shared data set is not beside this clone"
)
@pytest.mark.parametrize("name", SETS)
def test_every_record_of_the_shared_data_set_is_sent(
    name: str, where: tuple[str, ...], stack: Endpoints, topic_prefix: str
) -> None:
    counts = SETS[name]
    if counts is None:
        spans = SHARED / f"{name}.json"
        expected = {SPANS: len(json.loads(spans.read_bytes()))}
        done = send("--spans", spans, *where)
    else:
        expected = {SPANS: counts[0], LOGS: counts[1]}
        done = send("--spans", SHARED / f"{name}.spans.jsonl.gz", "--logs", SHARED / f"{name}.logs.jsonl.gz", *where)
    assert done.exit_code == 0, done.stderr
    messages = read(settings(stack.kafka, topic_prefix))
    assert {kind: sum(message.kind == kind for message in messages) for kind in expected} == expected
    assert len(messages) == sum(expected.values())
    if counts is not None:
        assert (
            len({LOG_RECORD.decode(message.value)["id"] for message in messages if message.kind == LOGS}) == counts[1]
        )
