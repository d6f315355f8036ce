"""Zipkin from its executable jar, with its storage in Elasticsearch."""

from pipeline.local.server import HOST, Launch, LaunchContext, Server, answers, java

# docker-compose.yml has the same; a test compares them.
ZIPKIN_ENV = {
    "STORAGE_TYPE": "elasticsearch",
    # One node has no place for replicas, and five shards for each day's index are of no use.
    "ES_INDEX_SHARDS": "1",
    "ES_INDEX_REPLICAS": "0",
    # In ms. Zipkin drops spans that its storage has not answered by then; its default is 10 s.
    "ES_TIMEOUT": "60000",
}


def _launch(context: LaunchContext) -> Launch:
    (jar,) = context.jars["zipkin"]
    # Zipkin's own setting has only the port; it would listen on all interfaces.
    listener = {"port": context.port, "ip": HOST, "protocols[0]": "http"}
    arguments = [f"--armeria.ports[0].{key}={value}" for key, value in listener.items()]
    return Launch(
        command=(*java("zipkin", "256m", context.mark), "-jar", str(jar), *arguments),
        environment=ZIPKIN_ENV | {"ES_HOSTS": context.urls["elasticsearch"], "QUERY_PORT": str(context.port)},
    )


ZIPKIN = Server(
    name="zipkin",
    default_port=9411,
    locks=("zipkin",),
    needs=("elasticsearch",),
    scheme="http://",
    launch=_launch,
    ready=lambda port: answers(port, "/health"),
)
