"""Reads the body of an HTTP request: whole, decompressed, within the limits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from http import HTTPStatus
from typing import Protocol, cast

from granian.rsgi import HTTPProtocol, ProtocolClosed, ProtocolError, Scope

from pipeline.formats.inflate import Inflater, TooLarge
from pipeline.formats.invalid_input import InvalidInput
from producers.gateway.in_hand import InHand, Refused, Share
from producers.gateway.settings import GatewaySettings

_LARGE = 64 * 1024
"""Bytes; a larger body is inflated in a thread, since a few bytes may be much work."""
_MOST_DRAINED = 4 * 1024 * 1024
_DRAIN_SECONDS = 1.0


class _Chunks(Protocol):
    """The body of a request as granian gives it."""

    async def __call__(self) -> bytes: ...
    def __aiter__(self) -> AsyncIterator[bytes]: ...


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
                may_have_trailers = "trailer" in scope.headers
                await _read_chunks(
                    cast("_Chunks", protocol), inflater, in_hand, share, may_have_trailers=may_have_trailers
                )
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


async def drain(protocol: HTTPProtocol) -> None:
    """Read some of what is left of the body of a refused request: a sender that still sends may not see the answer."""
    size = 0
    # It may have been read already, or be cut off.
    with suppress(TimeoutError, ProtocolClosed, ProtocolError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for chunk in cast("_Chunks", protocol):
                size += len(chunk)
                if size > _MOST_DRAINED:
                    return


async def _read_whole(  # noqa: PLR0917 - the parts of a request
    body: _Chunks, length: int, most: int, inflater: Inflater, in_hand: InHand, share: Share
) -> None:
    """Read a body of a known length; granian raises ProtocolClosed if it is cut off."""
    if length > most:
        raise TooLarge
    in_hand.take(share, length)
    compressed = await body()
    if length > _LARGE:
        await asyncio.get_running_loop().run_in_executor(in_hand.inflating, inflater.feed, compressed)
    else:
        inflater.feed(compressed)
    in_hand.take(share, max(0, inflater.size - length))


async def _read_chunks(
    body: _Chunks, inflater: Inflater, in_hand: InHand, share: Share, *, may_have_trailers: bool
) -> None:
    """Read a body of unknown length.

    Granian ends the iteration for a body that was cut off, too. It gives an empty chunk for the end of a body, and one
    before that for an error, or for trailers.
    """
    empty = 0
    async for chunk in body:
        if not chunk:
            empty += 1
            continue
        before = inflater.size
        inflater.feed(chunk)
        in_hand.take(share, inflater.size - before)
    if empty > 1 and not may_have_trailers:
        raise InvalidInput("body", "the body was cut off")
