"""The settings of the gateway."""

import ssl
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ByteSize, Field

from pipeline.runtime.listening import Address, addresses, parse_address
from pipeline.settings import MonitoringSettings, RedactionSettings
from tracelink.errors import UserError
from tracelink.settings import RecordSettings, flag_of, variable_of

_MIB = 1024 * 1024
_EVERY_HOST = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound


def _no_or_addresses(text: str) -> str:
    return addresses(text) if text.strip() else ""


class GatewaySettings(MonitoringSettings, RedactionSettings, RecordSettings):
    """The settings of the gateway: addresses, access, limits."""

    title = "The gateway"

    gateway_listen: Annotated[str, AfterValidator(addresses)] = Field(
        "127.0.0.1:4318", description="Addresses to listen on, IP:PORT[,IP:PORT…]; each serves all paths."
    )
    gateway_grpc_listen: Annotated[str, AfterValidator(_no_or_addresses)] = Field(
        "127.0.0.1:4317", description="Addresses to listen on for OTLP over gRPC, likewise; empty for none."
    )
    gateway_tokens_file: Path | None = Field(
        None,
        description="File of the senders that may send, NAME:TOKEN on each line; it is read again when it changes.",
    )
    gateway_open: bool = Field(
        False,  # noqa: FBT003 - a default
        description="Listen beyond this machine without tokens: true or false.",
    )
    gateway_redact: bool = Field(
        False,  # noqa: FBT003 - as above
        description="Redact records before they go to Kafka, for senders of other makers: true or false. --redact, "
        "--redact-names and --redact-patterns say what.",
    )
    gateway_certificate: Path | None = Field(None, description="File of the TLS certificate chain (PEM).")
    gateway_key: Path | None = Field(None, description="File of the certificate's private key (PEM, PKCS #8).")
    gateway_client_ca: Path | None = Field(
        None, description="File of CA certificates (PEM): only clients with a certificate of theirs may connect."
    )
    max_body_bytes: ByteSize = Field(
        ByteSize(64 * _MIB), ge=1024, description="Largest body of a request, decompressed."
    )
    max_request_records: int = Field(100_000, ge=1, description="Most spans or log records in a request.")
    max_in_hand_bytes: ByteSize = Field(
        ByteSize(512 * _MIB),
        ge=1024,
        description="Most bytes of all requests that are not answered yet: bodies, decompressed, and records in memory "
        "(twice their encoded size, and 512 each); more are answered 503.",
    )
    sender_rate: ByteSize | None = Field(
        None,
        ge=1,
        description="Most bytes a second of each token's sender (bodies, decompressed); those of 10 s may come at "
        "once, more are answered 429. No limit by default.",
    )
    max_connections: int = Field(1000, ge=1, description="Most connections of each address; more wait.")
    header_timeout: float = Field(
        60.0, gt=0, description="Seconds for the headers of a request, and for the next one on an idle connection."
    )
    body_timeout: float = Field(30.0, gt=0, description="Seconds for the body of a request.")
    answer_within: float = Field(
        4.0, gt=0, description="Seconds to wait for Kafka's acknowledgement before a request is answered 503."
    )
    error_http_status: int = Field(500, ge=100, le=600, description="Spans with this HTTP status or above are errored.")

    @property
    def addresses(self) -> list[Address]:
        """The addresses to listen on for HTTP."""
        return [parse_address(one) for one in self.gateway_listen.split(",")]

    @property
    def grpc_addresses(self) -> list[Address]:
        """The addresses to listen on for gRPC."""
        return [parse_address(one) for one in filter(None, self.gateway_grpc_listen.split(","))]

    def check(self) -> None:
        """Raise UserError if the settings contradict each other, or a file is missing."""
        for name in ("gateway_tokens_file", "gateway_certificate", "gateway_key", "gateway_client_ca"):
            path: Path | None = getattr(self, name)
            if path is not None and not path.is_file():
                raise UserError(f"{variable_of(name)} (or {flag_of(name)}): there is no file {str(path)!r}.")
        if self.max_in_hand_bytes < self.max_body_bytes:
            raise UserError("--max-in-hand-bytes must be at least --max-body-bytes: such a body would never be taken.")
        if self.sender_rate is not None and self.gateway_tokens_file is None:
            raise UserError("--sender-rate needs --gateway-tokens-file: a sender is known by its token.")
        self._check_addresses()
        if (self.gateway_certificate is None) != (self.gateway_key is None):
            raise UserError("--gateway-certificate and --gateway-key belong together: give both or none.")
        if self.gateway_client_ca is not None and self.gateway_certificate is None:
            raise UserError("--gateway-client-ca needs TLS: give --gateway-certificate and --gateway-key, too.")
        self._check_tls()
        beyond = [str(one) for one in (*self.addresses, *self.grpc_addresses) if not one.is_loopback]
        protected = self.gateway_tokens_file or self.gateway_client_ca or self.gateway_open
        if beyond and not protected:
            raise UserError(
                f"On {', '.join(beyond)} everybody on the network could send. Name a file of tokens "
                "(--gateway-tokens-file) or CA certificates of clients (--gateway-client-ca), "
                "or give --open if the network is trusted."
            )

    def _check_addresses(self) -> None:
        every = [*self.addresses, *self.grpc_addresses]
        for number, one in enumerate(every):
            if not one.port:
                raise UserError(f"The gateway cannot listen on {one}: give a port that senders know.")
            for other in every[:number]:
                if one.port == other.port and (one.host == other.host or {one.host, other.host} & _EVERY_HOST):
                    raise UserError(f"The gateway is to listen on {other} and on {one}: give each port only once.")

    def _check_tls(self) -> None:
        """Raise UserError if a file of TLS cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self.gateway_certificate is not None and self.gateway_key is not None:
            try:
                context.load_cert_chain(self.gateway_certificate, self.gateway_key, password="")
            except (OSError, ValueError) as error:
                raise UserError(
                    f"--gateway-certificate and --gateway-key cannot be used together ({error}): "
                    "both must be PEM, and the key without a password."
                ) from None
        if self.gateway_client_ca is not None:
            try:
                context.load_verify_locations(self.gateway_client_ca)
            except OSError as error:
                raise UserError(f"--gateway-client-ca: the file has no certificates in PEM ({error}).") from None
