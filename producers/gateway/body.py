"""Reads the body of a request: whole, decompressed, within the limits; and counts what is in hand."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol, cast

from granian.rsgi import HTTPProtocol, ProtocolClosed, Scope

from pipeline.formats.inflate import Inflater, TooLarge
from pipeline.formats.invalid_input import InvalidInput
from producers.gateway.metrics import GatewayMetrics
from producers.gateway.settings import GatewaySettings

_MIB = 1024 * 1024


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class _Chunks(Protocol):
    """The body of a request as granian gives it."""

    async def __call__(self) -> bytes: ...
    def __aiter__(self) -> AsyncIterator[bytes]: ...


@dataclass(slots=True)
class Share:
    """The bytes that one request has in hand."""

    size: int = 0


class InHand:
    """The requests that are not answered yet; beyond `max_in_hand_bytes` more are refused before they are read."""

    def __init__(self, settings: GatewaySettings, metrics: GatewayMetrics) -> None:
        self._most = int(settings.max_in_hand_bytes)
        self._metrics = metrics
        self._bytes = 0
        self.requests = 0
        self.none = asyncio.Event()
        """Set while no request is in hand."""
        self.none.set()

    @contextmanager
    def request(self) -> Iterator[Share]:
        """Count a request until it is answered."""
        share = Share()
        self.requests += 1
        self.none.clear()
        try:
            yield share
        finally:
            self._bytes -= share.size
            self.requests -= 1
            if not self.requests:
                self.none.set()
            self._show()

    def take(self, share: Share, size: int) -> None:
        """Count `size` bytes for a request; raises Refused (503) if there are too many."""
        if self._bytes + size > self._most:
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"the gateway has {self._bytes / _MIB:.0f} MiB of requests in hand: try again later",
            )
        share.size += size
        self._bytes += size
        self._show()

    def _show(self) -> None:
        self._metrics.in_hand_bytes.set(self._bytes)
        self._metrics.in_hand_requests.set(self.requests)


async def read_body(
    scope: Scope, protocol: HTTPProtocol, in_hand: InHand, share: Share, settings: GatewaySettings
) -> bytes:
    """Return the body of a request, decompressed; raises Refused."""
    most = int(settings.max_body_bytes)
    try:
        inflater = Inflater(scope.headers.get("content-encoding", ""), most)
    except InvalidInput as error:
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, error.detail) from None
    length = scope.headers.get("content-length")
    try:
        async with asyncio.timeout(settings.body_timeout):
            if length is None:
                await _read_chunks(cast("_Chunks", protocol), inflater, in_hand, share)
            else:
                await _read_whole(cast("_Chunks", protocol), int(length), most, inflater, in_hand, share)
        return inflater.finish()
    except TimeoutError:
        raise Refused(HTTPStatus.REQUEST_TIMEOUT, f"the body did not come within {settings.body_timeout:g} s") from None
    except TooLarge:
        raise Refused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {most} bytes, decompressed: send it in parts"
        ) from None
    except (InvalidInput, ProtocolClosed) as error:
        detail = error.detail if isinstance(error, InvalidInput) else "the body was cut off"
        raise Refused(HTTPStatus.BAD_REQUEST, detail) from None


async def _read_whole(  # noqa: PLR0917 - the parts of a request
    body: _Chunks, length: int, most: int, inflater: Inflater, in_hand: InHand, share: Share
) -> None:
    """Read a body of a known length; granian raises ProtocolClosed if it is cut off."""
    if length > most:
        raise TooLarge
    in_hand.take(share, length)
    compressed = await body()
    before = inflater.size
    inflater.feed(compressed)
    in_hand.take(share, max(0, inflater.size - before - length))


async def _read_chunks(body: _Chunks, inflater: Inflater, in_hand: InHand, share: Share) -> None:
    """Read a body of unknown length.

    Granian ends the iteration for a body that was cut off, too. It gives an empty chunk for the end of a body, and one
    before that for an error.
    """
    empty = 0
    async for chunk in body:
        if not chunk:
            empty += 1
            continue
        before = inflater.size
        inflater.feed(chunk)
        in_hand.take(share, inflater.size - before)
    if empty > 1:
        raise InvalidInput("body", "the body was cut off")
