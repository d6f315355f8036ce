"""Apache Kafka as one node: broker and controller in one process, without ZooKeeper."""

import subprocess
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from pipeline.local.ports import free_port
from pipeline.local.server import HOST, Launch, LaunchContext, Server, accepts, java
from tracelink.errors import UserError
from tracelink.kafka.client import client_log

# docker-compose.yml has the same; a test compares them.
BROKER_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    # `tracelink topics apply` creates the topics with the required settings.
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "5",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "5",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # The interval at which the broker aborts transactions of dead producers: readers of committed records wait for it.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
}
# The default of 128 MB would be a quarter of the heap.
_CLEANER_BUFFER = "16777216"
_CLUSTER_ID = "dHJhY2VsaW5rLWxvY2FsMQ"
_LOG_CONFIGURATION = Path(__file__).with_name("log4j2.properties")
_PROBE_SECONDS = 2.0


def _properties(context: LaunchContext) -> str:
    controller = f"{HOST}:{free_port()}"
    listener = f"PLAINTEXT://{HOST}:{context.port}"
    settings = BROKER_SETTINGS | {
        "log.dirs": str(context.data / "log"),
        "listeners": f"{listener},CONTROLLER://{controller}",
        "advertised.listeners": listener,
        # Voters by setting, not by record, so that the controller's port may change between starts.
        "controller.quorum.voters": f"{BROKER_SETTINGS['node.id']}@{controller}",
        "log.cleaner.dedupe.buffer.size": _CLEANER_BUFFER,
    }
    # Java reads a backslash in a properties file as an escape.
    return "".join(f"{key}={value}\n".replace("\\", "\\\\") for key, value in settings.items())


def _format(jvm: list[str], properties: Path) -> None:
    tool = [*jvm, "kafka.tools.StorageTool", "format", "--cluster-id", _CLUSTER_ID, "--config", str(properties)]
    result = subprocess.run(tool, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    if result.returncode:
        raise UserError(f"Kafka cannot format {properties.parent}: {(result.stderr or result.stdout).strip()}")


def _launch(context: LaunchContext) -> Launch:
    properties = context.data / "server.properties"
    properties.write_text(_properties(context), "utf-8")
    class_path = ":".join(map(str, context.jars["kafka"]))
    jvm = [*java("kafka", "512m", context.mark), f"-Dlog4j2.configurationFile={_LOG_CONFIGURATION}", "-cp", class_path]
    if not (context.data / "log" / "meta.properties").exists():
        _format(jvm, properties)
    return Launch((*jvm, "kafka.Kafka", str(properties)))


def _ready(port: int) -> bool:
    # A client would log an error about a closed port to our stderr.
    if not accepts(port):
        return False
    client = AdminClient({"bootstrap.servers": f"{HOST}:{port}", "log_level": 0}, logger=client_log(__name__))
    try:
        return bool(client.list_topics(timeout=_PROBE_SECONDS).brokers)
    except KafkaException:
        return False


KAFKA = Server(name="kafka", default_port=9092, locks=("kafka",), needs=(), scheme="", launch=_launch, ready=_ready)
