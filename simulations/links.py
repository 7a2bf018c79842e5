"""Peer links: what a link manager and its TCP connections look like from above, over the simulated paths.

A link carries payloads in order, each once, until it breaks; then what was under way is lost, and both ends learn of
it, each in its own time. A cut path does not break a link: the payloads wait, as TCP makes them wait, and come late
if the cut ends before the idle timeout. In the *lossy* mode of a run payloads are lost, repeated and reordered one by
one instead: today's links never do that, and replication promises to stand it nevertheless.

The dial follows the production manager: a node dials every peer that membership names, and a peer is only accepted at
the start that membership knows. Left out: frames, credits and queues, which are the link session's and have their own
tests.
"""

import random
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from simulations.network import Network, Path
from simulations.plan import PathShape
from simulations.scheduler import MILLISECOND_NS, SECOND_NS, Scheduler

IDLE_TIMEOUT_NS: Final = 10 * SECOND_NS
DIAL_TIMEOUT_NS: Final = 3 * SECOND_NS
BACKOFF_NS_MIN: Final = 100 * MILLISECOND_NS
BACKOFF_NS_MAX: Final = 10 * SECOND_NS
# The kernel of the other side notices a dead process at once, and a cut cable never: that is the idle timeout's part.
RESET_NS_MAX: Final = 50 * MILLISECOND_NS
# After a cut TCP tries again at doubled intervals, so what waited comes with a delay of its own.
RETRANSMISSION_NS_MAX: Final = 2 * SECOND_NS


class LinkOwner(Protocol):
    """One run of a node, as its links see it."""

    name: str
    start_id: bytes

    def knows_start(self, peer: str, start_id: bytes) -> bool:
        """Whether membership names this start of this peer."""
        ...

    def link_up(self, peer: str) -> None:
        """A link to a peer is up."""
        ...

    def link_down(self, peer: str) -> None:
        """The link to a peer is gone."""
        ...

    def link_payload(self, payload: bytes, peer: str) -> None:
        """A payload came."""
        ...


@dataclass(slots=True, eq=False)
class Link:
    """One connection. The dictionaries are by the name of the receiving side.

    Attributes:
        ends: names of the sides on which it is still up.
        waiting: payloads that a cut holds up.
        arrival_ns: when the latest payload arrives; the next one does not overtake it.
        silent_ns: since when nothing can arrive.
    """

    ends: set[str]
    waiting: dict[str, deque[bytes]] = field(default_factory=dict)
    arrival_ns: dict[str, int] = field(default_factory=dict)
    silent_ns: dict[str, int] = field(default_factory=dict)


class LinkFabric:
    """All links of one run.

    Attributes:
        shape: how payloads travel; only delays count unless `is_lossy`.
        is_lossy: payloads travel one by one, along the whole shape.
    """

    def __init__(
        self, scheduler: Scheduler, network: Network, rng: random.Random, *, shape: PathShape, is_lossy: bool
    ) -> None:
        self.shape = shape
        self.is_lossy = is_lossy
        self._scheduler = scheduler
        self._network = network
        self._rng = rng
        self._owners: dict[str, LinkOwner] = {}
        # By the end that sees it, and its peer: the two ends learn of a break at different times.
        self._links: dict[tuple[str, str], Link] = {}
        self._dialling: set[tuple[bytes, str]] = set()
        network.watch(self._path_changed)

    # --- commands of nodes

    def attach(self, owner: LinkOwner) -> None:
        """A node was started."""
        self._owners[owner.name] = owner

    def detach(self, owner: LinkOwner) -> None:
        """A node's process is gone: its peers' kernels tell them soon, or, behind a cut, the idle timeout does."""
        del self._owners[owner.name]
        for (own, peer), link in list(self._links.items()):
            if own == owner.name:
                del self._links[own, peer]
                link.ends.discard(own)
                self._tell_other_side(link, peer, own)

    def dial(self, owner: LinkOwner, peer: str) -> None:
        """Brings up a link to a peer and keeps trying until it is up, or membership no longer names the peer."""
        if (owner.start_id, peer) not in self._dialling:
            self._dialling.add((owner.start_id, peer))
            self._attempt(owner, peer, 0)

    def send(self, owner: LinkOwner, peer: str, payload: bytes) -> bool:
        """Sends a payload; False if there is no link, and nothing was sent."""
        link = self._links.get((owner.name, peer))
        if link is None:
            return False
        if not self._network.is_open(owner.name, peer):
            self._network.counts["cut_payloads"] += 1
            if not self.is_lossy:
                link.waiting.setdefault(peer, deque()).append(payload)
            return True
        self._transmit(link, owner.name, peer, payload)
        return True

    def close(self, owner: LinkOwner, peer: str) -> None:
        """Drops the link to a peer that membership gave up."""
        link = self._links.get((owner.name, peer))
        if link is not None:
            self._break_end(link, owner.name, peer)
            self._tell_other_side(link, peer, owner.name)

    # --- faults

    def reset(self, first: str, second: str) -> bool:
        """Breaks a link as a reset does, both ways; False if there is none."""
        link = self._links.get((first, second))
        if link is None:
            return False
        self._break_end(link, first, second)
        self._tell_other_side(link, second, first)
        return True

    def pairs(self) -> list[tuple[str, str]]:
        """Both ends' names for every link that is up on the first one."""
        return sorted(self._links)

    # --- inside

    def _attempt(self, owner: LinkOwner, peer: str, failures: int) -> None:
        """One dial; the next follows by itself while there is reason for it."""
        source, network = owner.name, self._network
        if self._owners.get(source) is not owner or (source, peer) in self._links or not _wants(owner, peer):
            self._dialling.discard((owner.start_id, peer))
            return
        other = self._owners.get(peer)
        is_reachable = network.is_open(source, peer) and network.is_open(peer, source)
        if other is not None and is_reachable and _wants(owner, peer, other) and _wants(other, source, owner):
            round_trip_ns = network.delay_ns(self.shape) + network.delay_ns(self.shape)
            self._scheduler.after(round_trip_ns, partial(self._establish, owner, other))
            # Looks once more: the handshake itself may fail.
            delay_ns = round_trip_ns + DIAL_TIMEOUT_NS
        else:
            step_ns = min(BACKOFF_NS_MAX, BACKOFF_NS_MIN << min(failures, 10))
            delay_ns = self._rng.randint(step_ns // 2, step_ns)
        self._scheduler.after(delay_ns, partial(self._attempt, owner, peer, failures + 1))

    def _establish(self, owner: LinkOwner, other: LinkOwner) -> None:
        pair = (owner.name, other.name)
        is_current = self._owners.get(owner.name) is owner and self._owners.get(other.name) is other
        if not is_current or not self._network.is_open(*pair) or not self._network.is_open(pair[1], pair[0]):
            return
        if not _wants(owner, other.name, other) or not _wants(other, owner.name, owner):
            return
        if pair in self._links:
            return  # the other side's dial was faster
        stale = self._links.get((pair[1], pair[0]))
        if stale is not None:
            # A good hello from a linked peer says that it lost that link and we do not know it yet.
            self._break_end(stale, other.name, owner.name)
        link = Link(ends={owner.name, other.name})
        self._links[pair] = self._links[pair[1], pair[0]] = link
        other.link_up(owner.name)
        owner.link_up(other.name)

    def _transmit(self, link: Link, source: str, destination: str, payload: bytes, *, extra_ns: int = 0) -> None:
        now_ns = self._scheduler.now_ns
        deliver = partial(self._deliver, link, source, destination, payload)
        if self.is_lossy:
            for delay_ns in self._network.fates_ns(self.shape):
                self._scheduler.at(now_ns + delay_ns, deliver)
            return
        arrival_ns = now_ns + extra_ns + self._network.delay_ns(self.shape)
        arrival_ns = max(arrival_ns, link.arrival_ns.get(destination, 0))
        link.arrival_ns[destination] = arrival_ns
        self._scheduler.at(arrival_ns, deliver)

    def _deliver(self, link: Link, source: str, destination: str, payload: bytes) -> None:
        if destination in link.ends:
            self._owners[destination].link_payload(payload, source)

    def _break_end(self, link: Link, end: str, peer: str) -> None:
        """One side learns that its link is gone."""
        if end not in link.ends:
            return
        link.ends.discard(end)
        del self._links[end, peer]
        owner = self._owners[end]
        owner.link_down(peer)
        delay_ns = self._rng.randint(BACKOFF_NS_MIN // 2, BACKOFF_NS_MIN)
        self._scheduler.after(delay_ns, partial(self.dial, owner, peer))

    def _tell_other_side(self, link: Link, end: str, gone: str) -> None:
        is_heard = self._network.is_open(gone, end)
        delay_ns = self._rng.randint(0, RESET_NS_MAX) if is_heard else IDLE_TIMEOUT_NS
        self._scheduler.after(delay_ns, partial(self._break_end, link, end, gone))

    def _path_changed(self, path: Path, is_open: bool) -> None:
        source, destination = path
        link = self._links.get((destination, source))
        if link is None:
            return
        if not is_open:
            link.silent_ns[destination] = now_ns = self._scheduler.now_ns
            self._scheduler.after(IDLE_TIMEOUT_NS, partial(self._judge_silence, link, path, now_ns))
            return
        link.silent_ns.pop(destination, None)
        waiting = link.waiting.pop(destination, None)
        if waiting:
            extra_ns = self._rng.randint(0, RETRANSMISSION_NS_MAX)
            for payload in waiting:
                self._transmit(link, source, destination, payload, extra_ns=extra_ns)

    def _judge_silence(self, link: Link, path: Path, since_ns: int) -> None:
        """The idle timeout of the receiving side of a path that was cut at `since_ns`."""
        source, destination = path
        if destination in link.ends and link.silent_ns.get(destination) == since_ns:
            self._break_end(link, destination, source)
            self._tell_other_side(link, source, destination)


def _wants(owner: LinkOwner, peer: str, run: LinkOwner | None = None) -> bool:
    """Whether membership at `owner` names the peer, and, if given, this very run of it."""
    return owner.knows_start(peer, run.start_id if run is not None else b"")
