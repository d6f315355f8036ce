"""Elasticsearch's core node with its HTTP module, in a Python process (es_node.py)."""

import shutil
import sys
import zipfile
from pathlib import Path

import orjson

from pipeline.local.server import HOST, Launch, LaunchContext, Server, answers, jvm_arguments

# docker-compose.yml has the same; a test compares them.
ELASTICSEARCH_SETTINGS = {
    "cluster.name": "tracelink",
    "discovery.type": "single-node",
    # The disk of a laptop may be nearly full: with the default watermarks, indices would become read-only.
    "cluster.routing.allocation.disk.threshold_enabled": "false",
}
_MODULE = "transport-netty4"
_DESCRIPTOR = "plugin-descriptor.properties"


def _write_module(folder: Path, jars: tuple[Path, ...]) -> None:
    """Write the HTTP module's folder, as in Elasticsearch's own distribution."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for jar in jars:
        (folder / jar.name).symlink_to(jar)
        if jar.name.startswith(_MODULE):
            with zipfile.ZipFile(jar) as archive:
                inside = next(name for name in archive.namelist() if name.endswith(f"/{_DESCRIPTOR}"))
                lines = archive.read(inside).decode("utf-8").splitlines()
            # A named Java module requires that the server is one, too; but the server is on the class path.
            kept = [line for line in lines if not line.startswith("modulename")]
            (folder / _DESCRIPTOR).write_text("\n".join(kept), "utf-8")


def _launch(context: LaunchContext) -> Launch:
    for name in ("config", "plugins"):
        (context.data / name).mkdir(parents=True, exist_ok=True)
    _write_module(context.data / "modules" / _MODULE, context.jars["elasticsearch-netty"])
    settings = ELASTICSEARCH_SETTINGS | {
        "node.name": "local",
        "logger.level": "info",
        # These warnings have no remedy: Zipkin sends requests in an older style; native libraries are not published.
        "logger.org.elasticsearch.deprecation": "off",
        "logger.org.elasticsearch.nativeaccess": "off",
        "path.home": str(context.data),
        "path.data": str(context.data / "data"),
        "network.host": HOST,
        "http.port": str(context.port),
        "transport.port": "0",
        "http.type": "netty4",
        "transport.type": "netty4",
        # Local traffic needs no compression, and the node would choose snappy, which fewer clients support than gzip.
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
    # After a restart, searches fail until the indices are loaded.
    ready=lambda port: answers(port, "/_cluster/health?wait_for_status=yellow&timeout=1s"),
)
