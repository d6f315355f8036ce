"""The jars of the senders; `python -m tests.integration.producers.gateway.java.jars` writes their lock `jars.toml`."""

import tempfile
from pathlib import Path

from jgo.maven import MavenContext

from pipeline.local.events import ignore
from pipeline.local.jars import ensure, of_lock
from pipeline.local.lock import entries, resolve
from pipeline.local.paths import default_cache

ROOTS = (
    "io.zipkin.brave:brave:6.3.0",
    "io.zipkin.brave:brave-context-slf4j:6.3.0",
    "io.zipkin.reporter2:zipkin-reporter-brave:3.5.1",
    "io.zipkin.reporter2:zipkin-sender-urlconnection:3.5.1",
    "io.zipkin.reporter2:zipkin-sender-okhttp3:3.5.1",
    "co.elastic.logging:logback-ecs-encoder:1.7.0",
    "ch.qos.logback:logback-classic:1.6.6",
)

_LOCK = Path(__file__).with_suffix(".toml")
_HEADER = "# Written by `python -m tests.integration.producers.gateway.java.jars`; change jars.py instead.\n"


def class_path() -> list[str]:
    """Return the jars, which it downloads into the cache of the local stack unless they are there."""
    jars = of_lock(_LOCK.read_text())
    ensure(jars, default_cache(), None, ignore)
    return [str(default_cache() / jar.path) for jar in jars]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        maven = MavenContext(repo_cache=Path(folder), timeout=60)
        _LOCK.write_text(_HEADER + entries(maven, resolve(maven, ROOTS)))


if __name__ == "__main__":
    main()
