"""The wires: who reaches whom, and how long a packet takes. Datagrams of the membership protocol travel here.

A *path* leads from one node to another; the way back is another path, so that a cut may go one way. `links` builds
ordered streams on the same paths. All chance comes from one stream of the seed.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from gossip.messages import MessageType
from simulations.plan import PathShape
from simulations.scheduler import SECOND_NS, Scheduler
from simulations.trace import Trace

Path = tuple[str, str]
"""From a node to a node, by name."""

Receiver = Callable[[bytes, str], None]
"""Takes a datagram and the name of the node that it came from."""

REORDERING_FACTOR: Final = 10
# Of the corrupt datagrams. UDP's 16 bits let far fewer pass; these are for the checksum of the packet itself.
CORRUPTION_PASSES: Final = 0.25
CHECKED: Final = bytes([MessageType.HAS_CRC])
"""How a packet begins that carries a checksum of its own. Of others nobody can tell what they were."""
# What waits longer for its line is dropped, as routers do.
QUEUE_NS_MAX: Final = SECOND_NS


class Network:
    """All paths of one run.

    Attributes:
        shape: how datagrams travel from now on; a heal replaces it.
        counts: faults that happened, by kind.
    """

    def __init__(
        self, scheduler: Scheduler, rng: random.Random, *, trace: Trace, counts: Counter[str], shape: PathShape
    ) -> None:
        self.shape = shape
        self.counts = counts
        self._scheduler = scheduler
        self._rng = rng
        self._trace = trace
        self._receivers: dict[str, Receiver] = {}
        # Two cuts may cover one path; it is open again when both have ended.
        self._cuts: Counter[Path] = Counter()
        self._busy_until_ns: dict[Path, int] = {}
        self._watchers: list[Callable[[Path, bool], None]] = []

    def attach(self, node: str, receiver: Receiver | None) -> None:
        """Sets who takes a node's datagrams; None while it is down, and they are lost."""
        if receiver is None:
            self._receivers.pop(node, None)
        else:
            self._receivers[node] = receiver

    def watch(self, watcher: Callable[[Path, bool], None]) -> None:
        """Has `watcher(path, is_open)` called whenever a path closes or opens."""
        self._watchers.append(watcher)

    def is_open(self, source: str, destination: str) -> bool:
        """Whether packets get through at all."""
        return (source, destination) not in self._cuts

    def cut(self, paths: Iterable[Path]) -> None:
        """Closes paths."""
        for path in paths:
            self._cuts[path] += 1
            if self._cuts[path] == 1:
                self._tell(path, is_open=False)

    def mend(self, paths: Iterable[Path]) -> None:
        """Ends one cut of each path."""
        for path in paths:
            self._cuts[path] -= 1
            if self._cuts[path] <= 0:
                del self._cuts[path]
                self._tell(path, is_open=True)

    def delay_ns(self, shape: PathShape) -> int:
        """Draws how long a packet is under way, without reordering."""
        rng = self._rng
        if rng.random() < shape.tail:
            self.counts["delay_tail"] += 1
            return rng.randint(shape.delay_ns_max, max(shape.delay_ns_max, shape.tail_ns_max))
        return rng.randint(shape.delay_ns_min, shape.delay_ns_max)

    def queued_ns(self, source: str, destination: str, size: int, shape: PathShape) -> int:
        """When a packet of this size has left its sender, whose line to the destination has a bounded rate."""
        now_ns = self._scheduler.now_ns
        if not shape.bytes_per_s:
            return now_ns
        path = (source, destination)
        start_ns = max(now_ns, self._busy_until_ns.get(path, 0))
        if start_ns > now_ns:
            self.counts["capacity_queued"] += 1
        self._busy_until_ns[path] = done_ns = start_ns + size * SECOND_NS // shape.bytes_per_s
        return done_ns

    def fates_ns(self, shape: PathShape) -> list[int]:
        """Draws what becomes of one packet: the delay of each copy that arrives; none if it is lost."""
        rng = self._rng
        counts = self.counts
        if rng.random() < shape.loss:
            counts["loss"] += 1
            return []
        if rng.random() < shape.corruption:
            # A flipped bit seldom passes the checksum of UDP; `send_datagram` delivers those that do. Streams and
            # messages on links have stronger checksums below them, and the packet is gone.
            counts["corruption"] += 1
            return []
        copies = 1
        if rng.random() < shape.duplication:
            counts["duplication"] += 1
            copies = 2
        delays_ns = []
        for _ in range(copies):
            delay_ns = self.delay_ns(shape)
            if rng.random() < shape.reordering:
                counts["reordering"] += 1
                delay_ns += rng.randint(0, REORDERING_FACTOR * shape.delay_ns_max)
            delays_ns.append(delay_ns)
        return delays_ns

    def send_datagram(self, source: str, destination: str, data: bytes) -> None:
        """Sends a datagram. What a cut stops is lost; what passed before the cut arrives."""
        self._trace.remark("datagram_sent", source, destination, data)
        if not self.is_open(source, destination):
            self.counts["cut_datagrams"] += 1
            return
        shape = self.shape
        queued_ns = 0
        if shape.bytes_per_s:
            queued_ns = self.queued_ns(source, destination, len(data), shape) - self._scheduler.now_ns
            if queued_ns > QUEUE_NS_MAX:
                self.counts["capacity_dropped"] += 1
                return
        if shape.corruption and data[:1] == CHECKED and self._rng.random() < shape.corruption * CORRUPTION_PASSES:
            self.counts["corruption_delivered"] += 1
            self._scheduler.after(self.delay_ns(shape), partial(self._deliver, source, destination, self._flip(data)))
            return
        for delay_ns in self.fates_ns(shape):
            self._scheduler.after(queued_ns + delay_ns, partial(self._deliver, source, destination, data))

    def _flip(self, data: bytes) -> bytes:
        changed = bytearray(data)
        changed[self._rng.randrange(1, len(changed))] ^= 1 << self._rng.randrange(8)
        return bytes(changed)

    def _deliver(self, source: str, destination: str, data: bytes) -> None:
        receiver = self._receivers.get(destination)
        if receiver is not None:
            receiver(data, source)

    def _tell(self, path: Path, *, is_open: bool) -> None:
        self._trace.remark("open" if is_open else "cut", *path)
        for watcher in self._watchers:
            watcher(path, is_open)
