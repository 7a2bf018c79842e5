"""Hostile packets against one machine: random bytes, mutated packets, and valid ones with absurd content.

Packets come in *blocks*; a block is a function of the seed and its number, so a long run can be cut into several and
each failure replays alone. After every block the machine must still be itself, and the memory of the process must not
have grown. A machine with a key gets the same packets beside it: nothing that is not sealed may change its table or
make it answer.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Final

from gossip.codec import encode
from gossip.config import LAN, SwimConfig
from gossip.identity import Endpoint, NodeName, address_of
from gossip.messages import Ack, Alive, Dead, IndirectPing, MemberState, Message, Nack, Ping, Suspect, User
from gossip.outputs import CloseStream
from gossip.packets import PacketLayers, add_crc, compound, wrap_compressed
from gossip.security import Keyring, add_label
from gossip.streams import encode_for_stream
from gossip.swim import Swim
from simulations.scheduler import MILLISECOND_NS

BLOCK_PACKETS: Final = 100_000

MEMBERS_MAX: Final = 512
"""A cap that mutated names fill within a block, so that what happens at the cap is tried too."""

MEMORY_GROWTH_BYTES_MAX: Final = 16 * 1024 * 1024
"""From the end of the first block on: the interpreter's arenas wander by a few MiB. A leak of 20 bytes a packet shows
within eight blocks."""

STREAM_SHARE: Final = 0.02
SOURCES: Final = tuple(Endpoint(f"10.9.0.{number}", 7946) for number in range(1, 9))
VERSIONS: Final = LAN.versions.wire


class FuzzFailure(Exception):
    """A promise was broken; the message names seed, block and packet."""


@dataclass(frozen=True, slots=True)
class BlockResult:
    """What one block did: packets given, those refused, claims that got in, and resident memory afterwards."""

    block: int
    packets: int
    rejected: int
    members: int
    rss_bytes: int


def run_blocks(*, packets: int, seed: int, first_block: int = 0) -> Iterator[BlockResult]:
    """Runs blocks until that many packets were given.

    Raises:
        FuzzFailure: at the first broken promise.
    """
    block = first_block
    rss_bytes: int | None = None
    while packets > 0:
        count = min(packets, BLOCK_PACKETS)
        result = _Block(seed, block).run(count)
        yield result
        if rss_bytes is None:
            rss_bytes = result.rss_bytes
        elif result.rss_bytes - rss_bytes > MEMORY_GROWTH_BYTES_MAX:
            raise FuzzFailure(
                f"seed {seed}: memory grew from {rss_bytes} bytes after block {first_block} to {result.rss_bytes} "
                f"after block {block}"
            )
        packets -= count
        block += 1


class _Block:
    """One block: a plain machine and a keyed one."""

    def __init__(self, seed: int, block: int) -> None:
        self._where = f"seed {seed}, block {block}"
        self._block = block
        self._rng = Random(f"fuzz/{seed}/{block}")
        config = replace(LAN, members_max=MEMBERS_MAX)
        self._plain = _machine(config)
        self._keyed = _machine(replace(config, keyring=Keyring([bytes(range(32))])))
        self._packets = Packets(self._rng)
        self._now_ns = 0
        self._rejected = 0

    def run(self, count: int) -> BlockResult:
        keyed_table = self._keyed.members()
        for number in range(count):
            packet = self._packets.draw()
            source = self._rng.choice(SOURCES)
            self._now_ns += self._rng.randrange(20) * MILLISECOND_NS
            try:
                self._give(packet, source)
                if number % 64 == 0:
                    self._plain.tick(now_ns=self._now_ns)
            except Exception as error:
                raise FuzzFailure(f"{self._where}, packet {number} {packet.hex():.200}: {error!r}") from error
            if number % 64 == 0:
                self._check(number)
        if self._keyed.members() != keyed_table or self._keyed.take_outgoing():
            raise FuzzFailure(f"{self._where}: a machine with a key listened to plain packets")
        return BlockResult(self._block, count, self._rejected, len(self._plain.members()), resident_bytes())

    def _give(self, packet: bytes, source: Endpoint) -> None:
        if self._rng.random() < STREAM_SHARE:
            stream = self._plain.accept_stream(source, now_ns=self._now_ns)
            if stream is not None:
                self._plain.receive_stream(stream, packet, now_ns=self._now_ns)
                self._plain.close_stream(stream, now_ns=self._now_ns)
        else:
            self._plain.receive(packet, source, now_ns=self._now_ns)
            self._keyed.receive(packet, source, now_ns=self._now_ns)

    def _check(self, number: int) -> None:
        plain = self._plain
        outgoing, events = plain.take_outgoing(), plain.take_events()
        self._rejected += sum(type(event).__name__ == "PacketRejected" for event in events)
        self._keyed.take_events()
        if any(getattr(directive, "data", b"\x00") == b"" for directive in outgoing):
            raise FuzzFailure(f"{self._where}, packet {number}: an empty packet was sent")
        if any(isinstance(directive, CloseStream) and directive.stream <= 0 for directive in outgoing):
            raise FuzzFailure(f"{self._where}, packet {number}: a stream that never was is closed")
        if len(plain.members()) > MEMBERS_MAX or plain.local.state is not MemberState.ALIVE:
            raise FuzzFailure(f"{self._where}, packet {number}: {len(plain.members())} members, {plain.local}")


def _machine(config: SwimConfig) -> Swim:
    return Swim(
        config,
        name="self",
        endpoint=Endpoint("10.0.0.1", 7946),
        rng=Random(1),
        now_ns=0,
        entropy=Random(2).randbytes,
    )


class Packets:
    """Draws hostile packets.

    Args:
        rng: where they come from.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._layers = PacketLayers(keyring=Keyring([bytes(16)]), entropy=rng.randbytes)  # a key nobody has

    def draw(self) -> bytes:
        """One packet: a tenth random bytes, half mutated, the rest well-formed with absurd content."""
        rng = self._rng
        share = rng.random()
        if share < 0.1:
            return rng.randbytes(rng.randrange(1, 200))
        packet = self._valid()
        return self._mutated(packet) if share < 0.6 else packet

    def _valid(self) -> bytes:
        rng = self._rng
        share = rng.random()
        if share < 0.7:
            return encode(self._message())
        if share < 0.8:
            return compound([encode(self._message()) for _ in range(rng.randrange(1, 6))])
        if share < 0.85:
            return add_crc(encode(self._message()))
        if share < 0.9:
            return wrap_compressed(encode(self._message()))
        if share < 0.95:
            return self._layers.seal([encode(self._message())], crc=rng.random() < 0.5)
        if share < 0.97:
            return add_label(encode(self._message()), b"other")
        return encode_for_stream(self._message_for_stream())

    def _mutated(self, packet: bytes) -> bytes:
        rng = self._rng
        data = bytearray(packet)
        for _ in range(rng.randrange(1, 5)):
            position = rng.randrange(len(data) + 1)
            match rng.randrange(4):
                case 0:
                    data[position : position + 1] = rng.randbytes(1)
                case 1:
                    del data[position : position + rng.randrange(1, 20)]
                case 2:
                    data[position:position] = rng.randbytes(rng.randrange(8))
                case _:
                    data[position : position + 4] = rng.choice((b"\xff" * 4, bytes(4), b"\xdd\xff\xff\xff", b"\xdf"))
        return bytes(data)

    def _message(self) -> Message:
        rng = self._rng
        number = rng.choice((0, 1, 2, rng.getrandbits(16), rng.getrandbits(32), 2**32 - 1))
        name, other = self._name(), self._name()
        address = address_of(rng.choice(SOURCES).host) if rng.random() < 0.8 else rng.randbytes(rng.choice((4, 16)))
        port = rng.choice((0, 7946, rng.getrandbits(16)))
        match rng.randrange(8):
            case 0:
                return Ping(number, name, address, port, other)
            case 1:
                return IndirectPing(sequence=number, node=name, target=address, port=port, nack=rng.random() < 0.5)
            case 2:
                return Ack(number, rng.randbytes(rng.randrange(64)))
            case 3:
                return Nack(number)
            case 4:
                return Suspect(number, name, other)
            case 5:
                return Dead(number, name, other)
            case 6:
                return User(rng.randbytes(rng.randrange(300)))
            case _:
                versions = VERSIONS if rng.random() < 0.8 else rng.randbytes(6)
                meta = rng.randbytes(rng.randrange(100))
                return Alive(incarnation=number, node=name, address=address, port=port, meta=meta, versions=versions)

    def _message_for_stream(self) -> Message:
        rng = self._rng
        return rng.choice((Ping(rng.getrandbits(32), self._name()), User(rng.randbytes(30))))

    def _name(self) -> NodeName:
        rng = self._rng
        if rng.random() < 0.2:
            return NodeName("self")
        return NodeName(f"m{rng.randrange(2_000)}")


def flood(*, members: int, members_max: int, real: int = 16) -> dict[str, Any]:
    """Announces that many synthetic members to a machine that knows some real ones.

    Raises:
        FuzzFailure: the cap was exceeded, or a real member is gone.
    """
    machine = _machine(replace(LAN, members_max=members_max))
    for number in range(real):
        machine.receive(_announcement(f"real{number}", number), SOURCES[0], now_ns=0)
    machine.take_outgoing(), machine.take_events()
    before_bytes = resident_bytes()
    for number in range(members):
        now_ns = number * MILLISECOND_NS
        machine.receive(_announcement(f"synthetic{number}", real + number), SOURCES[0], now_ns=now_ns)
        if number % 64 == 0:
            machine.take_outgoing(), machine.take_events()
    present = {member.name for member in machine.members() if member.is_present}
    missing = [f"real{number}" for number in range(real) if f"real{number}" not in present]
    if missing or len(machine.members()) > members_max:
        raise FuzzFailure(f"{len(machine.members())} members with a cap of {members_max}; gone: {missing}")
    return {
        "announced": members,
        "members": len(machine.members()),
        "members_max": members_max,
        "real_kept": real,
        "rss_growth_bytes": resident_bytes() - before_bytes,
    }


def _announcement(name: str, number: int) -> bytes:
    address = bytes((10, number >> 16 & 255, number >> 8 & 255, number & 255))
    return encode(Alive(incarnation=1, node=NodeName(name), address=address, port=7946, versions=VERSIONS))


def resident_bytes() -> int:
    """Resident memory of this process; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096
    except OSError:
        return 0
