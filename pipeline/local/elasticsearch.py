"""Elasticsearch's core node with its HTTP module, hosted by a Python process (es_node.py)."""

import shutil
import sys
import zipfile
from pathlib import Path

import orjson

from pipeline.local.server import HOST, Launch, LaunchContext, Server, answers, jvm_arguments

# What docker-compose.yml has too; a test compares them.
ELASTICSEARCH_SETTINGS = {
    "cluster.name": "tracelink",
    "discovery.type": "single-node",
    # A laptop's disk is fairly full; the default watermarks would make the indices read-only.
    "cluster.routing.allocation.disk.threshold_enabled": "false",
}
_MODULE = "transport-netty4"
_DESCRIPTOR = "plugin-descriptor.properties"


def _write_module(folder: Path, jars: tuple[Path, ...]) -> None:
    """Lay out the HTTP module as Elasticsearch's own distribution does."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for jar in jars:
        (folder / jar.name).symlink_to(jar)
        if jar.name.startswith(_MODULE):
            with zipfile.ZipFile(jar) as archive:
                inside = next(name for name in archive.namelist() if name.endswith(f"/{_DESCRIPTOR}"))
                lines = archive.read(inside).decode("utf-8").splitlines()
            # A named module would need the server to be one too, and it is on the class path.
            kept = [line for line in lines if not line.startswith("modulename")]
            (folder / _DESCRIPTOR).write_text("\n".join(kept), "utf-8")


def _launch(context: LaunchContext) -> Launch:
    for name in ("config", "plugins"):
        (context.data / name).mkdir(parents=True, exist_ok=True)
    _write_module(context.data / "modules" / _MODULE, context.jars["elasticsearch-netty"])
    settings = ELASTICSEARCH_SETTINGS | {
        "node.name": "local",
        "logger.level": "info",
        # Warnings without a remedy: Zipkin's requests are in an older style; native libraries are not published.
        "logger.org.elasticsearch.deprecation": "off",
        "logger.org.elasticsearch.nativeaccess": "off",
        "path.home": str(context.data),
        "path.data": str(context.data / "data"),
        "network.host": HOST,
        "http.port": str(context.port),
        "transport.port": "0",
        "http.type": "netty4",
        "transport.type": "netty4",
        # Nothing here leaves the machine, and the node would choose snappy, which fewer clients read than gzip.
        "http.compression": "false",
    }
    node = context.data / "node.json"
    node.write_bytes(
        orjson.dumps(
            {
                "jvm": jvm_arguments("elasticsearch", "1g", context.mark),
                "class_path": [str(jar) for jar in context.jars["elasticsearch"]],
                "settings": settings,
            },
            option=orjson.OPT_INDENT_2,
        )
    )
    return Launch((sys.executable, "-P", "-m", "pipeline.local.es_node", str(node), context.mark))


ELASTICSEARCH = Server(
    name="elasticsearch",
    default_port=9200,
    locks=("elasticsearch", "elasticsearch-netty"),
    needs=(),
    scheme="http://",
    launch=_launch,
    # After a restart the indices are read first; until then a search of them fails.
    ready=lambda port: answers(port, "/_cluster/health?wait_for_status=yellow&timeout=1s"),
)
