"""The member table: entries, the random probe order, random choices, forgetting.

Entries are immutable values, so a member that was handed out never changes under its reader. Who may change an entry is
decided in `swim`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from random import Random

from gossip.codec import pack_node_state
from gossip.identity import Endpoint, NodeName
from gossip.messages import Alive, MemberState, NodeState
from gossip.serf import decode_tags


@dataclass(frozen=True, kw_only=True)
class Member:
    """What is known of a node at one moment.

    `address` is the form in which the node announced itself; `meta` is the application's and unread here.
    `changed_ns` is when the state last changed, by this node's clock.
    """

    name: NodeName
    endpoint: Endpoint
    address: bytes
    incarnation: int
    state: MemberState
    meta: bytes
    versions: bytes
    changed_ns: int

    @property
    def is_alive(self) -> bool:
        """Whether it is neither suspect nor gone."""
        return self.state is MemberState.ALIVE

    @property
    def is_present(self) -> bool:
        """Whether it counts as running: alive or, until proven, suspect."""
        return self.state in (MemberState.ALIVE, MemberState.SUSPECT)

    @cached_property
    def tags(self) -> dict[str, str]:
        """The metadata read as Serf's tags."""
        return decode_tags(self.meta)

    def announcement(self) -> Alive:
        """The claim that this member is alive, as its owner makes it."""
        return Alive(
            incarnation=self.incarnation,
            node=self.name,
            address=self.address,
            port=self.endpoint.port,
            meta=self.meta,
            versions=self.versions,
        )

    @cached_property
    def entry(self) -> NodeState:
        """The member as a table exchange shows it."""
        return NodeState(
            node=self.name,
            address=self.address,
            port=self.endpoint.port,
            incarnation=self.incarnation,
            state=self.state,
            meta=self.meta,
            versions=self.versions,
        )

    @cached_property
    def packed_entry(self) -> bytes:
        """The bytes of that entry. Kept: each exchange writes them, and compares them with what the peer wrote."""
        return pack_node_state(self.entry)


class MemberTable:
    """All known members by name, this node included.

    Args:
        rng: source of the probe order and of random choices.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._members: dict[NodeName, Member] = {}
        self._names: dict[Endpoint, NodeName] = {}
        self._probe_order: list[NodeName] = []
        self._probe_index = 0

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def get(self, name: NodeName) -> Member | None:
        """The entry of that name."""
        return self._members.get(name)

    def at(self, endpoint: Endpoint) -> Member | None:
        """The entry that announced that endpoint last."""
        name = self._names.get(endpoint)
        return None if name is None else self._members.get(name)

    def packed_entries(self) -> dict[bytes, NodeState]:
        """All entries by the bytes with which a table exchange shows them.

        Complexity: O(members); made anew each time, since keeping it up to date would cost more than that.
        """
        return {member.packed_entry: member.entry for member in self._members.values()}

    def put(self, member: Member) -> None:
        """Adds or replaces an entry; a new one gets a random place in the probe order.

        Complexity: O(1) to replace, O(members) to add.
        """
        old = self._members.get(member.name)
        if old is None:
            self._probe_order.insert(self._rng.randrange(len(self._probe_order) + 1), member.name)
        elif old.endpoint != member.endpoint:
            self._unindex(old)
        self._members[member.name] = member
        self._names[member.endpoint] = member.name

    def next_to_probe(self) -> NodeName | None:
        """The next name in the probe order; None when a pass is complete: then `reshuffle`."""
        if self._probe_index >= len(self._probe_order):
            return None
        self._probe_index += 1
        return self._probe_order[self._probe_index - 1]

    def reshuffle(self, *, forget_before_ns: int) -> None:
        """Starts a new pass in a new order, without the gone whose state changed before that time.

        Complexity: O(members).
        """
        for member in list(self._members.values()):
            if not member.is_present and member.changed_ns <= forget_before_ns:
                del self._members[member.name]
                self._unindex(member)
        self._probe_order = [name for name in self._probe_order if name in self._members]
        self._rng.shuffle(self._probe_order)
        self._probe_index = 0

    def sample(self, count: int, wanted: Callable[[Member], bool]) -> list[Member]:
        """Up to `count` different members that `wanted` accepts, chosen at random.

        In a large table it tries a few random places only, and so may find fewer than there are.

        Complexity: O(count) in a large table, O(members) in one smaller than 3 x count.
        """
        size = len(self._probe_order)
        if size < 3 * count:
            order = self._rng.sample(self._probe_order, size)
        else:
            order = [self._probe_order[self._rng.randrange(size)] for _ in range(3 * count)]
        chosen: dict[NodeName, Member] = {}
        for name in order:
            if len(chosen) == count:
                break
            member = self._members[name]
            if name not in chosen and wanted(member):
                chosen[name] = member
        return list(chosen.values())

    def _unindex(self, member: Member) -> None:
        if self._names.get(member.endpoint) == member.name:
            del self._names[member.endpoint]
