"""The whole pipeline on this machine: servers, topics, join, alerts and the sinks of traces, under one supervisor."""

import fcntl
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from pydantic import Field
from rich.console import Console

from pipeline.kafka.admin import apply, connect
from pipeline.local.options import Request
from pipeline.local.paths import default_directory
from pipeline.local.ports import Ports, free_port, is_free
from pipeline.local.stack import SERVERS, Endpoints, Stack
from pipeline.local.supervisor import OnLine, Program, Supervisor, ignore
from pipeline.local.view import showing
from pipeline.runtime.signals import ending_by_signal, stopping_on_signal, undisturbed
from pipeline.settings import ElasticsearchAccess, MonitoringSettings, TopicSettings, ZipkinAccess, settings_of
from tracelink.errors import UserError
from tracelink.settings import KafkaSettings, variable_of

PROCESSES = {
    "join": ("join",),
    "alerts": ("alerts",),
    "sink-zipkin": ("sink", "zipkin"),
    "sink-elasticsearch": ("sink", "elasticsearch"),
}
"""The processes by the names of their settings, and how each is started; in the order of their ports."""

_SECONDS_BETWEEN_LOOKS = 2.0
_SERVER_SETTINGS = {"kafka": "kafka_bootstrap_servers", "zipkin": "zipkin_url", "elasticsearch": "elasticsearch_url"}


class LocalSettings(ZipkinAccess, ElasticsearchAccess, KafkaSettings, MonitoringSettings):
    """What is read here of the processes' settings: how to reach the servers, what is ours in them, and the ports."""

    sink_group: str | None = Field(None, description="Consumer group of the sinks; each has its name behind it.")


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline that was started; ask its supervisor whether it is ready, and stop once `stop` is set."""

    endpoints: Endpoints
    supervisor: Supervisor
    servers: "_Servers"
    stop: Event
    urls: Mapping[str, str]
    """Of each process the base of /metrics, /healthz and /readyz."""
    services: Mapping[str, str]
    """The environment variables that a service needs to publish here."""
    settings: LocalSettings
    """How to reach Kafka and Elasticsearch, and what topics and indices are called."""
    directory: Path
    logs: Path

    def tick(self) -> None:
        """Keep everything running; to be called several times a second.

        Raises UserError where a process ends again and again, or somebody has stopped a server.
        """
        self.supervisor.tick()
        self.servers.tick()


class _Servers:
    """The servers that were started, if any were, and brought back when they die."""

    def __init__(self, stack: Stack | None, notice: OnLine) -> None:
        self._stack = stack
        self._notice = notice
        self._next = 0.0

    def tick(self) -> None:
        if self._stack is None or time.monotonic() < self._next:
            return
        missing = self._stack.missing()
        for name, state in missing.items():
            if state == "stopped":
                raise UserError(f"{name} was stopped, and nothing goes on without it.")
            self._notice(name, f"ended{self._stack.how_it_ended(name)}; it starts again")
        if missing:
            self._stack.start()
        self._next = time.monotonic() + _SECONDS_BETWEEN_LOOKS


def _given(settings: LocalSettings) -> Endpoints:
    """Return the servers that a flag, a variable or a file names; empty for one that is to be started."""
    return Endpoints(
        **{
            server: getattr(settings, name)
            for server, name in _SERVER_SETTINGS.items()
            if name in settings.model_fields_set
        }
    )


def _check(flags: Mapping[str, object]) -> LocalSettings:
    """Load the settings of all processes, so that they are known to be right before anything starts."""
    for name in PROCESSES:
        settings_of(name).load_own(flags)
    return LocalSettings.load_own(flags)


@contextmanager
def pipeline(
    request: Request,
    console: Console,
    *,
    defaults: Mapping[str, str] | None = None,
    echo: OnLine = ignore,
    notice: OnLine = ignore,
) -> Iterator[Pipeline]:
    """Start what is missing, and stop what was started when the context ends.

    `defaults` are variables of the processes that the user's own overrule; `console` shows how the servers start and
    stop. Servers that ran before stay up. Main thread only. Raises UserError.
    """
    checked = _check(request.settings)
    directory = (request.directory or default_directory()).absolute()
    with ending_by_signal(), ExitStack() as cleanup:
        cleanup.enter_context(_alone(directory))
        given = _given(checked)
        _refuse_taken_ports(checked)
        if given.kafka:
            _apply_topics(checked, given)
        endpoints, stack = _servers(request, directory, given, console, cleanup)
        if not given.kafka:
            _apply_topics(checked, endpoints)
        # From here on a signal is noted and not raised, so that each process that is started is also known.
        stop = Event()
        cleanup.enter_context(stopping_on_signal(stop.set))
        settings = {
            **{name: getattr(endpoints, server) for server, name in _SERVER_SETTINGS.items()},
            "topic_prefix": checked.topic_prefix,
            "index_prefix": checked.index_prefix,
        }
        programs = _programs(checked, {**_not_set(defaults or {}), **_variables(settings)})
        supervisor = Supervisor(programs, directory / "logs", echo=echo, notice=notice)
        cleanup.callback(supervisor.stop)
        supervisor.start()
        final = LocalSettings.load_own(settings)
        yield Pipeline(
            endpoints=endpoints,
            supervisor=supervisor,
            servers=_Servers(stack, notice),
            stop=stop,
            urls={program.name: program.url for program in programs},
            services=_service_variables(final),
            settings=final,
            directory=directory,
            logs=directory / "logs",
        )


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keep a second pipeline out of the directory: the two joins would be one worker to Kafka, and fence each other."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = (directory / "pipeline.lock").open("a+")
    except OSError as error:
        raise UserError(f"Cannot use {directory}: {error.strerror}. See --dir.") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UserError(
                f"`tracelink up` or `tracelink demo` runs already on {directory}, process {file.read() or 'unknown'}. "
                "End it first, or run another beside it: --dir OTHER --kafka-port 0 --zipkin-port 0 "
                "--elasticsearch-port 0."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _refuse_taken_ports(checked: LocalSettings) -> None:
    first = checked.http_port
    for port in range(first, first + len(PROCESSES)) if first else ():
        if not is_free(port):
            raise UserError(
                f"Port {port} is taken by another process: TRACELINK_HTTP_PORT={first} asks for {len(PROCESSES)} "
                "ports from there on, one for each process's metrics. Choose another, or none for any free ones."
            )


def _servers(
    request: Request, directory: Path, given: Endpoints, console: Console, cleanup: ExitStack
) -> tuple[Endpoints, Stack | None]:
    """Start the servers that are not given, and have those stopped at the end that did not run before."""
    missing = [name for name in SERVERS if not getattr(given, name)]
    if not missing:
        return given, None
    stack = Stack(directory, ports=Ports(**request.ports), only=missing, repository=request.maven_repository)
    ran_before = any(server.pid is not None for server in stack.status())
    cleanup.callback(_end_stack, stack, console, stays=ran_before)
    with showing(console) as listener:
        started = stack.start(listener, fresh=request.fresh)
    endpoints = Endpoints(**{name: getattr(given, name) or getattr(started, name) for name in SERVERS})
    return endpoints, stack.on_known_ports()


def _end_stack(stack: Stack, console: Console, *, stays: bool) -> None:
    if stays:
        where = "" if stack.directory == default_directory().absolute() else f" --dir {stack.directory}"
        said = f"The servers ran before and stay up; to stop them: tracelink stack down{where}"
        console.print(said, highlight=False, soft_wrap=True)  # in one piece, so that it can be copied
        return
    with undisturbed():
        stopped = stack.stop()
        if stopped:
            console.print(f"stopped: {', '.join(stopped)}", highlight=False)


def _apply_topics(checked: LocalSettings, endpoints: Endpoints) -> None:
    settings = TopicSettings.load(kafka_bootstrap_servers=endpoints.kafka, topic_prefix=checked.topic_prefix)
    try:
        apply(connect(settings), settings)
    except UserError as error:
        if _given(checked).kafka:
            raise UserError(f"{error.message} Where that setting is not given, this command starts one.") from None
        raise


def _programs(checked: LocalSettings, environment: dict[str, str]) -> list[Program]:
    first = checked.http_port
    host = "127.0.0.1" if checked.http_host == "0.0.0.0" else checked.http_host  # noqa: S104 - asks, binds not
    programs = []
    for number, (name, arguments) in enumerate(PROCESSES.items()):
        port = first + number if first else free_port()
        command = (sys.executable, "-P", "-m", "pipeline.cli", *arguments, "--http-port", str(port))
        own = environment
        if checked.sink_group and "sink" in arguments:
            # Each sink reads all: in one group they would share the partitions.
            own = environment | {variable_of("sink_group"): f"{checked.sink_group}-{arguments[-1]}"}
        programs.append(Program(name, command, f"http://{host}:{port}", own))
    return programs


def _service_variables(settings: KafkaSettings) -> dict[str, str]:
    own = ["kafka_bootstrap_servers"]
    if settings.topic_prefix != KafkaSettings.model_fields["topic_prefix"].default:
        own.append("topic_prefix")
    return {
        **_variables({name: getattr(settings, name) for name in own}),
        "OTEL_TRACES_EXPORTER": "tracelink",
        "OTEL_LOGS_EXPORTER": "tracelink",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true",
        # The usual 5 s are as long as the join waits for a trace's next record.
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }


def _variables(settings: Mapping[str, object]) -> dict[str, str]:
    return {variable_of(name): str(value) for name, value in settings.items()}


def _not_set(defaults: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in defaults.items() if name not in os.environ}
