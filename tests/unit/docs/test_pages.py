"""The pages say what the code does: those that come from it, their links, and the commands that they show."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from docs.generate.cli import commands
from docs.generate.metrics import SECTIONS, metrics_of
from docs.generate.pages import ROOMS, pages
from tests.kit.pages import DOCS, FENCE, ROOT, WRITTEN, name_of

_PAGES = pages()
_COMMANDS = dict(commands())


@pytest.mark.parametrize("path", _PAGES, ids=name_of)
def test_a_page_that_comes_from_the_code_is_as_the_code_is(path: Path) -> None:
    assert path.read_text("utf-8") == _PAGES[path], "run `make docs`"


def test_the_page_of_metrics_has_every_metric_of_the_code() -> None:
    made = re.compile(r"\b(?:Counter|Gauge|Histogram|Summary|Info|Enum)\(\s*\"(\w+)\"")
    in_code = {
        name for room in ROOMS for path in (ROOT / room).rglob("*.py") for name in made.findall(path.read_text())
    }
    shown = {metric.name.removesuffix("_total") for section in SECTIONS for metric in metrics_of(section)}
    assert "tracelink_join_records" in in_code
    assert in_code <= shown


def test_the_equations_are_of_metrics_that_there_are() -> None:
    shown = {metric.name for section in SECTIONS for metric in metrics_of(section)}
    equations = [equation for section in SECTIONS for equation in section.equations]
    assert equations
    assert {name for equation in equations for name in (equation.whole, *equation.parts)} <= shown


def test_the_glossary_is_alphabetical_with_a_line_a_word() -> None:
    lines = (DOCS / "glossary.md").read_text("utf-8").split("\n\n", 2)[2].splitlines()
    words = [found[1] for line in lines if (found := re.match(r"- \*\*([^*]+)\*\*", line))]
    assert len(words) == len(lines)
    assert words == sorted(words, key=str.casefold)


def _slugs(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", path.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", WRITTEN, ids=name_of)
def test_links_lead_to_files_and_headings_that_there_are(path: Path) -> None:
    for target, heading in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", FENCE.sub("", path.read_text("utf-8"))):
        if not target.startswith(("http://", "https://")):
            there = (path.parent / target).resolve() if target else path
            assert there.exists(), target
            assert not heading or heading in _slugs(there), f"{target}#{heading}"


def _shown_commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each `tracelink` command in the code of a page, without what stands before and behind it."""
    blocks = [block.replace("\\\n", " ") for language, block in FENCE.findall(text) if language in {"sh", "console"}]
    inline = re.findall(r"`(tracelink [a-z][^`]*)`", FENCE.sub("", text))
    for line in (line for code in (*blocks, *inline) for line in code.splitlines()):
        words = shlex.split(line, comments=True)
        for place, word in enumerate(words[:-1]):
            if word in {"tracelink", ".venv/bin/tracelink"} and words[place + 1][0].islower():
                rest = words[place + 1 :]
                yield rest[: rest.index("|")] if "|" in rest else rest


def _fault(words: list[str]) -> str | None:
    name, command = "tracelink", _COMMANDS["tracelink"]
    flags = {"--help", "--version"}
    while words and isinstance(command, click.Group) and words[0][0].islower():
        name, words = f"{name} {words[0]}", words[1:]
        if name not in _COMMANDS:
            return f"no command {name}"
        command = _COMMANDS[name]
        flags |= {flag for option in command.params for flag in option.opts}
    unknown = {word.partition("=")[0] for word in words if word.startswith("--")} - flags
    return f"{name} has no {', '.join(sorted(unknown))}" if unknown else None


def test_a_wrong_command_in_a_page_is_found() -> None:
    shown = "```sh\nX=1 tracelink sink \\\n  zipkin --keep 1 | cat --all  # tracelink joni\n```\n`tracelink joni`"
    assert [_fault(words) for words in _shown_commands(shown)] == [
        "tracelink sink zipkin has no --keep",
        "no command tracelink joni",
    ]


@pytest.mark.parametrize("path", [path for path in WRITTEN if path.name != "CHANGELOG.md"], ids=name_of)
def test_the_commands_of_a_page_are_there_with_their_flags(path: Path) -> None:
    assert [fault for words in _shown_commands(path.read_text("utf-8")) if (fault := _fault(words))] == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 160


def test_the_clients_of_the_gateway_have_the_versions_of_their_locks() -> None:
    table = (DOCS / "ingest.md").read_text("utf-8").partition("## Tested with")[2]
    named = set(re.findall(r"`([\w-]+)` (\d[\w.]*\w)", table))
    python = (ROOT / "requirements-dev.lock").read_text("utf-8")
    java = next((ROOT / "tests" / "integration").rglob("jars.toml")).read_text("utf-8")
    locked = re.findall(r"^([\w-]+)==(\S+)", python, re.MULTILINE)
    locked += re.findall(r'^coordinates = "[^":]+:([^":]+):([^":]+)"', java, re.MULTILINE)
    assert len(named) > 5
    assert named <= set(locked)
