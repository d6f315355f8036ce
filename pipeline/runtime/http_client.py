"""What settings say of calls over HTTP: headers and certificates."""

import re
import ssl
from pathlib import Path

from pydantic import SecretStr

from tracelink.errors import UserError

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def headers_of(given: SecretStr | None, setting: str) -> dict[str, str]:
    """Read `NAME: VALUE`, one a line or separated by semicolons; raises UserError that shows neither."""
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
    """Return what verifies servers' certificates: by those of a file, or by those that the system trusts.

    Raises UserError where the file cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise UserError(f"{setting}: cannot read certificates from {ca} ({error}).") from None
