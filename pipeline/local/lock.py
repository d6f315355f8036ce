"""Writes the lock files: `python -m pipeline.local.lock`, for maintainers, after a change of `versions.py`.

It resolves each of `ROOTS` with its dependencies, downloads every jar, and writes coordinates, SHA-256 and size.
"""

import sys
import tempfile
from pathlib import Path

from jgo.maven import MavenContext

from pipeline.local.jars import sha256
from pipeline.local.versions import ROOTS

_FOLDER = Path(__file__).parent / "locks"
_HEADER = "# Written by `python -m pipeline.local.lock`; change versions.py instead.\n"
_WITH_CLASSIFIER = "group:artifact:version:classifier".count(":")


def resolve(maven: MavenContext, roots: tuple[str, ...]) -> list[str]:
    """Return the coordinates of the roots and their runtime dependencies; versions of earlier roots win."""
    versions: dict[str, str] = {}
    for root in roots:
        if root.count(":") == _WITH_CLASSIFIER:
            # A jar with a classifier (Zipkin's `exec`) contains its dependencies; those in its pom are not published.
            group, name, version = root.split(":", 2)
            versions[f"{group}:{name}"] = version
            continue
        # One at a time: otherwise jgo applies each root's managed versions to the dependencies of the others.
        inputs, transitive = maven.resolver.resolve([maven.create_dependency(root)])
        for dep in [*inputs, *(dep for dep in transitive if dep.scope in ("compile", "runtime"))]:
            versions.setdefault(f"{dep.groupId}:{dep.artifactId}", dep.version)
    return sorted(f"{name}:{version}" for name, version in versions.items())


def entries(maven: MavenContext, coordinates: list[str]) -> str:
    """Download the jars, and return the text of a lock file without its header."""
    return "".join(_entry(maven, found) for found in coordinates)


def _entry(maven: MavenContext, coordinates: str) -> str:
    group, name, version, *classifier = coordinates.split(":")
    path = maven.project(group, name).at_version(version).artifact(*classifier).resolve()
    return f'\n[[jar]]\ncoordinates = "{coordinates}"\nsha256 = "{sha256(path)}"\nsize = {path.stat().st_size}\n'


def main() -> None:
    """Write every lock file."""
    with tempfile.TemporaryDirectory() as folder:
        maven = MavenContext(repo_cache=Path(folder), timeout=60)
        on_class_path: set[str] = set()
        for name, roots in ROOTS.items():
            coordinates = resolve(maven, roots)
            if name == "elasticsearch":
                on_class_path = set(coordinates)
            if name == "elasticsearch-netty":
                # Elasticsearch rejects a module with jars that its parent class loader has already ("jar hell").
                coordinates = [found for found in coordinates if found not in on_class_path]
            (_FOLDER / f"{name}.toml").write_text(_HEADER + entries(maven, coordinates))
            sys.stdout.write(f"{name}: {len(coordinates)} jars\n")


if __name__ == "__main__":
    main()
