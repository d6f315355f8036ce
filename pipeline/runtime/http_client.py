"""Headers and certificates of HTTP requests, from settings."""

import re
import ssl
from pathlib import Path

from pydantic import SecretStr

from tracelink.errors import UserError

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def headers_of(given: SecretStr | None, setting: str) -> dict[str, str]:
    """Parse `NAME: VALUE` headers, one per line or separated by semicolons; raises UserError without the secrets."""
    text = given.get_secret_value() if given else ""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines() if "\n" in text else text.split(";"), 1):
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not line.strip():
            continue
        if not colon or not _TOKEN.fullmatch(name) or not (value.isascii() and value.isprintable()):
            raise UserError(f"{setting}: header {number} is not NAME: VALUE.")
        found[name] = value
    return found


def trusting(ca: Path | None, setting: str) -> ssl.SSLContext:
    """Return an SSL context that verifies servers by the CA certificates of a file, or by those of the system.

    Raises UserError if the file cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise UserError(f"{setting}: cannot read certificates from {ca} ({error}).") from None
