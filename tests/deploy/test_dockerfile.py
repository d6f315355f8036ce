import re
from fnmatch import fnmatch
from importlib.metadata import requires

from packaging.requirements import Requirement

from tests.deploy.files import ROOT, image_environment, instructions


def _copied() -> set[str]:
    """List the sources of each COPY from the build context."""
    lines = [line.split() for line in instructions("COPY")]
    return {source for words in lines if not words[0].startswith("--from") for source in words[:-1]}


def _build_tool() -> set[str]:
    (names,) = re.findall(r"kept = /\^\((.*?)\)==/", " ".join(instructions("RUN")))
    return set(names.split("|"))


def test_the_base_images_have_one_full_version() -> None:
    bases = {line.split()[0] for line in instructions("FROM")}
    assert len(bases) == 1
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", bases.pop())


def test_the_process_is_not_root() -> None:
    assert int(instructions("USER")[-1]) > 0


def test_what_is_copied_is_there_and_passes_dockerignore() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    allowed = {line.removeprefix("!").rstrip("/") for line in lines if line.startswith("!")}
    assert _copied() == allowed
    assert all((ROOT / source).exists() for source in _copied())


def test_secrets_and_caches_stay_out_of_the_build_context() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert "*" in lines
    assert any(fnmatch("pipeline/local/__pycache__", line.rstrip("/")) for line in lines)


def test_every_installation_from_a_registry_checks_hashes() -> None:
    installs = re.findall(r"pip install (.*?)(?:&&|$)", "\n".join(instructions("RUN")), re.MULTILINE)
    assert len(installs) == 3
    assert all("--require-hashes" in install or "--no-deps dist/" in install for install in installs)


def test_the_build_tool_is_locked_with_all_that_it_needs() -> None:
    needed = {"hatchling"} | {
        requirement.name
        for requirement in map(Requirement, requires("hatchling") or [])
        if not requirement.marker or requirement.marker.evaluate({"python_version": "3.13"})
    }
    assert _build_tool() == needed
    lock = (ROOT / "requirements-dev.lock").read_text("utf-8")
    assert all(re.search(rf"^{name}==\S+", lock, re.MULTILINE) for name in needed)


def test_the_image_serves_its_metrics_to_other_containers() -> None:
    assert image_environment()["TRACELINK_HTTP_HOST"] == "0.0.0.0"  # noqa: S104 - a container's own address
    assert image_environment()["TRACELINK_HTTP_PORT"] in instructions("EXPOSE")
