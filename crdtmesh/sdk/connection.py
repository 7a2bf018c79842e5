"""Connecting to a node's gRPC endpoint: what an address may be, the options of a channel, and how to wait for it."""

from __future__ import annotations

import asyncio
import random
import re
from typing import Any, Final

import grpc
import grpc.aio

from crdtmesh.sdk.errors import NotConnected

__all__ = ["Backoff", "open_channel", "target_of"]

_MESSAGE_SIZE_BYTES_MAX: Final = 16 * 1024 * 1024  # the node's own limit

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", _MESSAGE_SIZE_BYTES_MAX),
    ("grpc.max_send_message_length", _MESSAGE_SIZE_BYTES_MAX),
    # A node that went away without closing its connection is noticed after 15 s. Nodes allow a ping each 5 s.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Each attempt is a new one: channels of one process would otherwise share a back-off of up to two minutes.
    ("grpc.use_local_subchannel_pool", 1),
    # The endpoint is on this machine or near; a web proxy from the environment is not meant for it.
    ("grpc.enable_http_proxy", 0),
)

_ADDRESS: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^:\[\]/\s]+):\d{1,5}")


def target_of(address: str) -> str:
    """The gRPC target of `HOST:PORT`, `[V6]:PORT`, `unix:PATH` or an absolute path.

    Raises:
        ValueError: the text has another form.
    """
    if address.startswith("/"):
        return f"unix:{address}"
    if address.startswith("unix:") and len(address) > 5:
        return address
    if _ADDRESS.fullmatch(address) and int(address.rpartition(":")[2]) <= 65_535:
        return f"dns:///{address}"
    raise ValueError(f"expected HOST:PORT or unix:PATH, got {address!r:.64}; for example 127.0.0.1:9980")


async def open_channel(address: str, *, timeout_s: float) -> Any:
    """A channel that is connected; the caller closes it.

    Args:
        address: as `target_of` takes it.
        timeout_s: how long to wait, in seconds.

    Raises:
        NotConnected: nobody answers there.
    """
    channel = grpc.aio.insecure_channel(target_of(address), options=_OPTIONS)
    try:
        async with asyncio.timeout(timeout_s):
            await _ready(channel, address)
    except TimeoutError:
        await channel.close()
        raise NotConnected(f"no node answered at {address} in {timeout_s:g} s", outcome="not_applied") from None
    except BaseException:
        await channel.close()
        raise
    return channel


async def _ready(channel: Any, address: str) -> None:
    while (state := channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
        if state in (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN):
            raise NotConnected(f"no node answers at {address}", outcome="not_applied")
        await channel.wait_for_state_change(state)


class Backoff:
    """Delays between attempts: doubling from 50 ms to 2 s, each drawn between half of that and all of it."""

    __slots__ = ("_attempts",)

    FIRST_S: Final = 0.05
    LAST_S: Final = 2.0

    def __init__(self) -> None:
        self._attempts = 0

    def next_s(self) -> float:
        """The next delay, in seconds."""
        ceiling = min(self.FIRST_S * 2**self._attempts, self.LAST_S)
        self._attempts = min(self._attempts + 1, 16)
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311 - spreads attempts, keeps no secret

    def reset(self) -> None:
        """Starts again with the shortest delay."""
        self._attempts = 0
