"""Whole services in processes of their own, on a real Kafka."""

import os
import subprocess
import sys
import textwrap
import time

from pipeline.local.stack import Endpoints
from tests.kit.kafka_topics import create, read, settings
from tracelink.kafka.messages import LOGS, SPANS, UNLINKED_LOGS
from tracelink.model.codec import LOG_RECORD, SPAN
from tracelink.model.records import Flag
from tracelink.settings import NAMES, PublisherSettings, variable_of


def run(service: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(service)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )


SHOP = """
    import logging
    import sys
    import tracelink

    assert "opentelemetry" not in sys.modules
    tracelink.setup("shop", log_level="INFO")

    from opentelemetry import trace

    log = logging.getLogger("shop.cart")
    with trace.get_tracer("shop").start_as_current_span("order", kind=trace.SpanKind.SERVER):
        log.info("an order of %d", 3, extra={"customer": {"id": 7}})
        try:
            raise KeyError("stock")
        except KeyError:
            log.exception("no order")
    log.warning("outside")
    logging.getLogger("opentelemetry.sdk").warning("about the export itself")
"""


def test_one_call_publishes_spans_and_lines_and_hands_all_over_at_exit(stack: Endpoints, topic_prefix: str) -> None:
    create(stack.kafka, topic_prefix)
    done = run(SHOP, TRACELINK_KAFKA_BOOTSTRAP_SERVERS=stack.kafka, TRACELINK_TOPIC_PREFIX=topic_prefix)
    assert done.returncode == 0, done.stderr

    messages = read(settings(stack.kafka, topic_prefix))
    (span,) = (SPAN.decode(message.value) for message in messages if message.kind == SPANS)
    assert (span["name"], span["kind"], span["flags"]) == ("order", "SERVER", Flag.ROOT)
    info, error = (LOG_RECORD.decode(message.value) for message in messages if message.kind == LOGS)
    assert (info["message"], info["level"], info["service"]) == ("an order of 3", "INFO", "shop")
    assert (info["traceId"], info["spanId"]) == (span["traceId"], span["id"])
    assert info["fields"]["customer"] == '{"id":7}'
    assert info["fields"]["code.function.name"] == "<module>"
    assert (error["message"], error["flags"]) == ("no order", Flag.ERROR)
    assert error["exception"] is not None
    assert (error["exception"]["type"], error["exception"]["message"]) == ("KeyError", "'stock'")
    assert "Traceback" in str(error["exception"]["stackTrace"])
    (outside,) = (LOG_RECORD.decode(message.value) for message in messages if message.kind == UNLINKED_LOGS)
    assert (outside["message"], outside["level"]) == ("outside", "WARNING")


def test_a_service_takes_the_variables_of_all_processes_and_refuses_a_misspelt_one() -> None:
    quiet = {"TRACELINK_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "TRACELINK_FLUSH_TIMEOUT": "0"}
    of_others = {variable_of(name): "of another" for name in NAMES - PublisherSettings.model_fields.keys()}
    service = "import tracelink; tracelink.setup('shop').shutdown()"
    done = run(service, **of_others, **quiet)
    assert done.returncode == 0, done.stderr
    misspelt = run(service, TRACELINK_ALERTMANAGER_URI="http://127.0.0.1:9093", **quiet)
    assert misspelt.returncode != 0
    assert "TRACELINK_ALERTMANAGER_URI is not a setting. Did you mean TRACELINK_ALERTMANAGER_URL?" in misspelt.stderr


def test_workers_that_a_server_forks_after_the_set_up_publish_for_themselves(
    stack: Endpoints, topic_prefix: str
) -> None:
    create(stack.kafka, topic_prefix)
    done = run(
        """
        import logging, os, sys
        import tracelink
        tracelink.setup("shop", log_level="INFO")
        from opentelemetry import _logs, trace
        logging.info("starting")
        _logs.get_logger_provider().force_flush()
        children = []
        for worker in range(2):
            child = os.fork()
            if child == 0:
                with trace.get_tracer("shop").start_as_current_span(f"worker {worker}"):
                    logging.info("working")
                sys.exit()
            children.append(child)
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
        """,
        TRACELINK_KAFKA_BOOTSTRAP_SERVERS=stack.kafka,
        TRACELINK_TOPIC_PREFIX=topic_prefix,
    )
    assert done.returncode == 0, done.stderr
    messages = read(settings(stack.kafka, topic_prefix))
    names = {SPAN.decode(message.value)["name"] for message in messages if message.kind == SPANS}
    assert names == {"worker 0", "worker 1"}
    ids = {LOG_RECORD.decode(message.value)["id"] for message in messages if message.kind != SPANS}
    assert len(ids) == 3


def test_a_service_whose_kafka_is_away_works_and_ends_in_time() -> None:
    start = time.monotonic()
    done = run(SHOP, TRACELINK_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", TRACELINK_FLUSH_TIMEOUT="0.5")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - start < 15


def test_requests_pass_their_trace_on_by_w3c_and_b3_and_take_either() -> None:
    done = run(
        """
        import tracelink
        with tracelink.setup("shop", kafka_bootstrap_servers="127.0.0.1:1", flush_timeout=0):
            from opentelemetry import propagate, trace
            def extracted(**headers):
                found = trace.get_current_span(propagate.extract(headers)).get_span_context()
                return f"{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:d}"
            A, B, S = "a" * 32, "b" * 32, "c" * 16
            assert extracted(traceparent=f"00-{A}-{S}-01") == f"{A}-{S}-1"
            assert extracted(b3=f"{B}-{S}-1") == f"{B}-{S}-1"
            assert extracted(**{"x-b3-traceid": "d" * 16, "x-b3-spanid": S, "x-b3-sampled": "0"}).endswith("-0")
            both = extracted(b3=f"{B}-{S}-1", traceparent=f"00-{A}-{S}-01")
            assert both == f"{A}-{S}-1", both
            headers = {}
            with trace.get_tracer("t").start_as_current_span("call"):
                propagate.inject(headers)
            assert headers["x-b3-traceid"] == headers["traceparent"].split("-")[1]
        """
    )
    assert done.returncode == 0, done.stderr


def test_the_sampling_rate_decides_on_new_traces_and_a_callers_decision_is_kept() -> None:
    done = run(
        """
        import tracelink
        with tracelink.setup("shop", kafka_bootstrap_servers="127.0.0.1:1", flush_timeout=0, sample_rate=0):
            from opentelemetry import propagate, trace
            tracer = trace.get_tracer("t")
            assert not tracer.start_span("new").is_recording()
            caller = propagate.extract({"traceparent": f"00-{'a' * 32}-{'c' * 16}-01"})
            assert tracer.start_span("called", caller).is_recording()
        """
    )
    assert done.returncode == 0, done.stderr


def test_setting_up_twice_is_told_to_the_user() -> None:
    done = run(
        """
        import tracelink
        from tracelink.errors import UserError
        with tracelink.setup("shop", kafka_bootstrap_servers="127.0.0.1:1", flush_timeout=0):
            try:
                tracelink.setup("shop")
            except UserError as error:
                print(error)
        """
    )
    assert "set up already" in done.stdout, done.stderr


def test_the_environment_alone_turns_the_exporters_on(stack: Endpoints, topic_prefix: str) -> None:
    create(stack.kafka, topic_prefix)
    done = run(
        """
        # What `opentelemetry-instrument` runs through the package opentelemetry-distro.
        from opentelemetry.sdk._configuration import _OTelSDKConfigurator
        _OTelSDKConfigurator().configure(auto_instrumentation_version="0")
        from opentelemetry import _logs, trace
        with trace.get_tracer("t").start_as_current_span("auto"):
            _logs.get_logger("t").emit(body="line", timestamp=1)
        """,
        OTEL_SERVICE_NAME="auto",
        OTEL_TRACES_EXPORTER="tracelink",
        OTEL_LOGS_EXPORTER="tracelink",
        OTEL_METRICS_EXPORTER="none",
        TRACELINK_KAFKA_BOOTSTRAP_SERVERS=stack.kafka,
        TRACELINK_TOPIC_PREFIX=topic_prefix,
    )
    assert done.returncode == 0, done.stderr
    messages = read(settings(stack.kafka, topic_prefix))
    (span,) = (SPAN.decode(message.value) for message in messages if message.kind == SPANS)
    (line,) = (LOG_RECORD.decode(message.value) for message in messages if message.kind == LOGS)
    assert span["name"] == "auto"
    assert (line["message"], line["traceId"], line["service"]) == ("line", span["traceId"], "auto")
