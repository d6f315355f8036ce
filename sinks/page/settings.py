"""The settings of the page."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from pipeline.runtime.listening import Address, parse_address
from pipeline.settings import ElasticsearchAccess, MonitoringSettings
from sinks.base.networks import networks
from sinks.base.settings import BASE_URL, LinkSettings
from tracelink.errors import UserError
from tracelink.settings import KafkaSettings

_SHORTEST_TOKEN = 16


def _address(text: str) -> str:
    parse_address(text)
    return text


class PageSettings(LinkSettings, MonitoringSettings, ElasticsearchAccess, KafkaSettings):
    """The settings of the page: address, access, limits."""

    title = "The page"

    page_listen: Annotated[str, AfterValidator(_address)] = Field(
        "127.0.0.1:7070", description="Address to serve the page on, IP:PORT."
    )
    page_token: SecretStr | None = Field(
        None, description="Token that people give to see the page, at least 16 characters; needed beyond this machine."
    )
    page_user_header: str | None = Field(
        None,
        pattern="^[A-Za-z0-9-]+$",
        description="Header in which a proxy names the user; with --page-proxies it stands for the token.",
    )
    page_proxies: Annotated[str, AfterValidator(networks)] = Field(
        "", description="Networks (CIDR, separated by commas) of the proxies whose header is believed."
    )
    alertmanager_ui_url: str | None = Field(
        None, pattern=BASE_URL, description="Alertmanager's UI, for links from problems to their alerts."
    )
    store_timeout: float = Field(10.0, gt=0, description="Seconds to wait for an answer of Elasticsearch.")
    max_searches: int = Field(4, ge=1, description="Most requests to Elasticsearch at a time; others wait.")

    @property
    def address(self) -> Address:
        """The address to listen on."""
        return parse_address(self.page_listen)

    def check(self) -> None:
        """Raise UserError if the settings contradict each other."""
        if self.page_token is not None and len(self.page_token.get_secret_value()) < _SHORTEST_TOKEN:
            raise UserError(f"TRACELINK_PAGE_TOKEN has fewer than {_SHORTEST_TOKEN} characters: it would be guessed.")
        if (self.page_user_header is None) != (not self.page_proxies):
            raise UserError("--page-user-header and --page-proxies belong together: give both or none.")
        if not self.address.is_loopback and self.page_token is None and self.page_user_header is None:
            raise UserError(
                f"On {self.page_listen} everybody on the network could read traces and log lines. Set a token in "
                "TRACELINK_PAGE_TOKEN, or name a proxy that knows its users (--page-user-header and --page-proxies)."
            )
