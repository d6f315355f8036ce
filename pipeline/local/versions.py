"""The pinned versions of the servers, and the Maven coordinates they come from."""

VERSIONS = {"kafka": "4.2.0", "zipkin": "3.6.1", "elasticsearch": "9.5.3"}

_ELASTICSEARCH = VERSIONS["elasticsearch"]

# One lock file a key, one class path a lock file. A classifier is the last part of `group:artifact:version:classifier`.
ROOTS = {
    "kafka": (
        f"org.apache.kafka:kafka_2.13:{VERSIONS['kafka']}",
        # The published pom leaves the choice of a logging backend open; without one the broker logs nothing.
        "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5",
    ),
    "zipkin": (f"io.zipkin:zipkin-server:{VERSIONS['zipkin']}:exec",),
    "elasticsearch": (f"org.elasticsearch:elasticsearch:{_ELASTICSEARCH}",),
    "elasticsearch-netty": (f"org.elasticsearch.plugin:transport-netty4:{_ELASTICSEARCH}",),
}
