"""A whole pipeline for a test: on the servers of the tests, under names of its own."""

from contextlib import suppress

import psutil

from pipeline.local.stack import Endpoints


def pipeline_environment(stack: Endpoints, topic_prefix: str, index_prefix: str) -> dict[str, str]:
    """Return the variables under which `tracelink up` or `demo` uses these servers and meets no other test."""
    return {
        "TRACELINK_KAFKA_BOOTSTRAP_SERVERS": stack.kafka,
        "TRACELINK_ZIPKIN_URL": stack.zipkin,
        "TRACELINK_ELASTICSEARCH_URL": stack.elasticsearch,
        "TRACELINK_TOPIC_PREFIX": topic_prefix,
        "TRACELINK_INDEX_PREFIX": index_prefix,
        "TRACELINK_JOIN_GROUP": f"{topic_prefix}join",
        "TRACELINK_ALERTS_GROUP": f"{topic_prefix}alerts",
        "TRACELINK_SINK_GROUP": f"{topic_prefix}sink",
        "TRACELINK_INSTANCE_ID": topic_prefix,
        "TRACELINK_STACK_GATEWAY_PORT": "0",
        "TRACELINK_STACK_PAGE_PORT": "0",
        "TRACELINK_STACK_GATEWAY_GRPC_PORT": "0",
        "TRACELINK_PARTITIONS": "2",
    }


def processes_of(environment: dict[str, str]) -> list[psutil.Process]:
    """Find all processes under the topic prefix of an environment, whoever started them: children inherit it."""
    name = "TRACELINK_TOPIC_PREFIX"
    found = []
    for process in psutil.process_iter():
        # One that has ended has no environment any more.
        with suppress(psutil.Error):
            if process.environ().get(name) == environment[name]:
                found.append(process)
    return found
