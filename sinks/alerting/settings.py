"""The settings of the sinks of alerts."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from pipeline.settings import listing
from sinks.base.settings import SinkSettings

# What Alertmanager does not take for a URL would have it refuse every alert.
_BASE_URL = r"^https?://[A-Za-z0-9._~:/\[\]-]+$"


_EVENTS = ("NEW", "BACK", "RATE", "RESOLVED")


def networks_of(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the networks of a list in CIDR notation, separated by commas; raises ValueError."""
    return tuple(ip_network(one.strip()) for one in text.split(",") if one.strip())


def _networks(text: str) -> str:
    networks_of(text)
    return text


class EgressSettings(SinkSettings):
    """What the sinks of alerts share."""

    title = "The sinks of alerts"

    batch_wait: float = Field(0.05, ge=0, description="Seconds to gather a batch before it is sent.")
    request_timeout: float = Field(10.0, gt=0, description="Seconds for a request and its answer in all.")
    allow_hosts: str | None = Field(
        None, description="Hosts that alerts may be sent to, separated by commas; by default those that are configured."
    )
    allow_networks: Annotated[str, AfterValidator(_networks)] = Field(
        "",
        description="Networks (CIDR, separated by commas) that alerts may be sent to although they are not public; by "
        "default none, for Alertmanager 127.0.0.0/8,::1/128.",
    )
    max_requests: int = Field(
        60, ge=1, description="Requests a minute to each address that alerts are sent to; for Alertmanager 600."
    )
    zipkin_ui_url: str = Field(
        "http://127.0.0.1:9411/zipkin", pattern=_BASE_URL, description="Zipkin's UI, for links in alerts."
    )
    kibana_url: str = Field("http://127.0.0.1:5601", pattern=_BASE_URL, description="Kibana, for links in alerts.")


class AlertmanagerSettings(EgressSettings):
    """The Alertmanager sink."""

    title = "The Alertmanager sink"

    allow_networks: Annotated[str, AfterValidator(_networks)] = Field(
        "127.0.0.0/8,::1/128",
        description="Networks (CIDR, separated by commas) that alerts may be sent to although they are not public.",
    )
    max_requests: int = Field(600, ge=1, description="Requests a minute to each Alertmanager.")
    alertmanager_url: str = Field(
        "http://127.0.0.1:9093",
        pattern="^https?://",
        description="URLs of Alertmanager, those of all members of a cluster, separated by commas.",
    )
    alertmanager_headers: SecretStr | None = Field(
        None, description="Headers to send, NAME: VALUE, one a line or separated by ';'."
    )
    alertmanager_ca: Path | None = Field(None, description="File with the certificates that sign Alertmanager's.")
    quiet_after: float = Field(
        900.0,
        gt=0,
        description="As `tracelink alerts` has it; after twice as long without news Alertmanager resolves by itself.",
    )


class WebhookSettings(EgressSettings):
    """The webhook sink."""

    title = "The webhook sink"

    webhook_url: SecretStr | None = Field(None, description="URL that each alert is posted to; never shown.")
    webhook_secret: SecretStr | None = Field(None, description="Secret that the posts are signed with.")
    webhook_headers: SecretStr | None = Field(
        None, description="Headers to send, NAME: VALUE, one a line or separated by ';'."
    )
    webhook_ca: Path | None = Field(None, description="File with the certificates that sign the webhook's.")
    webhook_template: Literal["json", "slack"] = Field("json", description="Form of the body: json, slack.")
    webhook_events: Annotated[str, AfterValidator(listing(_EVENTS))] = Field(
        ",".join(_EVENTS), description="Events that are posted, separated by commas."
    )
