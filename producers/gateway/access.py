"""The senders that may send: tokens of a file, which is read again when it changes."""

import base64
import hmac
import logging
import time
from hashlib import sha256
from pathlib import Path

from tracelink.errors import UserError
from tracelink.settings import variable_of

_log = logging.getLogger(__name__)

_SECONDS_BETWEEN_LOOKS = 1.0


class Senders:
    """The senders of a tokens file; `TOKEN` of a line may come as a bearer token, `NAME:TOKEN` as basic auth."""

    def __init__(self, file: Path) -> None:
        """Read the file; raises UserError."""
        self._file = file
        self._modified = -1
        self._next = 0.0
        self._tokens: dict[str, bytes] = {}
        self._read()

    def sender(self, authorization: str | None) -> str | None:
        """Return the name of the sender with this `Authorization` header; None if there is none."""
        self._look()
        scheme, _, given = (authorization or "").partition(" ")
        match scheme.lower():
            case "bearer":
                return self._named(given.strip(), None)
            case "basic":
                try:
                    name, _, token = base64.b64decode(given.strip(), validate=True).decode().partition(":")
                except ValueError:
                    return None
                return self._named(token, name)
        return None

    def _named(self, token: str, name: str | None) -> str | None:
        """Compare with every token, each in constant time, so that the time says nothing."""
        digest = _digest(token)
        found = [one for one, known in self._tokens.items() if hmac.compare_digest(known, digest)]
        return next((one for one in found if name in (None, one)), None)

    def _look(self) -> None:
        """Read the file again if it has changed; one that cannot be read leaves the senders as they are."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _SECONDS_BETWEEN_LOOKS
        try:
            if self._file.stat().st_mtime_ns != self._modified:
                self._read()
                _log.info("read the tokens of %d senders from %s", len(self._tokens), self._file)
        except (OSError, UserError) as error:
            _log.warning("the senders stay as they are: %s", error)

    def _read(self) -> None:
        variable = variable_of("gateway_tokens_file")
        try:
            modified = self._file.stat().st_mtime_ns
            lines = self._file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{variable}: cannot read {str(self._file)!r} ({error}).") from None
        self._modified = modified
        tokens: dict[str, bytes] = {}
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            name, colon, token = line.strip().partition(":")
            if not (name and colon and token) or name in tokens:
                raise UserError(
                    f"{variable}: line {number} of {str(self._file)!r} must be NAME:TOKEN, with a name of its own."
                )
            tokens[name] = _digest(token)
        if not tokens:
            raise UserError(f"{variable}: {str(self._file)!r} has no NAME:TOKEN.")
        self._tokens = tokens


def _digest(token: str) -> bytes:
    # Digests have one length: the time of a comparison does not depend on the token's.
    return sha256(token.encode(errors="replace")).digest()
