"""Where settings come from, and what a wrong one gets."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tracelink.cli import main
from tracelink.errors import UserError
from tracelink.kafka import client_properties, connect
from tracelink.options import settings_options
from tracelink.settings import STAGES, ElasticsearchSettings, JoinSettings, KafkaSettings, variable_of
from tracelink.settings_table import settings_table


def test_a_flag_wins_over_a_variable_and_that_over_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "prefix").write_text("from-file.\n")
    monkeypatch.setenv("TRACELINK_TOPIC_PREFIX_FILE", str(tmp_path / "prefix"))
    assert KafkaSettings.load().topic_prefix == "from-file."
    monkeypatch.setenv("TRACELINK_TOPIC_PREFIX", "from-variable.")
    assert KafkaSettings.load().topic_prefix == "from-variable."
    assert KafkaSettings.load(topic_prefix="from-flag.").topic_prefix == "from-flag."


def test_a_wrong_value_is_one_line_that_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACELINK_IDLE_GAP", "soon")
    with pytest.raises(UserError, match=r"^TRACELINK_IDLE_GAP \(or --idle-gap\): .*valid number.*$"):
        JoinSettings.load()


def test_an_unknown_variable_is_refused_with_the_nearest_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACELINK_IDLE_GAPP", "5")
    with pytest.raises(UserError, match=r"TRACELINK_IDLE_GAPP is no setting\. Did you mean TRACELINK_IDLE_GAP\?"):
        KafkaSettings.load()


def test_a_missing_secret_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACELINK_ELASTICSEARCH_PASSWORD_FILE", "/nowhere/secret")
    with pytest.raises(UserError, match=r"TRACELINK_ELASTICSEARCH_PASSWORD_FILE.*nowhere"):
        ElasticsearchSettings.load()


def test_secrets_are_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACELINK_ELASTICSEARCH_PASSWORD", "canary-7261")
    assert "canary-7261" not in repr(ElasticsearchSettings.load())


def test_any_librdkafka_property_passes_through(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hidden\n")
    (tmp_path / "kafka.properties").write_text("# as for Java\nsecurity.protocol=SASL_SSL\nsasl.username = file\n")
    monkeypatch.setenv("TRACELINK_KAFKA_CONFIG_FILE", str(tmp_path / "kafka.properties"))
    monkeypatch.setenv("TRACELINK_KAFKA_SASL_USERNAME", "variable")
    monkeypatch.setenv("TRACELINK_KAFKA_SASL_PASSWORD_FILE", str(tmp_path / "secret"))
    found = client_properties(KafkaSettings.load())
    assert found["security.protocol"] == "SASL_SSL"
    assert found["sasl.username"] == "variable"
    assert found["sasl.password"] == "hidden"


def test_a_property_that_a_promise_rests_on_cannot_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACELINK_KAFKA_ACKS", "1")
    with pytest.raises(UserError, match="acks is all"):
        client_properties(KafkaSettings.load(), promised={"acks": "all"})


def test_a_wrong_librdkafka_property_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACELINK_KAFKA_SASL_PASWORD", "x")
    with pytest.raises(UserError, match=r"sasl\.pasword.*Did you mean sasl\.password\?"):
        connect(KafkaSettings.load())


def test_a_broker_that_does_not_answer_is_one_line_with_the_setting() -> None:
    with pytest.raises(UserError, match=r"127\.0\.0\.1:1 \(TRACELINK_KAFKA_BOOTSTRAP_SERVERS\) does not answer"):
        connect(KafkaSettings.load(kafka_bootstrap_servers="127.0.0.1:1"), timeout=1)


def test_every_setting_says_what_it_is() -> None:
    for stage in STAGES.values():
        for name, field in stage.model_fields.items():
            assert field.description, f"{variable_of(name)} has no description"


def test_the_readme_has_the_table_of_settings_as_it_is() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert settings_table() in readme, "run `tracelink settings` and put its table into README.md"


def test_options_carry_default_and_variable_into_help() -> None:
    @click.command()
    @settings_options(JoinSettings)
    def command(**_: str | None) -> None:
        """Do nothing."""

    shown = " ".join(CliRunner().invoke(command, ["--help"]).output.split())
    assert "--idle-gap VALUE" in shown
    assert "[default: 5.0] [env: TRACELINK_IDLE_GAP]" in shown


def test_an_unknown_command_and_an_unknown_option_name_the_nearest() -> None:
    runner = CliRunner()
    unknown = runner.invoke(main, ["joni"])
    assert (unknown.exit_code, "Did you mean 'join'?" in unknown.output) == (2, True)
    option = runner.invoke(main, ["join", "--idle-gpa", "3"])
    assert (option.exit_code, "--idle-gap" in option.output) == (2, True)
