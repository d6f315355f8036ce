"""The whole pipeline on this machine: servers, topics, and the processes under one supervisor."""

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
from pipeline.local.options import LISTEN_PORTS, Request
from pipeline.local.paths import default_directory
from pipeline.local.ports import Ports, free_port, is_free
from pipeline.local.stack import SERVERS, Endpoints, Stack
from pipeline.local.supervisor import OnLine, Program, Supervisor, ignore
from pipeline.local.view import showing
from pipeline.runtime.signals import ending_by_signal, stopping_on_signal, undisturbed
from pipeline.settings import (
    ElasticsearchAccess,
    MonitoringSettings,
    TopicSettings,
    ZipkinAccess,
    settings_of,
    zipkin_ui,
)
from tracelink.errors import UserError
from tracelink.settings import KafkaSettings, flag_of, variable_of

PROCESSES = {
    "join": ("join",),
    "alerts": ("alerts",),
    "trends": ("trends",),
    "sink-zipkin": ("sink", "zipkin"),
    "sink-elasticsearch": ("sink", "elasticsearch"),
    "gateway": ("gateway",),
    "page": ("page",),
}
"""The arguments of each process, by the name of its settings; in the order of their ports."""

_SECONDS_BETWEEN_LOOKS = 2.0
_SERVER_SETTINGS = {"kafka": "kafka_bootstrap_servers", "zipkin": "zipkin_url", "elasticsearch": "elasticsearch_url"}


class LocalSettings(ZipkinAccess, ElasticsearchAccess, KafkaSettings, MonitoringSettings):
    """Those settings of the processes that `tracelink up` needs: servers, prefixes, ports."""

    sink_group: str | None = Field(None, description="Consumer group of the sinks; each appends its name.")


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A started pipeline; its supervisor says when it is ready; `stop` is set when it must stop."""

    endpoints: Endpoints
    supervisor: Supervisor
    servers: "_Servers"
    stop: Event
    urls: Mapping[str, str]
    """The base URL of /metrics, /healthz and /readyz of each process."""
    page: str
    """The URL of the page."""
    gateway: str
    """The address of the gateway, HOST:PORT, for senders of other makers."""
    gateway_grpc: str
    """Its address for OTLP over gRPC; empty if it takes none."""
    services: Mapping[str, str]
    """The environment variables with which a service publishes to this pipeline."""
    settings: LocalSettings
    """The addresses of the servers, and the prefixes of topics and indices."""
    directory: Path
    logs: Path

    def tick(self) -> None:
        """Keep everything running; call it several times a second.

        Raises UserError if a process keeps ending, or if a server was stopped by another command.
        """
        self.supervisor.tick()
        self.servers.tick()


class _Servers:
    """Restarts the servers of the stack, if there is one, when they die."""

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
                raise UserError(f"{name} was stopped by another command, and the pipeline cannot run without it.")
            self._notice(name, f"ended{self._stack.how_it_ended(name)}; restarting it")
        if missing:
            self._stack.start()
        self._next = time.monotonic() + _SECONDS_BETWEEN_LOOKS


def _given(settings: LocalSettings) -> Endpoints:
    """Return the servers that the settings name; empty for those to be started."""
    return Endpoints(
        **{
            server: getattr(settings, name)
            for server, name in _SERVER_SETTINGS.items()
            if name in settings.model_fields_set
        }
    )


def _check(flags: Mapping[str, object]) -> LocalSettings:
    """Load the settings of all processes, so that errors are reported before anything starts."""
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
    """Start servers and processes, and stop them when the context ends; servers that ran before are not stopped.

    The user's environment variables override `defaults`, those of the processes; `console` shows the start and the stop
    of the servers. Main thread only. Raises UserError.
    """
    checked = _check(request.settings)
    directory = (request.directory or default_directory()).absolute()
    with ending_by_signal(), ExitStack() as cleanup:
        cleanup.enter_context(_alone(directory))
        given = _given(checked)
        _refuse_taken_ports(checked)
        listen = {f"{name}_listen": _listen_address(name, request) for name in LISTEN_PORTS}
        if given.kafka:
            _apply_topics(checked, given)
        endpoints, stack = _servers(request, directory, given, console, cleanup)
        if not given.kafka:
            _apply_topics(checked, endpoints)
        # From here on, a signal sets `stop` and raises nothing, so that no started process is lost.
        stop = Event()
        cleanup.enter_context(stopping_on_signal(stop.set))
        settings = {
            **{name: getattr(endpoints, server) for server, name in _SERVER_SETTINGS.items()},
            "topic_prefix": checked.topic_prefix,
            "index_prefix": checked.index_prefix,
            **listen,
        }
        usual = {**(defaults or {}), variable_of("zipkin_ui_url"): zipkin_ui(endpoints.zipkin)}
        programs = _programs(checked, {**_not_set(usual), **_variables(settings)})
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
            page=f"http://{first_address(listen['page_listen'])}",
            gateway=first_address(listen["gateway_listen"]),
            gateway_grpc=first_address(listen["gateway_grpc_listen"]),
            services=_service_variables(final),
            settings=final,
            directory=directory,
            logs=directory / "logs",
        )


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Lock the directory: to Kafka, the joins of two pipelines in it would be one worker, and fence each other."""
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
                f"`tracelink up` or `tracelink demo` already uses {directory}: process {file.read() or 'unknown'}. "
                "Stop it first, or use another directory: --dir OTHER --kafka-port 0 --zipkin-port 0 "
                "--elasticsearch-port 0 --page-port 0 --gateway-port 0 --gateway-grpc-port 0."
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
                f"Port {port} is taken by another process: TRACELINK_HTTP_PORT={first} needs {len(PROCESSES)} "
                "consecutive ports, one for the metrics of each process. Choose another, or unset it for free ports."
            )


def _listen_address(name: str, request: Request) -> str:
    """Return the addresses of the page, or of a server of the gateway; raises UserError if the port is taken."""
    given = os.environ.get(variable_of(f"{name}_listen"))
    if given is not None:
        return given
    asked = request.listen_ports[name]
    port = LISTEN_PORTS[name] if asked is None else asked
    if port and not is_free(port):
        raise UserError(
            f"Port {port}, for the {name.partition('_')[0]}, is taken by another process. "
            f"Choose another with {flag_of(f'{name}_port')} (0: any free one)."
        )
    return f"127.0.0.1:{port or free_port()}"


def first_address(listen: str) -> str:
    """Return the address at which a sender on this machine reaches the gateway; empty if it listens on none."""
    host, colon, port = listen.partition(",")[0].strip().rpartition(":")
    return f"{_reachable(host)}{colon}{port}"


def _reachable(host: str) -> str:
    """Return the host at which a client on this machine reaches a server that listens on `host`."""
    return "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 - a client, it does not bind


def _servers(
    request: Request, directory: Path, given: Endpoints, console: Console, cleanup: ExitStack
) -> tuple[Endpoints, Stack | None]:
    """Start the servers that are not given; if none of them ran before, register their stop."""
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
        console.print(said, highlight=False, soft_wrap=True)  # not wrapped, so that the command can be copied
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
            raise UserError(f"{error.message} Without that setting, this command starts a Kafka.") from None
        raise


def _programs(checked: LocalSettings, environment: dict[str, str]) -> list[Program]:
    first = checked.http_port
    host = _reachable(checked.http_host)
    programs = []
    for number, (name, arguments) in enumerate(PROCESSES.items()):
        port = first + number if first else free_port()
        command = (sys.executable, "-P", "-m", "pipeline.cli", *arguments, "--http-port", str(port))
        own = environment
        if checked.sink_group and "sink" in arguments:
            # Each sink must read all partitions; in one group they would share them.
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
    }


def _variables(settings: Mapping[str, object]) -> dict[str, str]:
    return {variable_of(name): str(value) for name, value in settings.items()}


def _not_set(defaults: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in defaults.items() if name not in os.environ}
