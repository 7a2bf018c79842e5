"""Vote: each replica holds one ballot, yes or no; who counts is decided by whoever asks.

State: DotFun from dot to the ballot of the dot's replica. A replica moves its own ballot under a fresh dot and
supersedes only its own old one.
Join: that of DotFun. Value: the tally of all ballots, `{"against": 1, "for": 2}`. It counts replicas that left, too:
the members of the cluster are no part of the state, so a plain read cannot judge a majority.

`tally` judges: given the replica ids of the members as the caller sees them, it counts their ballots and no others.
Answers of two nodes can differ while their views of the membership do. A node has a new replica id after each start,
so a restarted node has not voted until it votes again, and its earlier ballot is out of the tally with its id.

Who wins: nobody overwrites another's ballot. `withdraw` takes the own ballot back. `reset`, and the removal of the
key, take back the ballots they have seen; a ballot cast or changed concurrently survives. Casting the same ballot
again is no event.
After a removal nothing is kept but the dots in the context. Size: one ballot for each replica id that voted, until a
reset.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from crdtmesh.crdts.base import Delta, Mutation
from crdtmesh.crdts.codec import Reader, Writer
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dot_funs import DotFunType, own_dots, slots, written
from crdtmesh.crdts.dots import Dot, ReplicaTable
from crdtmesh.crdts.errors import InvalidOperation, shorten
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue

VoteStore = dict[Dot, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The ballots of given members.

    Attributes:
        members: how many may vote.
        votes_for: how many of them hold a yes.
        votes_against: how many of them hold a no; the rest have not voted.
    """

    members: int
    votes_for: int
    votes_against: int

    @property
    def is_any(self) -> bool:
        """Whether at least one member says yes."""
        return self.votes_for > 0

    @property
    def is_majority(self) -> bool:
        """Whether more than half of the members say yes, those counted that have not voted."""
        return 2 * self.votes_for > self.members

    @property
    def is_unanimous(self) -> bool:
        """Whether there are members and all of them say yes."""
        return 0 < self.members == self.votes_for


class Vote(DotFunType[bool]):
    """The data type; see the module for its meaning.

    Operations: `vote(yes)`, `withdraw()`, `reset()`.
    """

    name: ClassVar[str] = "Vote"
    operations: ClassVar[Mapping[str, tuple[int, int]]] = {"vote": (1, 1), "withdraw": (0, 0), "reset": (0, 0)}
    removal: ClassVar[str] = "reset"

    def _write(self, store: VoteStore, operation: Operation, mutation: Mutation) -> Delta[VoteStore] | None:
        own = own_dots(store, mutation.replica)
        if operation.name == "withdraw":
            return Delta({}, CausalContext(mutation.table, (mutation.next_dot(), *own))) if own else None
        ballot = operation.arguments[0]
        if not isinstance(ballot, bool):
            raise InvalidOperation(f"Vote.vote takes True or False, got {shorten(ballot)}; withdraw takes a vote back")
        if own and store[max(own)] == ballot:
            return None
        return written(mutation, ballot, own)

    def value(self, store: VoteStore) -> dict[str, PlainValue]:
        """How many replicas hold a yes and how many a no, members or not."""
        ballots = list(slots(store).values())
        return {"against": ballots.count(False), "for": ballots.count(True)}

    def tally(self, store: VoteStore, table: ReplicaTable, members: Iterable[bytes]) -> Tally:
        """The ballots of the members.

        Args:
            store: the ballots.
            table: the table of the store's dots.
            members: the replica id that each member has since its last start.
        """
        ballots = slots(store)
        replica_ids = set(members)
        cast = [ballots.get(table.find(replica_id) or 0) for replica_id in replica_ids]
        return Tally(members=len(replica_ids), votes_for=cast.count(True), votes_against=cast.count(False))

    def _write_payload(self, writer: Writer, payload: bool) -> None:
        writer.integer(int(payload))

    def _read_payload(self, reader: Reader, dot: Dot) -> bool:
        return reader.integer(1) == 1


VOTE: Final = Vote()
"""The data type's only instance."""
