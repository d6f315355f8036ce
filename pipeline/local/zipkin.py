"""Zipkin from its one executable jar, with its traces in Elasticsearch."""

from pipeline.local.server import HOST, Launch, LaunchContext, Server, answers, java

# What docker-compose.yml has too; a test compares them.
ZIPKIN_ENV = {
    "STORAGE_TYPE": "elasticsearch",
    # One node: no second one to put replicas on, and a day's index of five shards costs more than it gives.
    "ES_INDEX_SHARDS": "1",
    "ES_INDEX_REPLICAS": "0",
}


def _launch(context: LaunchContext) -> Launch:
    (jar,) = context.jars["zipkin"]
    # Zipkin has a setting for its port alone and would listen on every interface.
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
