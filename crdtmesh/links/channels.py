"""One channel of a session: what waits to be sent, and what the peer may still send.

Flow control is by bytes that the *receiver* grants. A sender may start a message while its credit is positive, so
one message may overdraw it and the window need not hold the largest message. Both sides compute the same sums; a
peer that sends beyond them has broken the protocol. A channel without credit stops alone: the other channels have
their own.

Used by `session` only.
"""

from collections import deque
from typing import Final

from crdtmesh.links.errors import CloseReason, RemoteProtocolError
from crdtmesh.links.frames import BATCH_SIZE_BYTES_MAX, MESSAGE_OVERHEAD_BYTES, Channel

__all__ = ["ReceiveWindow", "SendQueue"]

# No honest receiver grants more than its window, which is at most 2 GiB; beyond this the credit would be unlimited.
_CREDIT_BYTES_MAX: Final = 1 << 32


class SendQueue:
    """Messages of one channel that wait to be sent, and the credit to send them.

    Attributes:
        channel: whose queue it is.
        size_bytes: cost of all messages that wait.
        credit_bytes: cost that may still be sent; 0 or below stops the channel.
    """

    __slots__ = ("_limit_bytes", "_messages", "channel", "credit_bytes", "size_bytes")

    def __init__(self, channel: Channel, limit_bytes: int) -> None:
        self.channel = channel
        self._limit_bytes = limit_bytes
        self._messages: deque[bytes] = deque()
        self.size_bytes = 0
        self.credit_bytes = 0

    def __len__(self) -> int:
        return len(self._messages)

    def offer(self, payload: bytes) -> bool:
        """Queue a message; False, and nothing queued, when that would exceed the limit."""
        size = self.size_bytes + len(payload) + MESSAGE_OVERHEAD_BYTES
        if size > self._limit_bytes:
            return False
        self._messages.append(payload)
        self.size_bytes = size
        return True

    def grant(self, size_bytes: int) -> None:
        """Add credit that the peer gave.

        Raises:
            RemoteProtocolError: the sum is more than any honest window.
        """
        if self.credit_bytes + size_bytes > _CREDIT_BYTES_MAX:
            raise RemoteProtocolError(
                CloseReason.CREDIT_EXCEEDED,
                f"credit of at most {_CREDIT_BYTES_MAX} bytes expected on {self.channel.name}, "
                f"got {self.credit_bytes + size_bytes}",
            )
        self.credit_bytes += size_bytes

    def take(self) -> list[bytes]:
        """The messages for the next frame: as many as a batch and the credit permit, or one large message."""
        messages = self._messages
        if self.size_bytes <= BATCH_SIZE_BYTES_MAX and self.size_bytes <= self.credit_bytes:
            taken = list(messages)  # the usual case: all that waits is one batch
            messages.clear()
            self.credit_bytes -= self.size_bytes
            self.size_bytes = 0
            return taken
        taken = []
        batch = 0
        while messages and batch < self.credit_bytes:
            cost = len(messages[0]) + MESSAGE_OVERHEAD_BYTES
            if taken and batch + cost > BATCH_SIZE_BYTES_MAX:
                break
            taken.append(messages.popleft())
            batch += cost
        self.credit_bytes -= batch
        self.size_bytes -= batch
        return taken

    def clear(self) -> None:
        """Drop what waits."""
        self._messages.clear()
        self.size_bytes = 0


class ReceiveWindow:
    """What the peer may still send on one channel, and what we owe it in credit."""

    __slots__ = ("_channel", "_left_bytes", "_owed_bytes", "_window_bytes")

    def __init__(self, channel: Channel, window_bytes: int) -> None:
        self._channel = channel
        self._window_bytes = window_bytes
        self._left_bytes = window_bytes
        self._owed_bytes = 0

    def receive(self, payloads: list[bytes]) -> int:
        """Account for messages that arrived; returns their cost.

        Raises:
            RemoteProtocolError: the last of them was sent without credit.
        """
        last = len(payloads[-1]) + MESSAGE_OVERHEAD_BYTES
        cost = sum(map(len, payloads)) + MESSAGE_OVERHEAD_BYTES * len(payloads)
        if self._left_bytes - (cost - last) <= 0:
            raise RemoteProtocolError(
                CloseReason.CREDIT_EXCEEDED,
                f"at most {self._left_bytes} bytes more expected on {self._channel.name}, got {cost}",
            )
        self._left_bytes -= cost
        return cost

    def consume(self, cost: int) -> int:
        """The owner took messages of that cost; returns the credit to grant now, 0 for none yet.

        Credit goes out in steps of half a window: rarely enough to cost nothing, early enough that a sender with a
        prompt receiver never stops.
        """
        self._owed_bytes += cost
        if self._owed_bytes * 2 < self._window_bytes:
            return 0
        granted, self._owed_bytes = self._owed_bytes, 0
        self._left_bytes += granted
        return granted
