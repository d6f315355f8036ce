"""OTLP over gRPC: the messages of OTLP over HTTP in protobuf, and gRPC's own statuses."""

import time
from collections.abc import Awaitable, Callable

import grpc
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from pipeline.runtime.listening import Address
from producers.gateway import otlp
from producers.gateway.in_hand import Refused
from producers.gateway.intake import Intake, failure
from producers.gateway.protocol import PROTOBUF, Door, Encoder, Request
from producers.gateway.settings import GatewaySettings

_SERVICES = "/opentelemetry.proto.collector"
_DETAILS = "grpc-status-details-bin"
_CODES = {code.value[0]: code for code in grpc.StatusCode}

_Method = Callable[[bytes, "grpc.aio.ServicerContext[bytes, bytes]"], Awaitable[bytes]]


def grpc_server(settings: GatewaySettings, intake: Intake, encoder: Encoder) -> grpc.aio.Server:
    """Return the server, bound to its addresses and not started; raises RuntimeError if it cannot listen."""
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", int(settings.max_body_bytes)),
            # Two gateways on one port would share its connections, without anybody's knowledge.
            ("grpc.so_reuseport", 0),
        ],
        maximum_concurrent_rpcs=settings.max_connections,
    )
    server.add_generic_rpc_handlers((_Handlers(intake, encoder),))
    for address in settings.grpc_addresses:
        _bind(server, address, settings)
    return server


def _bind(server: grpc.aio.Server, address: Address, settings: GatewaySettings) -> None:
    certificate, key, ca = settings.gateway_certificate, settings.gateway_key, settings.gateway_client_ca
    if certificate is None or key is None:
        server.add_insecure_port(str(address))
        return
    credentials = grpc.ssl_server_credentials(
        [(key.read_bytes(), certificate.read_bytes())],
        root_certificates=None if ca is None else ca.read_bytes(),
        require_client_auth=ca is not None,
    )
    server.add_secure_port(str(address), credentials)


class _Handlers(grpc.GenericRpcHandler):
    """The methods `Export` of OTLP's services."""

    def __init__(self, intake: Intake, encoder: Encoder) -> None:
        self._intake = intake
        doors: dict[str, Door] = {
            f"{_SERVICES}.trace.v1.TraceService/Export": otlp.Traces(encoder),
            f"{_SERVICES}.logs.v1.LogsService/Export": otlp.Logs(encoder),
            f"{_SERVICES}.metrics.v1.MetricsService/Export": otlp.Metrics(),
        }
        # Without serializers a method gets and returns bytes.
        self._methods: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            path: grpc.unary_unary_rpc_method_handler(self._method(door, path)) for path, door in doors.items()
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        """Return the method of a call; None if there is none, which the server answers UNIMPLEMENTED."""
        return self._methods.get(handler_call_details.method)

    def _method(self, door: Door, path: str) -> _Method:
        async def export(body: bytes, context: "grpc.aio.ServicerContext[bytes, bytes]") -> bytes:
            try:
                with self._intake.in_hand.request() as share:
                    metadata = dict(context.invocation_metadata() or ())
                    authorization = metadata.get("authorization")
                    sender = self._intake.check(authorization if isinstance(authorization, str) else None)
                    self._intake.in_hand.take(share, len(body))
                    request = Request(PROTOBUF, body, time.time_ns() // 1000, sender)
                    answer = await self._intake.take(door, request, share)
            except Refused as refused:
                error = refused
            except Exception:  # noqa: BLE001 - the sender gets an answer, whatever the bug
                error = failure(door, path)
            else:
                self._intake.answered(door, grpc.StatusCode.OK.name)
                return answer.body
            await self._refuse(door, context, error)
            raise AssertionError("a call that was aborted does not go on")

        return export

    async def _refuse(self, door: Door, context: "grpc.aio.ServicerContext[bytes, bytes]", refused: Refused) -> None:
        """Abort a call; one that may be sent again says when."""
        status = Status(code=otlp.CODES[refused.status], message=refused.detail)
        code = _CODES[status.code]
        if refused.retry_after is not None:
            info = RetryInfo()
            info.retry_delay.seconds = refused.retry_after
            status.details.add().Pack(info)
        self._intake.answered(door, code.name)
        context.set_trailing_metadata(((_DETAILS, status.SerializeToString()),))
        await context.abort(code, refused.detail)
