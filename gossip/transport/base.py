"""What an agent asks of a transport, and what a transport reports.

A transport has one endpoint for datagrams and streams alike. It knows nothing of what it carries.
"""

from typing import Protocol

from gossip.identity import Endpoint
from gossip.outputs import StreamId


class Receiver(Protocol):
    """Takes what comes in. None of its methods raises or blocks."""

    def on_datagram(self, data: bytes, source: Endpoint) -> None:
        """A packet came."""

    def on_batch_end(self) -> None:
        """All packets that were waiting have been handed over; a good moment to answer."""

    def on_stream(self, source: Endpoint) -> StreamId | None:
        """A peer connected; the answer is the number of the stream, or None to close it."""

    def on_stream_data(self, stream: StreamId, data: bytes) -> None:
        """A chunk came."""

    def on_stream_end(self, stream: StreamId, error: str | None) -> None:
        """The peer closed the stream, or it failed, or it could not be opened. Not reported after `close_stream`."""


class Transport(Protocol):
    """Carries packets and streams for one node."""

    @property
    def endpoint(self) -> Endpoint:
        """The address and port bound; known after `start`."""

    async def start(self, receiver: Receiver) -> None:
        """Binds.

        Raises:
            PortTaken: another process has the port; nothing is left open.
        """

    def send_datagram(self, destination: Endpoint, data: bytes) -> None:
        """Sends a packet or loses it; never blocks, never raises."""

    def open_stream(self, stream: StreamId, destination: Endpoint, data: bytes) -> None:
        """Connects in the background and writes `data`; a failure is reported as the end of the stream."""

    def send_stream(self, stream: StreamId, data: bytes) -> None:
        """Writes to an open stream; nothing happens if it is gone."""

    def close_stream(self, stream: StreamId) -> None:
        """Closes a stream after what was written; an unknown one is no error."""

    async def close(self) -> None:
        """Closes everything; repeating is harmless."""
