"""The versions and Maven coordinates of the servers."""

VERSIONS = {"kafka": "4.2.0", "zipkin": "3.6.1", "elasticsearch": "9.5.3"}

_ELASTICSEARCH = VERSIONS["elasticsearch"]

# Each key has a lock file, each lock file is a class path. Coordinates are `group:artifact:version[:classifier]`.
ROOTS = {
    "kafka": (
        f"org.apache.kafka:kafka_2.13:{VERSIONS['kafka']}",
        # The published pom has no logging backend; without one the broker logs nothing.
        "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5",
    ),
    "zipkin": (f"io.zipkin:zipkin-server:{VERSIONS['zipkin']}:exec",),
    "elasticsearch": (f"org.elasticsearch:elasticsearch:{_ELASTICSEARCH}",),
    "elasticsearch-netty": (f"org.elasticsearch.plugin:transport-netty4:{_ELASTICSEARCH}",),
}
