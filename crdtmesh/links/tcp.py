"""Glue between one TCP connection and its `Session`: bytes in, bytes out, one timer.

Writes are coalesced. Whatever is sent during one loop turn leaves in one `write` at its end, and answers to received
bytes leave when all of those were handled. Nothing is taken from the session while the transport is full, so what
waits stays in the bounded queues of the session, where a control message can still overtake it.

With a `TlsChannel` the bytes of the session travel inside it. The session's own deadline for the handshake covers that
of TLS, and the connection counts as pending from its first moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol, cast

from crdtmesh.links.errors import TlsFailed
from crdtmesh.links.frames import BATCH_SIZE_BYTES_MAX, Channel
from crdtmesh.links.options import Identity
from crdtmesh.links.session import Session
from crdtmesh.links.states import Closed, Established, HelloReceived, MessagesReceived, State

if TYPE_CHECKING:
    from crdtmesh.links.tls import TlsChannel

__all__ = ["Connection", "ConnectionOwner"]

# Two batches: enough to keep the kernel busy while the next ones are made, little enough that a control message
# waits behind a quarter of a megabyte at most.
_WRITE_BUFFER_BYTES_MAX: Final = 2 * BATCH_SIZE_BYTES_MAX

# A message of many megabytes should not stop the loop for long, nor should a closing transport linger for ever.
_FLUSH_ON_CLOSE_S: Final = 1.0


class ConnectionOwner(Protocol):
    """Who decides about connections: the link manager."""

    def opened(self, connection: Connection) -> None:
        """The transport is there; nothing was received yet."""

    def secured(self, connection: Connection) -> None:
        """The channel is up; nothing of the session was read yet. To be refused here, if at all."""

    def hello_received(self, connection: Connection, peer: Identity) -> None:
        """A good hello came on an accepted connection: admit, close, or wait."""

    def established(self, connection: Connection, peer: Identity) -> None:
        """The session is up."""

    def messages_received(self, connection: Connection, channel: Channel, payloads: list[bytes]) -> None:
        """Messages came, in order."""

    def closed(self, connection: Connection, closed: Closed) -> None:
        """The session ended; nothing more is received or sent."""

    def gone(self, connection: Connection) -> None:
        """The transport is closed: the last call for each connection that was opened."""


class Connection(asyncio.Protocol):
    """One TCP connection. Not to be used from another thread."""

    def __init__(
        self,
        session: Session,
        owner: ConnectionOwner,
        *,
        clock_ns: Callable[[], int],
        peer_name: str | None = None,
        channel: TlsChannel | None = None,
    ) -> None:
        """Wrap a session.

        Args:
            session: a fresh one.
            owner: gets the callbacks.
            clock_ns: monotonic time.
            peer_name: who is dialled; None for an accepted connection, until its hello is good.
            channel: encrypts; None for plain TCP.
        """
        self.session = session
        self.channel = channel
        self.peer_name = peer_name
        self.peer_host = ""
        self._owner = owner
        self._clock_ns = clock_ns
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._flush_is_due = False
        self._is_paused = False
        self._is_pumping = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns = 0

    # --- asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the handshake."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_WRITE_BUFFER_BYTES_MAX)
        address = transport.get_extra_info("peername")
        self.peer_host = str(address[0]) if address else "?"
        self._owner.opened(self)
        if self.session.is_closed:  # given up while it connected, or refused just now
            self._shut()
        self.pump()

    def data_received(self, data: bytes) -> None:
        """Hand bytes to the session and answer."""
        if self.channel is not None:
            data = self._opened(self.channel, data)
        if data:
            self.session.receive(data, now_ns=self._clock_ns())
        self.pump()

    def eof_received(self) -> None:
        """Let asyncio close the transport; `connection_lost` follows."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the session that its transport is gone."""
        self._transport = None
        self.session.lost("connection closed by the peer" if exc is None else f"connection lost: {exc}")
        self.pump()
        self._owner.gone(self)

    def pause_writing(self) -> None:
        """The transport is full: leave what waits in the session."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """The transport has room again."""
        self._is_paused = False
        self._flush()

    # --- commands

    def send(self, channel: Channel, payload: bytes) -> bool:
        """Queue a message; it leaves at the end of this loop turn. See `Session.send`."""
        if not self.session.send(channel, payload):
            return False
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)
        return True

    def pump(self) -> None:
        """Deliver what happened, write what is due, set the timer. To be called after each command to the session."""
        if self._is_pumping:
            return  # the owner gave a command from within a callback: the loop below goes on
        self._is_pumping = True
        try:
            while events := self.session.take_events():
                for event in events:
                    self._deliver(event)
        finally:
            self._is_pumping = False
        self._flush()

    def abort(self) -> None:
        """Cut the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    # --- inside

    def _opened(self, channel: TlsChannel, data: bytes) -> bytes:
        """What encrypted bytes say."""
        if self.session.is_closed:
            return b""
        was_up = channel.is_up
        try:
            plain = channel.receive(data)
        except TlsFailed as failed:
            self.session.refuse(str(failed))
            return b""
        if channel.is_up and not was_up:
            self._owner.secured(self)
        return plain

    def _deliver(self, event: HelloReceived | Established | MessagesReceived | Closed) -> None:
        match event:
            case MessagesReceived(channel, payloads):
                self._owner.messages_received(self, channel, payloads)
            case HelloReceived(peer):
                self._owner.hello_received(self, peer)
            case Established(peer):
                self._set_timer()
                self._owner.established(self, peer)
            case Closed():
                self._shut()
                self._owner.closed(self, event)

    def _flush(self) -> None:
        self._flush_is_due = False
        transport = self._transport
        if transport is not None and not transport.is_closing():
            self._write(transport)
        if self._timer is None or self.session.state is not State.UP:
            self._set_timer()  # else it is armed, and can only be early
        # Draining ends inside `take_outgoing`, and that is an event as well.
        if self.session.has_events and not self._is_pumping:
            self.pump()

    def _write(self, transport: asyncio.Transport) -> None:
        channel = self.channel
        if channel is None:
            while not self._is_paused and (data := self.session.take_outgoing()):
                transport.write(data)
            return
        if data := channel.take_outgoing():  # of the handshake, or a change of keys that the peer asked for
            transport.write(data)
        while channel.is_up and not self._is_paused and (data := self.session.take_outgoing()):
            channel.seal(data)
            transport.write(channel.take_outgoing())

    def _shut(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        transport = self._transport
        if transport is None:
            return
        goodbye = self.session.take_outgoing()
        if goodbye and not transport.is_closing():
            if self.channel is not None and self.channel.is_up:
                self.channel.seal(goodbye)
                goodbye = self.channel.take_outgoing()
            elif self.channel is not None:
                goodbye = b""  # not a word in the clear, nor an alert that says why
            transport.write(goodbye)
        transport.close()
        # A peer that reads nothing would keep the transport, and our descriptor, for ever.
        self._loop.call_later(_FLUSH_ON_CLOSE_S, transport.abort)

    def _set_timer(self) -> None:
        # Deadlines mostly move later, so the timer is left alone then and looks again when it fires: one timer per
        # keep-alive interval instead of one per packet.
        deadline_ns = self.session.next_deadline_ns()
        if deadline_ns is None:
            return
        timer = self._timer
        if timer is not None:
            if self._timer_ns <= deadline_ns:
                return
            timer.cancel()
        delay_s = max(0, deadline_ns - self._clock_ns()) / 1e9
        self._timer_ns = deadline_ns
        self._timer = self._loop.call_later(delay_s, self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = None
        # One turn later: after a stall of this process the peer's bytes lie unread in the socket, and they are read
        # before the idle timeout is judged.
        self._loop.call_soon(self._tick)

    def _tick(self) -> None:
        self.session.tick(now_ns=self._clock_ns())
        self.pump()
