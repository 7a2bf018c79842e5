"""More bugs to plant: in the membership, the data types, the runtime, and the order in which things come out.

See `planted`, which lists them all.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from crdtmesh.crdts.base import Delta
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.counter_pn import PNCounter
from crdtmesh.crdts.dots import DOT_BITS
from crdtmesh.crdts.set_aw import ORSet
from crdtmesh.replication.entries import EntryTable
from crdtmesh.replication.shard import Shard
from crdtmesh.runtime import placement
from crdtmesh.runtime.errors import ErrorCode
from crdtmesh.runtime.replies import Replies
from gossip.kernel import TimerKind
from gossip.messages import Ack, Alive, Dead, MemberState
from gossip.outputs import MemberChange
from gossip.probing import Prober
from gossip.rules import Rules
from gossip.timers import Timers
from simulations.patching import Patch

# --- data types


def keep_the_lesser_sum(patch: Patch) -> None:
    """Of two sums of one replica the greater one counts: it holds what the lesser one holds."""

    def absorb(self: PNCounter, store: Any, context: CausalContext, delta: Any) -> Any:
        before = {dot >> DOT_BITS: pair for dot, pair in store.items()}
        result = original(self, store, context, delta)
        for dot in delta.store:
            if dot in store:
                store[dot] = min(store[dot], before.get(dot >> DOT_BITS, store[dot]))
        return result

    original = PNCounter.absorb
    patch.setattr(PNCounter, "absorb", absorb)


def remove_without_a_context(patch: Patch) -> None:
    """A removal names the dots that it removes."""

    def write(self: ORSet, store: Any, name: str, element: bytes, mutation: Any) -> Any:
        delta = original(self, store, name, element, mutation)
        if delta is None or name != "remove":
            return delta
        return Delta(delta.store, CausalContext.of_one(mutation.table, mutation.next - 1))

    original = ORSet._write
    patch.setattr(ORSet, "_write", write)


def keep_what_was_removed_before_a_handover(patch: Patch) -> None:
    """What comes between the comparison with another replica and the end of a handover may have been removed there."""
    patch.setattr(Shard, "_remove_late", lambda self, late, present: [])


# --- membership


def accept_life_at_the_same_incarnation(patch: Patch) -> None:
    """Doubt wins at the same incarnation: only the member itself, with a higher one, ends it."""

    def on_alive(self: Rules, claim: Alive, source: Any) -> None:
        known = self._members.get(claim.node)
        is_same = known is not None and claim.incarnation == known.incarnation
        if known is not None and is_same and known.state is MemberState.SUSPECT:
            alive = replace(known, state=MemberState.ALIVE, changed_ns=self._kernel.now_ns)
            self._set(alive, known, MemberChange.REFUTED)
            return
        original(self, claim, source)

    original = Rules.on_alive
    patch.setattr(Rules, "on_alive", on_alive)


def let_refuted_suspicions_end(patch: Patch) -> None:
    """A timer of what is over does nothing."""

    def cancel(self: Timers[Any], key: Any) -> None:
        if not isinstance(key, tuple) or key[0] is not TimerKind.SUSPICION:
            original(self, key)

    def on_suspicion_over(self: Rules, name: Any) -> None:
        member = self._members.get(name)
        if member is not None and member.is_present:
            self.on_accusation(Dead(member.incarnation, name, self._name), self._kernel.local.endpoint)

    original = Timers.cancel
    patch.setattr(Timers, "cancel", cancel)
    patch.setattr(Rules, "on_suspicion_over", on_suspicion_over)


def take_late_acks(patch: Patch) -> None:
    """An ack answers the probe that has its number, and no later one."""

    def on_ack(self: Prober, ack: Ack) -> None:
        if self._round is not None and ack.sequence not in self._relays:
            ack = replace(ack, sequence=self._round.sequence)
        original(self, ack)

    original = Prober.on_ack
    patch.setattr(Prober, "on_ack", on_ack)


# --- runtime


def drop_calls_at_a_full_mailbox(patch: Patch) -> None:
    """A call that is refused is told so."""

    def fail(self: Replies, turn: Any, code: ErrorCode, outcome: Any, message: str) -> None:
        if code is ErrorCode.MAILBOX_FULL:
            self._live.pop(turn.number, None)
            return
        original(self, turn, code, outcome, message)

    original = Replies.fail
    patch.setattr(Replies, "fail", fail)


# --- order


def place_by_the_hash_of_the_process(patch: Patch) -> None:
    """Where an actor runs follows from names and the cluster's key, on every node and in every process."""

    def owner(address: Any, nodes: Iterable[str], key: bytes, salt: str = "") -> str | None:
        return max(nodes, key=lambda node: (hash((*address, salt, key, node)), node), default=None)

    patch.setattr(placement, "owner", owner)


def let_the_order_of_a_set_reach_bytes(patch: Patch) -> None:
    """The order of a set of strings differs between processes; what is hashed or sent is sorted."""

    def in_some_order(self: EntryTable, prefix: str = "") -> Any:
        return iter({(name, number) for name, number in self.names() if name[0].startswith(prefix)})

    patch.setattr(EntryTable, "sorted_names", in_some_order)
