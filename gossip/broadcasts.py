"""Updates that ride on other packets, each sent a limited number of times.

For one packet the queue picks what was sent least often, among these the longest that still fits, among these the
newest. So fresh news travels first, and packets are filled well.

Source: SWIM (Das, Gupta, Motivala 2002), section 4.1, and memberlist's picking order.
"""

from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import NewType

Ticket = NewType("Ticket", int)
"""Names one queued message; tickets grow with time."""


@dataclass(slots=True)
class _Item:
    ticket: Ticket
    key: str | None
    message: bytes
    transmits: int = 0

    @property
    def order(self) -> tuple[int, int, int]:
        return (self.transmits, -len(self.message), -self.ticket)


class BroadcastQueue:
    """A transmit-limited queue.

    A message with a key replaces the one queued under that key. A message that is replaced, or was sent often enough,
    is *finished*: its ticket shows up once in `take_finished`.

    Args:
        items_max: when full, the message that was sent most often makes room for a new one.
    """

    def __init__(self, items_max: int) -> None:
        self._items_max = items_max
        self._by_key: dict[str, _Item] = {}
        self._by_ticket: dict[Ticket, _Item] = {}
        self._order: list[tuple[int, int, int]] = []
        self._finished: list[Ticket] = []
        self._next = 1
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._by_ticket)

    def __contains__(self, ticket: Ticket) -> bool:
        """Whether a message is still to be sent again."""
        return ticket in self._by_ticket

    def put(self, message: bytes, *, key: str | None = None) -> Ticket:
        """Queues a message.

        Complexity: O(queued), one memory move.
        """
        if key is not None and key in self._by_key:
            self._drop(self._by_key[key])
        if len(self._by_ticket) >= self._items_max:
            self._drop(self._by_ticket[Ticket(-self._order[-1][2])])
        item = _Item(Ticket(self._next), key, message)
        self._next += 1
        self._by_ticket[item.ticket] = item
        self.size_bytes += len(message)
        if key is not None:
            self._by_key[key] = item
        insort(self._order, item.order)
        return item.ticket

    def pick(self, room_bytes: int, *, overhead_bytes: int, limit: int) -> list[bytes]:
        """Chooses messages for one packet, each choice being one transmission.

        Args:
            room_bytes: what the messages may take together.
            overhead_bytes: what each costs beside its own length.
            limit: after so many transmissions a message is finished; at least one is always made.

        Complexity: O(picked x log queued), plus a memory move for each.
        """
        picked: list[_Item] = []
        order, index = self._order, 0
        while index < len(order):
            transmits, negative_size, negative_ticket = order[index]
            size = overhead_bytes - negative_size
            if size > room_bytes:
                # On to the first one sent as often that fits, or else to those sent more often.
                index = bisect_left(order, (transmits, overhead_bytes - room_bytes, -self._next), index + 1)
                continue
            room_bytes -= size
            picked.append(self._by_ticket[Ticket(-negative_ticket)])
            index += 1
        for item in picked:
            if item.transmits + 1 >= limit:
                self._drop(item)
            else:
                del self._order[bisect_left(self._order, item.order)]
                item.transmits += 1
                insort(self._order, item.order)
        return [item.message for item in picked]

    def take_finished(self) -> list[Ticket]:
        """Tickets finished since the last call."""
        finished, self._finished = self._finished, []
        return finished

    def _drop(self, item: _Item) -> None:
        del self._order[bisect_left(self._order, item.order)]
        del self._by_ticket[item.ticket]
        self.size_bytes -= len(item.message)
        if item.key is not None:
            del self._by_key[item.key]
        self._finished.append(item.ticket)


def transmit_limit(members: int, *, multiplier: int) -> int:
    """How often an update is sent: `multiplier` times the number of decimal digits of `members`."""
    # For whole numbers the digits are exactly ceil(log10(members + 1)), without the rounding of logarithms.
    return multiplier * (len(str(members)) if members else 0)
