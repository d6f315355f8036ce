"""Where settings come from, and what a wrong one gets."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pipeline.cli.options import settings_options
from pipeline.cli.root import main
from pipeline.kafka.admin import connect
from pipeline.local.commands import down
from pipeline.local.commands import up as stack_up
from pipeline.local.up import up
from pipeline.settings import WindowSettings, processes, settings_of, without_credentials, zipkin_ui
from sinks.elasticsearch.settings import ElasticsearchSettings
from streams.join.settings import JoinSettings
from tracelink.errors import UserError
from tracelink.kafka.client import client_log, client_properties
from tracelink.settings import NAMES, KafkaSettings, variable_of


def _flags(words: str) -> set[str | None]:
    """Return the names of a command's flags."""
    command: click.Command | None = main
    for word in words.split():
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), word)
    assert command is not None
    return {option.name for option in command.params}


_SINKS = ("sink zipkin", "sink elasticsearch", "sink alertmanager", "sink webhook")
_FLAGS = {
    words: _flags(words)
    for words in ("join", "alerts", "trends", *_SINKS, "canary", "send", "topics apply", "topics check")
}


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
    with pytest.raises(UserError, match=r"TRACELINK_IDLE_GAPP is not a setting\. Did you mean TRACELINK_IDLE_GAP\?"):
        KafkaSettings.load()


def test_a_misspelt_variable_of_the_local_stack_is_refused_and_a_right_one_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRACELINK_STACK_KAFKA_PORT", "3")
    KafkaSettings.load()
    monkeypatch.setenv("TRACELINK_STACK_KAFKA_PRT", "3")
    with pytest.raises(UserError, match="Did you mean TRACELINK_STACK_KAFKA_PORT"):
        KafkaSettings.load()


@pytest.mark.parametrize("servers", ["127.0.0.1", "kafka:port", "", "kafka:9092,other", ":9092", "http://kafka:9092"])
def test_an_address_without_a_port_is_refused_and_not_guessed(servers: str) -> None:
    with pytest.raises(UserError, match=r"TRACELINK_KAFKA_BOOTSTRAP_SERVERS .* is not HOST:PORT"):
        KafkaSettings.load(kafka_bootstrap_servers=servers)


def test_a_number_with_a_unit_is_refused_with_the_meaning_of_the_setting() -> None:
    with pytest.raises(UserError) as refused:
        WindowSettings.load(idle_gap="5s")
    assert refused.value.message == (
        "TRACELINK_IDLE_GAP (or --idle-gap): Input should be a valid number, not '5s'. "
        "A part of a trace closes after this many seconds without a record."
    )


def test_an_address_is_shown_without_its_credentials() -> None:
    shown = without_credentials("https://user:secret@es-1:9200/base,http://es-2:9200")
    assert shown == "https://es-1:9200/base,http://es-2:9200"
    for password in ("p#ss", "p/ss", "p@ss", "p?ss"):
        assert (
            without_credentials(f"cannot parse 'http://elastic:{password}@es:9200'") == "cannot parse 'http://es:9200'"
        )


def test_the_ui_of_zipkin_is_linked_without_credentials() -> None:
    assert zipkin_ui("https://user:secret@zipkin.example.org/") == "https://zipkin.example.org/zipkin"


def test_a_certificate_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACELINK_KAFKA_SSL_CA_LOCATION", "/nowhere/ca.pem")
    with pytest.raises(UserError, match=r"ssl\.ca\.location names the file /nowhere/ca\.pem"):
        client_properties(KafkaSettings.load())


def test_a_host_that_cannot_be_found_is_told_from_one_that_does_not_answer() -> None:
    with pytest.raises(UserError, match="cannot be found"):
        connect(KafkaSettings.load(kafka_bootstrap_servers="no-such-host.invalid:9092"), timeout=3)


def test_a_kafka_client_says_the_same_kind_of_thing_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    log = client_log("tests.core")
    for number in range(5):
        log.error("FAIL [thrd:%d] connection refused", number)
    log.error("ERROR [thrd] all brokers down")
    assert [record.getMessage().partition(" ")[0] for record in caplog.records] == ["FAIL", "ERROR"]


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


def test_clients_try_to_reach_a_broker_again_within_a_second_unless_a_user_has_it_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert client_properties(KafkaSettings.load())["reconnect.backoff.max.ms"] == 1_000
    monkeypatch.setenv("TRACELINK_KAFKA_RECONNECT_BACKOFF_MAX_MS", "5000")
    assert client_properties(KafkaSettings.load())["reconnect.backoff.max.ms"] == "5000"


def test_a_property_that_a_promise_rests_on_cannot_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACELINK_KAFKA_ACKS", "1")
    with pytest.raises(UserError, match="acks must be all in this command, not 1"):
        client_properties(KafkaSettings.load(), promised={"acks": "all"})


def test_a_wrong_librdkafka_property_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACELINK_KAFKA_SASL_PASWORD", "x")
    with pytest.raises(UserError, match=r"sasl\.pasword.*Did you mean sasl\.password\?"):
        connect(KafkaSettings.load())


def test_a_broker_that_does_not_answer_is_one_line_with_the_setting() -> None:
    with pytest.raises(UserError, match=r"127\.0\.0\.1:1 \(TRACELINK_KAFKA_BOOTSTRAP_SERVERS\) does not answer"):
        connect(KafkaSettings.load(kafka_bootstrap_servers="127.0.0.1:1"), timeout=1)


def test_every_setting_says_what_it_is() -> None:
    for settings in processes().values():
        for name, field in settings.model_fields.items():
            assert field.description, f"{variable_of(name)} has no description"


def test_the_names_that_a_service_knows_are_all_that_there_are() -> None:
    stack = {name for name in NAMES if name.startswith("stack_")}
    assert NAMES - stack == {name for settings in processes().values() for name in settings.model_fields}
    assert {f"TRACELINK_{name.upper()}" for name in stack} == {
        option.envvar for command in (stack_up, down, up) for option in command.params if option.envvar
    } | {f"TRACELINK_STACK_{name}" for name in ("JAVA_OPTIONS", "KAFKA_HEAP", "ZIPKIN_HEAP", "ELASTICSEARCH_HEAP")}


@pytest.mark.parametrize("process", sorted(processes()))
def test_a_process_takes_the_variables_of_all_others(monkeypatch: pytest.MonkeyPatch, process: str) -> None:
    of_others = NAMES - settings_of(process).model_fields.keys()
    for name in of_others:
        monkeypatch.setenv(variable_of(name), "of another")
        if not name.startswith("stack_"):
            monkeypatch.setenv(f"{variable_of(name)}_FILE", "/of/another")
    assert not settings_of(process).load().model_fields_set
    monkeypatch.setenv("TRACELINK_WEBHOOK_URI", "https://hooks.example.com/")
    with pytest.raises(
        UserError, match=r"TRACELINK_WEBHOOK_URI is not a setting\. Did you mean TRACELINK_WEBHOOK_URL\?"
    ):
        settings_of(process).load()


_JOIN_AND_TOPICS = {"join", "topics apply", "topics check"}


@pytest.mark.parametrize(
    ("flags", "commands"),
    [
        (("partitions", "retention", "joined_retention"), {"topics apply"}),
        (("replication",), {"topics apply", "topics check"}),
        (("join_group", "max_trace_bytes"), _JOIN_AND_TOPICS),
        (("max_record_bytes",), _JOIN_AND_TOPICS | {"send"}),
        (("replay",), {"join", "sink zipkin", "sink elasticsearch"}),
        (("stuck_after",), {"join", "alerts", "trends", *_SINKS}),
        (("session_timeout",), {"join", "alerts", "trends"}),
        (("instance_id", "transaction_timeout"), {"join", "alerts"}),
        (("kafka_bootstrap_servers", "kafka_config_file", "topic_prefix"), _FLAGS.keys()),
    ],
)
def test_a_command_shows_a_flag_where_it_means_something(flags: tuple[str, ...], commands: set[str]) -> None:
    for flag in flags:
        assert {name for name, shown in _FLAGS.items() if flag in shown} == commands


def test_options_carry_default_and_variable_into_help() -> None:
    @click.command()
    @settings_options(JoinSettings)
    def command(**_: str | None) -> None:
        """Do nothing."""

    shown = " ".join(CliRunner().invoke(command, ["--help"]).output.split())
    assert "--idle-gap VALUE" in shown
    assert "[default: 30.0] [env: TRACELINK_IDLE_GAP]" in shown


def test_an_unknown_command_and_an_unknown_option_name_the_nearest() -> None:
    runner = CliRunner()
    unknown = runner.invoke(main, ["joni"])
    assert (unknown.exit_code, "Did you mean 'join'?" in unknown.output) == (2, True)
    option = runner.invoke(main, ["join", "--idle-gpa", "3"])
    assert (option.exit_code, "--idle-gap" in option.output) == (2, True)
