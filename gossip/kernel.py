"""What the parts of the machine share: the table, the timers, the queues, and how packets are put together.

The parts are `probing` (failure detection), `exchange` (streams) and `swim` (the rules). Each gets this object and
nothing of the others.
"""

import enum
from collections.abc import Callable, Hashable
from random import Random

from gossip.awareness import Awareness
from gossip.broadcasts import BroadcastQueue, Ticket, transmit_limit
from gossip.codec import encode
from gossip.config import SwimConfig
from gossip.errors import ConfigError, DecodeError, RejectReason
from gossip.identity import Endpoint, NodeName
from gossip.members import Member, MemberTable
from gossip.messages import Message
from gossip.outputs import Event, Outgoing, PacketRejected, SendDatagram, StreamId
from gossip.packets import COMPOUND_PARTS_MAX, Entropy, PacketLayers
from gossip.security import VERSION_PADDED, VERSION_PLAIN
from gossip.timers import Timers
from gossip.versions import PROTOCOL_CRC, protocol_max

_PART_OVERHEAD_BYTES = 2
_SEQUENCE_MASK = 2**32 - 1


class TimerKind(enum.Enum):
    """What a timer is for; the token beside it says for whom."""

    PROBE = enum.auto()
    PROBE_TIMEOUT = enum.auto()
    PROBE_DEADLINE = enum.auto()
    RELAY = enum.auto()
    SUSPICION = enum.auto()
    GOSSIP = enum.auto()
    PUSH_PULL = enum.auto()
    RECONNECT = enum.auto()
    CONFLICT = enum.auto()
    STREAM = enum.auto()
    LEAVE = enum.auto()
    REFUTE = enum.auto()


TimerKey = tuple[TimerKind, Hashable]


class Kernel:
    """Shared state of one node's machine.

    Args:
        config: the options.
        name: this node.
        rng: every random choice comes from it.
        entropy: source of nonces; wanted if there is a keyring.
        now_ns: the time at start.

    Raises:
        ConfigError: a keyring without entropy.
    """

    def __init__(
        self, config: SwimConfig, *, name: NodeName, rng: Random, entropy: Entropy | None, now_ns: int
    ) -> None:
        if config.keyring is not None and entropy is None:
            raise ConfigError("a keyring needs a source of nonces: pass entropy=secrets.token_bytes")
        self.config = config
        self.name = name
        self.rng = rng
        self.now_ns = now_ns
        self.layers = PacketLayers(
            label=config.label.encode(),
            keyring=config.keyring,
            entropy=entropy,
            compression=config.is_compression_enabled,
            verify_incoming=config.is_incoming_verified,
            verify_outgoing=config.is_outgoing_verified,
            sealing_version=VERSION_PADDED if config.versions.protocol == 1 else VERSION_PLAIN,
        )
        self.members = MemberTable(rng)
        self.timers: Timers[TimerKey] = Timers()
        self.awareness = Awareness(config.local_health_max, is_enabled=config.is_local_health_enabled)
        # One update per member name at most, so the table's cap bounds this queue as well.
        self.updates = BroadcastQueue(config.members_max + 1)
        self.user_messages = BroadcastQueue(config.broadcasts_max)
        self.outgoing: list[Outgoing] = []
        self.events: list[Event] = []
        self.user_state: Callable[[], bytes] = bytes
        self.ack_payload: Callable[[], bytes] = bytes
        self.is_established = False  # whether a member has probed us: then others know our name at our endpoint
        self._user_credit_bytes = 0
        self._packet_room = config.packet_room_bytes - self.layers.overhead_bytes
        self._sequence = rng.getrandbits(32)
        self._stream = 0

    # --- outputs

    def emit(self, event: Event) -> None:
        """Queues an event for the user."""
        self.events.append(event)

    def reject(self, reason: RejectReason, source: Endpoint | None, detail: str = "") -> None:
        """Reports something of a peer that was dropped."""
        self.events.append(PacketRejected(reason, source, detail))

    def reject_error(self, error: DecodeError, source: Endpoint | None) -> None:
        """Reports bytes of a peer that can't be used."""
        self.events.append(PacketRejected(error.reason, source, str(error)))

    # --- packets

    def send(self, destination: Endpoint, parts: list[bytes], *, crc: bool = False) -> None:
        """Sends encoded messages in one packet."""
        self.outgoing.append(SendDatagram(destination, self.layers.seal(parts, crc=crc)))

    def send_direct(self, destination: Endpoint, message: Message) -> None:
        """Sends a message, with updates in the room that it leaves if a member is at that endpoint.

        Strangers get the bare message, so that a forged source address can't be flooded with more than was sent.
        """
        encoded = encode(message)
        parts = [encoded]
        if self.members.at(destination) is not None:
            parts += self.pick_updates(self._packet_room - _PART_OVERHEAD_BYTES - len(encoded))
        self.send(destination, parts)

    def send_updates(self, member: Member) -> bool:
        """Sends one packet of updates; false if there was nothing to send."""
        parts = self.pick_updates(self._packet_room)
        if parts:
            self.send(member.endpoint, parts, crc=protocol_max(member.versions) >= PROTOCOL_CRC)
        return bool(parts)

    def pick_updates(self, room_bytes: int) -> list[bytes]:
        """Updates for one packet: those of members first, then user messages, each with a fair share.

        While both wait, user messages get a quarter of the room. A longer one saves up its quarters until it fits, so
        that a storm of membership news delays it but does not stop it.
        """
        if not self.updates and not self.user_messages:
            return []
        limit = transmit_limit(len(self.members), multiplier=self.config.retransmit_multiplier)
        if not self.user_messages:
            self._user_credit_bytes = 0
            parts = self.updates.pick(room_bytes, overhead_bytes=_PART_OVERHEAD_BYTES, limit=limit)
        else:
            wanted = self.updates.size_bytes + len(self.updates) * _PART_OVERHEAD_BYTES
            self._user_credit_bytes = min(self._packet_room, self._user_credit_bytes + self._packet_room // 4)
            share = min(room_bytes, max(self._user_credit_bytes, room_bytes - wanted))
            user_parts = self.user_messages.pick(share, overhead_bytes=_PART_OVERHEAD_BYTES, limit=limit)
            used = sum(len(part) + _PART_OVERHEAD_BYTES for part in user_parts)
            self._user_credit_bytes = max(0, self._user_credit_bytes - used)
            parts = self.updates.pick(room_bytes - used, overhead_bytes=_PART_OVERHEAD_BYTES, limit=limit)
            parts += user_parts
        assert len(parts) < COMPOUND_PARTS_MAX  # a part takes 11 bytes at least, the packet room is far below 64 KiB
        return parts

    @property
    def user_message_room_bytes(self) -> int:
        """The longest user message that can ever be sent in a packet, its type byte included."""
        return self._packet_room - _PART_OVERHEAD_BYTES

    # --- numbers

    def next_sequence(self) -> int:
        """A fresh sequence number for pings; wraps as on the wire."""
        self._sequence = (self._sequence + 1) & _SEQUENCE_MASK
        return self._sequence

    def next_stream(self) -> StreamId:
        """A fresh stream id."""
        self._stream += 1
        return StreamId(self._stream)

    # --- membership facts that several parts need

    @property
    def local(self) -> Member:
        """This node's own entry."""
        member = self.members.get(self.name)
        assert member is not None  # entered by the constructor of Swim and never forgotten
        return member

    def is_other_alive(self, member: Member) -> bool:
        """Whether an entry is another node that is alive: what most random choices want."""
        return member.is_alive and member.name != self.name


__all__ = ["Kernel", "Ticket", "TimerKey", "TimerKind"]
