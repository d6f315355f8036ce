import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli.root import main
from pipeline.local import commands
from pipeline.local.pipeline import PROCESSES


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> ModuleSpec | None:
        return None if name == "jgo" else ModuleSpec(name, None)

    monkeypatch.setattr(commands, "find_spec", find)
    result = CliRunner().invoke(main, ["stack", "status"])
    assert result.exit_code == 1
    assert (
        result.output == "Error: The local stack needs jgo. Install tracelink with its extra: pip install '.[local]'\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["up", "--only", "kafka,zipkn"], "'zipkn' is not one of kafka, zipkin, elasticsearch."),
        (["up", "--kafka-port", "70000"], "--kafka-port"),
        (["up", "--kafkaport", "1"], "Did you mean --kafka-port?"),
    ],
)
def test_a_wrong_option_is_named(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(main, ["stack", *arguments])
    assert result.exit_code == 2
    assert said in result.output


def test_a_directory_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for command in ("up", "down"):
        result = CliRunner().invoke(main, ["stack", command, "--dir", str(tmp_path / "file" / "stack")])
        assert result.exit_code == 1
        assert f"The stack cannot use {tmp_path / 'file'}" in result.output
        assert "--dir" in result.output


def test_the_commands_load_nothing_heavy() -> None:
    heavy = "{'confluent_kafka', 'jgo', 'jpype', 'psutil', 'rich', 'urllib3'}"
    code = f"import sys, pipeline.local.commands; sys.exit(str({heavy} & set(sys.modules) or ''))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert loaded.stderr == "\n"


@pytest.mark.parametrize("command", [[], ["up"], ["status"], ["down"]])
def test_each_help_has_examples(command: list[str]) -> None:
    result = CliRunner().invoke(main, ["stack", *command, "--help"])
    assert result.exit_code == 0
    assert "Examples:\n  tracelink stack" in result.output.replace("\n    ", "\n  ").replace("  Examples", "Examples")


def test_the_help_of_up_counts_the_processes_and_their_ports() -> None:
    shown = " ".join(CliRunner().invoke(main, ["up", "--help"]).output.split())
    assert f"on N to N+{len(PROCESSES) - 1}, in this order" in shown
    assert "alerts" in shown
