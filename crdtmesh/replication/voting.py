"""A voter's side of levels: it is asked whether it has events, or what it has of an entry, and answers when it can.

An answer means applied *and on disk*: it leaves behind the commit barrier. A question that can't be answered yet, since
the events are still on their way or this node does not count yet, is noted and looked at again when E has grown.
"""

from typing import Final

from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.replication import level_wire as lw
from crdtmesh.replication import wire
from crdtmesh.replication.entry_states import asked_for, entry_messages
from crdtmesh.replication.ground import Ground
from crdtmesh.replication.reconciling import Reconciler
from crdtmesh.replication.shard import Shard

# Questions of one peer that are noted: one for each of its commits, a few hundred a second, for the 5 s of a timeout.
# About 300 B each.
QUESTIONS_PER_PEER_MAX: Final = 4_096

Question = lw.Confirm | lw.Read


class Voter:
    """Answers the questions of peers."""

    __slots__ = ("_counts", "_ground", "_noted", "_per_peer", "_reconciler", "_revisions")

    def __init__(self, ground: Ground, reconciler: Reconciler) -> None:
        self._ground = ground
        self._reconciler = reconciler
        self._noted: dict[Shard, dict[tuple[str, int], Question]] = {}
        self._per_peer: dict[str, int] = {}
        # Of each shard with noted questions, the revision at which they were last looked at.
        self._revisions: dict[Shard, int] = {}
        self._counts = False

    def ask(self, peer: str, shard: Shard, question: Question, *, is_known: bool) -> bool:
        """Takes a question; False when this peer has too many noted already, and it was dropped.

        Args:
            peer: who asks.
            shard: about what.
            question: to be answered.
            is_known: this node has the shard; of another one nothing is noted, its asker will ask again.
        """
        if self._reconciler.is_reconciled:
            if self._answer(peer, shard, question):
                return True
            if isinstance(question, lw.Confirm) and question.is_urgent:
                self._send(peer, wire.Kind.LACKS, shard, lw.Lacks(shard.number, question.number, shard.applied))
        if not is_known:
            return True
        noted = self._noted.setdefault(shard, {})
        if (peer, question.number) in noted:
            noted[peer, question.number] = question
            return True
        count = self._per_peer.get(peer, 0)
        if count >= QUESTIONS_PER_PEER_MAX:
            return False
        self._per_peer[peer] = count + 1
        noted[peer, question.number] = question
        return True

    def peer_down(self, peer: str) -> None:
        """Nobody waits for its answers: on a new link it asks again."""
        if self._per_peer.pop(peer, 0):
            for noted in self._noted.values():
                for key in [key for key in noted if key[0] == peer]:
                    del noted[key]

    def flush(self) -> None:
        """Answers what can be answered since E has grown. Complexity: O(1) while nothing is noted."""
        if not self._noted:
            return
        is_reconciled = self._reconciler.is_reconciled
        if not is_reconciled:
            return
        is_news, self._counts = not self._counts, True
        for shard, noted in list(self._noted.items()):
            if is_news or self._revisions.get(shard) != shard.revision:
                self._revisions[shard] = shard.revision
                for key, question in list(noted.items()):
                    if self._answer(key[0], shard, question):
                        del noted[key]
                        self._per_peer[key[0]] -= 1
            if not noted:
                del self._noted[shard]
                self._revisions.pop(shard, None)

    def _answer(self, peer: str, shard: Shard, question: Question) -> bool:
        if isinstance(question, lw.Read):
            self._tell_entry(peer, shard, question)
            return True
        if not question.events.issubset(shard.applied):
            return False
        body = lw.body(ReplicaTable(), lw.write_number, question.number)
        self._ground.send(peer, self._ground.header(wire.Kind.CONFIRMED) + body)
        return True

    def _tell_entry(self, peer: str, shard: Shard, read: lw.Read) -> None:
        """Sends what the asker lacks of what it asks for, and then what this node has applied.

        An asker that lacks what the index has forgotten gets no answer: what it lacks of the entry can't be told. Its
        next round of anti-entropy brings it the whole shard.
        """
        if not shard.reaches(read.applied):
            return
        numbers = asked_for(shard, read.name, shard.applied.difference(read.applied))
        messages: list[bytes] = []
        events = CausalContext(shard.table)
        if numbers:
            messages, events = entry_messages(
                shard, read.applied, numbers, options=self._ground.options, clock=self._ground.systems.clock.time
            )
        for message in messages:
            self._ground.send(peer, message)
        body = lw.body(shard.table, lw.write_has, lw.Has(shard.number, read.number, shard.applied, events))
        self._ground.send(peer, self._ground.header(wire.Kind.HAS, shard.system) + body)

    def _send(self, peer: str, kind: wire.Kind, shard: Shard, lacks: lw.Lacks) -> None:
        body = lw.body(shard.table, lw.write_lacks, lacks)
        self._ground.send(peer, self._ground.header(kind, shard.system) + body)
