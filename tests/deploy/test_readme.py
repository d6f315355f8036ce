import re

from tests.deploy.files import DEPLOY, services
from tracelink.settings import KAFKA_PREFIX, NAMES, variable_of

README = (DEPLOY / "README.md").read_text("utf-8")


def test_every_variable_of_the_readme_is_a_setting() -> None:
    known = {variable_of(name) for name in NAMES}
    named = set(re.findall(r"TRACELINK_\w+", README))
    unknown = {name for name in named if name.removesuffix("_FILE") not in known and name not in known}
    assert named
    assert {name for name in unknown if not name.startswith(KAFKA_PREFIX)} == set()


def test_the_readme_lists_every_published_port_and_no_other() -> None:
    published = {port.rsplit(":", 1)[0] for service in services().values() for port in service.get("ports", [])}
    assert set(re.findall(r"127\.0\.0\.1:\d+", README)) == published


def test_the_readme_names_every_file() -> None:
    files = {path.relative_to(DEPLOY) for path in DEPLOY.rglob("*") if path.is_file() and path.name != "README.md"}
    named = set(re.findall(r"`([\w./-]+)`", README))
    assert not [path for path in files if not any(str(path).startswith(name) for name in named)]
