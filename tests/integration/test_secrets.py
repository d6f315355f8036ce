"""Secrets go in everywhere a service may put them, and come out nowhere."""

import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import Message

from pipeline.local.stack import Endpoints
from tests.kit.http import http_request
from tests.kit.kafka import publish, read_all
from tests.kit.kafka_topics import create
from tests.kit.pipeline import pipeline_environment
from tests.kit.processes import running, url_in
from tests.kit.sink_examples import ERRORED, ROOT, YEAR_3000, log, new_trace_id, span
from tests.kit.waiting import wait_for
from tracelink.kafka.topics import TopicNames
from tracelink.model.codec import LOG_RECORD, SPAN

# What must not come out, in lower case, each within a text as services write it.
SECRETS = {
    "canaryfield": "login with password=CanaryField failed",
    "canaryjson": '{"user":"bob","password":"CanaryJson","n":1}',
    "canaryurl": "connecting to postgres://app:CanaryUrl@db:5432/shop",
    "canarybearer1": "Authorization: Bearer CanaryBearer1.x",
    b64encode(b"bob:canary").decode().lower(): f"sent Basic {b64encode(b'bob:canary').decode()}",
    "eyjcanary": "jwt eyJCanaryHead0.eyJCanaryBody0.CanarySign0",
    "canarykey": "calling with api_key=CanaryKey now",
    "canarytoken": "sessionToken: 'CanaryToken'",
    "akiacanarycanary0000": "as AKIACANARYCANARY0000",
    "ghp_canary": "cloning with ghp_Canary0123456789Canary0123456789",
    "xoxb-canary": "posting with xoxb-canary-0123456789",
    "canarylist1": '{"Authorization":["Bearer CanaryList1.x"]}',
    "canaryoption": "starting mysql --password CanaryOption --verbose",
    "canarysignature": "GET /a?X-Amz-Signature=CanarySignature&n=1",
    "canarysession": "with JSESSIONID=CanarySession now",
    "canaryhook": "posting to https://hooks.slack.com/services/T0/B0/CanaryHook now",
    "canarypem": "-----BEGIN PRIVATE KEY-----\nCanaryPem\n-----END PRIVATE KEY-----",
    "canary.mail": "of canary.mail@shop.example.com",
    "4111-1111-1111-1111": "charging 4111-1111-1111-1111 today",
}
ALL = " | ".join(SECRETS.values())
# Values that are secrets by their names alone.
NAMED = {"db.password": "CanaryNamed", "http.request.header.authorization": "CanaryNamed", "Set-Cookie": "CanaryNamed"}


@dataclass(frozen=True)
class Outputs:
    """What came out of the pipeline, each output as one text."""

    stack: Endpoints
    names: TopicNames
    index_prefix: str
    trace_id: bytes
    logs: Path

    def documents(self) -> str:
        base = f"{self.stack.elasticsearch}/{self.index_prefix}*"
        http_request("POST", f"{base}/_refresh")
        return http_request("GET", f"{base}/_search?size=1000").data.decode()

    def zipkin(self) -> str:
        return http_request("GET", f"{self.stack.zipkin}/api/v2/trace/{self.trace_id.hex()}").data.decode()

    def dead_letters(self) -> str:
        """Return their headers: payloads and keys stay as they came, and that is a promise."""
        return str([letter.headers() for letter in self._read(self.names.dead_letters)])

    def alerts(self) -> str:
        """Return what is known and told of the problem: texts stand in Avro as they are."""
        topics = (self.names.errors, self.names.problems, self.names.alerts)
        return "".join((one.value() or b"").decode(errors="replace") for topic in topics for one in self._read(topic))

    def _read(self, topic: str) -> list[Message]:
        return read_all(self.stack.kafka, topic)

    def own_logs(self) -> str:
        return "".join(path.read_text() for path in self.logs.glob("*.log"))

    def metrics(self) -> str:
        urls = [url for path in self.logs.glob("*.log") if (url := url_in(path.read_text()))]
        return "".join(http_request("GET", f"{url}/metrics").data.decode() for url in urls)

    def each(self) -> dict[str, Callable[[], str]]:
        """Name every output; what is added here is held against all secrets."""
        return {
            "Elasticsearch": self.documents,
            "Zipkin": self.zipkin,
            "headers of dead letters": self.dead_letters,
            "problems and alerts": self.alerts,
            "logs of our processes": self.own_logs,
            "metrics": self.metrics,
        }


def leaks(text: str) -> list[str]:
    """Return the secrets in a text, whatever JSON has made of their letters."""
    lower = text.lower().replace("\\u002f", "/").replace("\\/", "/")
    return [secret for secret in (*SECRETS, "canarynamed") if secret in lower]


def records(trace_id: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the topic and the message of records with every secret in every place.

    One line is refused for its date, in words that quote its id; one has a field that cannot be indexed.
    """
    now = time.time_ns() // 1000
    tags: dict[str, str] = {**NAMED, "note": ALL, "error": ALL, "list.canary.mail@shop.example.com": "1"}
    yield (
        "spans",
        SPAN.encode(
            span(
                trace_id,
                flags=ERRORED | ROOT,
                name=ALL,
                timestamp=now,
                tags=tags,
                annotations=[{"timestamp": now, "value": ALL}],
                localEndpoint={"serviceName": "cart"},
                remoteEndpoint={"serviceName": "db of canary.mail@shop.example.com"},
            )
        ),
    )
    for own in (
        {"fields": {**NAMED, "note": ALL}},
        {"fields": {"null\0byte canary.mail@shop.example.com": ALL}},
        {"id": "of canary.mail@shop.example.com", "timestamp": YEAR_3000},
    ):
        yield (
            "logs",
            LOG_RECORD.encode(
                log(
                    trace_id,
                    **{
                        "flags": ERRORED,
                        "level": "ERROR",
                        "timestamp": now,
                        "message": ALL,
                        "logger": "of canary.mail@shop.example.com",
                        "exception": {
                            "type": "Failed",
                            "message": ALL,
                            "stackTrace": f"Traceback\n  in login\n{ALL}\n  end",
                        },
                        **own,
                    },
                )
            ),
        )


@pytest.fixture
def outputs(stack: Endpoints, topic_prefix: str, index_prefix: str, tmp_path: Path) -> Iterator[Outputs]:
    """Run the join and the sinks, and publish the secrets."""
    environment = pipeline_environment(stack, topic_prefix, index_prefix) | {"TRACELINK_IDLE_GAP": "1"}
    del environment["TRACELINK_SINK_GROUP"]
    names, group = TopicNames(topic_prefix), environment["TRACELINK_JOIN_GROUP"]
    create(stack.kafka, topic_prefix, join_group=group)
    trace_id = new_trace_id()
    for topic, message in records(trace_id):
        publish(stack.kafka, f"{topic_prefix}{topic}", [(trace_id.hex().encode(), message)])
    publish(stack.kafka, names.spans, [(b"canary.mail@shop.example.com", b"no span")])
    unlinked = log(bytes(16), message=ALL, fields={**NAMED, "note": ALL})
    publish(stack.kafka, names.unlinked_logs, [(None, LOG_RECORD.encode(unlinked))])
    with ExitStack() as processes:
        for command in ("join", "alerts", "sink zipkin", "sink elasticsearch"):
            group = f"{topic_prefix}{command}".replace(" ", "-")
            processes.enter_context(
                running(
                    *command.split(),
                    log=tmp_path / f"{command}.log",
                    **environment,
                    **({"TRACELINK_SINK_GROUP": group} if "sink" in command else {}),
                )
            )
        yield Outputs(stack, names, index_prefix, trace_id, tmp_path)


def test_no_secret_comes_out_of_the_pipeline(outputs: Outputs) -> None:
    def count(text: str, what: str) -> int:
        return text.count(what)

    # Three lines (one of them without a trace), a part and a problem; the line refused; what is no span.
    wait_for("five documents", lambda: count(outputs.documents(), '"_id"') >= 5)
    wait_for("two dead letters", lambda: count(outputs.dead_letters(), "tracelink.reason") >= 2)
    wait_for("the span in Zipkin", lambda: "traceId" in outputs.zipkin())
    assert not {name: found for name, read in outputs.each().items() if (found := leaks(read()))}
    shown = outputs.documents()
    assert '"unindexed"' in shown
    assert "in document with id 'of [redacted]'" in outputs.dead_letters()
    assert "tracelink_service" in outputs.metrics()
    assert "[redacted]" in outputs.alerts()
    assert count(shown, "[redacted]") > 4 * len(SECRETS)
    for readable in ("login with password=[redacted] failed", "postgres://app:[redacted]@db:5432/shop", "in login"):
        assert readable in shown


def test_a_secret_that_came_out_would_be_seen() -> None:
    assert leaks(ALL + str(NAMED)) == [*SECRETS, "canarynamed"]
