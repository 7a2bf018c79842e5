"""What a servicer may ask of gRPC about the call it serves; grpcio ships no types of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Context(Protocol):
    """The part of `grpc.aio.ServicerContext` that is used here."""

    async def write(self, message: Any) -> None:
        """Sends one message of a stream."""

    async def send_initial_metadata(self, initial_metadata: Sequence[tuple[str, str]]) -> None:
        """Sends what goes out before the first message."""

    async def abort(self, code: Any, details: str = "", trailing_metadata: Sequence[tuple[str, str]] = ()) -> None:
        """Ends the call with a status; raises."""

    def set_trailing_metadata(self, trailing_metadata: Sequence[tuple[str, str]]) -> None:
        """Sets what goes out behind the response."""

    def time_remaining(self) -> float | None:
        """Seconds until the caller's deadline; None when it has none."""


class CallerContext(Context, Protocol):
    """And what says who calls."""

    def peer(self) -> str:
        """From where: `unix:...`, `ipv4:HOST:PORT` or `ipv6:...`."""

    def auth_context(self) -> Mapping[str, Sequence[bytes]]:
        """What TLS verified of the caller."""

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]] | None:
        """The caller's headers."""
