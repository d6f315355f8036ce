"""The settings of the alert sinks."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from pipeline.settings import listing
from sinks.base.networks import networks
from sinks.base.settings import LinkSettings, SinkSettings

_EVENTS = ("NEW", "BACK", "RATE", "RESOLVED")


class EgressSettings(LinkSettings, SinkSettings):
    """Settings of the alert sinks."""

    title = "Alert sinks"

    batch_wait: float = Field(0.05, ge=0, description="Seconds to collect a batch before it is sent.")
    request_timeout: float = Field(10.0, gt=0, description="Seconds for a request and its response in total.")
    allow_hosts: str | None = Field(
        None, description="Hosts that alerts may be sent to, separated by commas; by default those of the URLs."
    )
    allow_networks: Annotated[str, AfterValidator(networks)] = Field(
        "",
        description="Non-public networks (CIDR, separated by commas) that alerts may be sent to; by default none, for "
        "Alertmanager 127.0.0.0/8,::1/128.",
    )
    max_requests: int = Field(
        60, ge=1, description="Maximum requests a minute to each target address; for Alertmanager 600."
    )


class AlertmanagerSettings(EgressSettings):
    """The Alertmanager sink."""

    title = "The Alertmanager sink"

    allow_networks: Annotated[str, AfterValidator(networks)] = Field(
        "127.0.0.0/8,::1/128",
        description="Non-public networks (CIDR, separated by commas) that alerts may be sent to.",
    )
    max_requests: int = Field(600, ge=1, description="Maximum requests a minute to each Alertmanager.")
    alertmanager_url: str = Field(
        "http://127.0.0.1:9093",
        pattern="^https?://",
        description="URLs of all Alertmanagers of a cluster, separated by commas.",
    )
    alertmanager_headers: SecretStr | None = Field(
        None, description="HTTP headers to send, as NAME: VALUE, one a line or separated by ';'."
    )
    alertmanager_ca: Path | None = Field(None, description="File with the CA certificates for Alertmanager.")
    quiet_after: float = Field(
        900.0,
        gt=0,
        description="Seconds; the value of `tracelink alerts`. Alertmanager resolves an alert that is not refreshed "
        "for twice as long.",
    )


class WebhookSettings(EgressSettings):
    """The webhook sink."""

    title = "The webhook sink"

    webhook_url: SecretStr | None = Field(None, description="URL that each alert is posted to; never shown.")
    webhook_secret: SecretStr | None = Field(None, description="Secret for the HMAC-SHA256 signature of each request.")
    webhook_headers: SecretStr | None = Field(
        None, description="HTTP headers to send, as NAME: VALUE, one a line or separated by ';'."
    )
    webhook_ca: Path | None = Field(None, description="File with the CA certificates for the webhook.")
    webhook_template: Literal["json", "slack"] = Field("json", description="Format of the body: json or slack.")
    webhook_events: Annotated[str, AfterValidator(listing(_EVENTS))] = Field(
        ",".join(_EVENTS), description="Events to post, separated by commas."
    )
