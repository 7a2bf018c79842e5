"""The rules: what a claim about another member does to the table.

Every node keeps a table of members. Three kinds of *claims* about a member travel between nodes: it is alive, it is
suspect, it is dead; a claim of death by the member itself means that it left. Each claim carries the member's
*incarnation*, a number that only the member itself raises. A claim counts if its incarnation is high enough for the
state it meets (`TRANSITIONS`): doubt wins at the same incarnation, life needs a higher one. So a member that hears a
false claim about itself can *refute* it by announcing itself with a higher incarnation (`refutation`), and every other
claim is put in order without clocks. A claim that changes the table is sent on.

Source: SWIM (Das, Gupta, Motivala 2002); Lifeguard (arXiv:1707.00788); the rules of memberlist.
"""

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from types import MappingProxyType

from gossip.admission import Admission
from gossip.config import to_ns
from gossip.dissemination import Disseminator, Synchronizer
from gossip.errors import RejectReason
from gossip.identity import Endpoint, NodeName, host_of
from gossip.kernel import Kernel, TimerKind
from gossip.members import Member
from gossip.messages import Alive, Dead, MemberState, NodeState, PushPull, Suspect
from gossip.outputs import MemberChange, MemberEvent
from gossip.refutation import Refuter
from gossip.suspicion import Suspicion, suspicion_bounds
from gossip.versions import are_compatible


class Claim(enum.Enum):
    """What may be claimed of a member."""

    ALIVE = enum.auto()
    SUSPECT = enum.auto()
    DEAD = enum.auto()
    LEFT = enum.auto()


@dataclass(frozen=True, slots=True)
class Transition:
    """Where a claim leads, the event of it, and whether its incarnation must be higher than the one known."""

    state: MemberState
    change: MemberChange | None
    needs_newer: bool


_A, _S, _D, _L = MemberState.ALIVE, MemberState.SUSPECT, MemberState.DEAD, MemberState.LEFT

TRANSITIONS = MappingProxyType(
    {
        # A name not known before: only life makes an entry.
        (None, Claim.ALIVE): Transition(_A, MemberChange.JOINED, needs_newer=False),
        # Life needs a higher incarnation, whatever it meets.
        (_A, Claim.ALIVE): Transition(_A, None, needs_newer=True),  # UPDATED if metadata or address changed
        (_S, Claim.ALIVE): Transition(_A, MemberChange.REFUTED, needs_newer=True),
        (_D, Claim.ALIVE): Transition(_A, MemberChange.JOINED, needs_newer=True),
        (_L, Claim.ALIVE): Transition(_A, MemberChange.JOINED, needs_newer=True),
        # Doubt wins at the same incarnation.
        (_A, Claim.SUSPECT): Transition(_S, MemberChange.SUSPECTED, needs_newer=False),
        (_S, Claim.SUSPECT): Transition(_S, None, needs_newer=False),  # a confirmation, if the accuser is new
        # Death wins over both. The dead and the left stay what they are, until they are alive again.
        (_A, Claim.DEAD): Transition(_D, MemberChange.DIED, needs_newer=False),
        (_S, Claim.DEAD): Transition(_D, MemberChange.DIED, needs_newer=False),
        (_A, Claim.LEFT): Transition(_L, MemberChange.LEFT, needs_newer=False),
        (_S, Claim.LEFT): Transition(_L, MemberChange.LEFT, needs_newer=False),
    }
)
"""All transitions of an entry of another node; a pair that is missing changes nothing. A node's own entry has no row
here: claims about itself are refuted, see `refutation`."""


class Rules:
    """Decides about claims, and watches over suspicions.

    Args:
        kernel: shared state.
        disseminator: sends on what is news.
        synchronizer: is told who failed and who is back.
        refuter: takes the claims about this node.
    """

    def __init__(
        self, kernel: Kernel, *, disseminator: Disseminator, synchronizer: Synchronizer, refuter: Refuter
    ) -> None:
        self._kernel = kernel
        self._name = kernel.name
        self._config = kernel.config
        self._timers = kernel.timers
        self._members = kernel.members
        self._disseminator = disseminator
        self._synchronizer = synchronizer
        self._refuter = refuter
        self._admission = Admission(kernel)
        self._suspicions: dict[NodeName, Suspicion] = {}

    # --- claims

    def on_alive(self, claim: Alive, source: Endpoint) -> None:
        """A member announces itself, or somebody passes that on."""
        if claim.node == self._name:
            self._refuter.on_alive(claim)
            return
        known = self._members.get(claim.node)
        endpoint = Endpoint(host_of(claim.address), claim.port)
        if known is not None and claim.incarnation < known.incarnation:
            # From somebody else it would be old news: a member may have had another address before.
            if endpoint != known.endpoint and known.is_present and is_first_hand(claim, source):
                self._admission.report_conflict(claim, endpoint, known)
            return
        if known is not None and claim.incarnation == known.incarnation and endpoint == known.endpoint:
            return
        if not self._admission.allows_alive(claim, endpoint, known, source):
            return
        transition = TRANSITIONS[None if known is None else known.state, Claim.ALIVE]
        if known is not None and transition.needs_newer and claim.incarnation == known.incarnation:
            return
        change = transition.change
        if known is not None and change is None and (known.meta != claim.meta or known.endpoint != endpoint):
            change = MemberChange.UPDATED
        is_same_state = known is not None and known.state is transition.state
        self._set(
            Member(
                name=claim.node,
                endpoint=endpoint,
                address=claim.address,
                incarnation=claim.incarnation,
                state=transition.state,
                meta=claim.meta,
                versions=claim.versions,
                changed_ns=known.changed_ns if known is not None and is_same_state else self._kernel.now_ns,
            ),
            known,
            change,
        )
        self._disseminator.spread(claim)

    def on_accusation(self, claim: Suspect | Dead, source: Endpoint) -> None:
        """A suspicion, a declaration of death, or a notice of leaving."""
        known = self._members.get(claim.node)
        if known is None or claim.incarnation < known.incarnation:
            return
        if not self._admission.allows_accusation(claim, known, source):
            return
        if claim.node == self._name:
            self._refuter.refute(claim.incarnation)
            return
        kind = Claim.SUSPECT
        if isinstance(claim, Dead):
            kind = Claim.LEFT if claim.is_leave else Claim.DEAD
        transition = TRANSITIONS.get((known.state, kind))
        if transition is None:
            return
        if kind is Claim.SUSPECT and known.name in self._suspicions:
            self._confirm(known, claim)
            return
        new = replace(known, state=transition.state, incarnation=claim.incarnation, changed_ns=self._kernel.now_ns)
        self._set(new, known, transition.change)
        if kind is Claim.SUSPECT:
            self._start_suspicion(new, claim.accuser)
        self._disseminator.spread(claim)

    def _set(self, new: Member, old: Member | None, change: MemberChange | None) -> None:
        """Enters a new value of another node, and what follows from its state."""
        self._suspicions.pop(new.name, None)
        self._timers.cancel((TimerKind.SUSPICION, new.name))
        self._members.put(new)
        if new.state is MemberState.DEAD:
            self._synchronizer.remember(new)
        elif new.state is not MemberState.SUSPECT:
            self._synchronizer.forget(new.name)
        if change is not None:
            self._kernel.emit(MemberEvent(change, new, old))

    def suspect_silent(self, member: Member) -> None:
        """Nobody could reach a member in a probe round."""
        claim = Suspect(member.incarnation, member.name, self._name)
        self.on_accusation(claim, self._kernel.local.endpoint)

    def _start_suspicion(self, member: Member, accuser: NodeName) -> None:
        bounds = suspicion_bounds(
            len(self._members),
            probe_interval_ns=to_ns(self._config.probe_interval_s),
            multiplier=self._config.suspicion_multiplier,
            max_multiplier=self._config.suspicion_max_multiplier,
            is_dynamic=self._config.is_dynamic_suspicion_enabled,
        )
        suspicion = Suspicion(bounds=bounds, started_ns=self._kernel.now_ns, accuser=accuser)
        self._suspicions[member.name] = suspicion
        self._timers.arm((TimerKind.SUSPICION, member.name), suspicion.deadline_ns)

    def _confirm(self, member: Member, claim: Suspect | Dead) -> None:
        """One more accuser shortens the suspicion, and the news is worth passing on."""
        suspicion = self._suspicions[member.name]
        if suspicion.confirm(claim.accuser):
            self._timers.arm((TimerKind.SUSPICION, member.name), suspicion.deadline_ns)
            self._disseminator.spread(claim)

    def on_suspicion_over(self, name: NodeName) -> None:
        """The time that a suspect had to refute is over."""
        member = self._members.get(name)
        if member is not None and member.state is MemberState.SUSPECT:
            self.on_accusation(Dead(member.incarnation, name, self._name), self._kernel.local.endpoint)

    # --- tables of others

    def merge(self, table: PushPull, peer: Endpoint) -> str | None:
        """Applies a peer's table as claims; returns why it was refused as a whole, or None."""
        news = [state for state in table.states if not self._is_known(state)]
        if len(news) == len(table.states) and not self._speak_with_any(news):
            self._kernel.reject(RejectReason.VERSION, peer, "no member of the peer's table has compatible versions")
            return "no member there has versions compatible with ours; compare the versions option of both clusters"
        for claim in claims_in(news, receiver=self._name):
            if isinstance(claim, Alive):
                self.on_alive(claim, peer)
            else:
                self.on_accusation(claim, peer)
        self._refuter.on_table(news)
        return None

    def _is_known(self, state: NodeState) -> bool:
        """Whether an entry is the very one that the table holds, and so no claim; a suspicion is one by another peer.

        Entries that were read as bytes that we know are identical, not just equal.
        """
        member = self._members.get(state.node)
        return member is not None and member.entry is state and state.state is not MemberState.SUSPECT

    def _speak_with_any(self, states: Iterable[NodeState]) -> bool:
        """Whether a table has a live member that we can speak with, or no live member at all."""
        alive = [state for state in states if state.state is MemberState.ALIVE]
        return not alive or any(are_compatible(self._config.versions.wire, state.versions) for state in alive)


def is_first_hand(claim: Alive, source: Endpoint) -> bool:
    """Whether a node announces itself; on a stream only the host can be compared."""
    return host_of(claim.address) == source.host


def claims_in(states: Iterable[NodeState], *, receiver: NodeName) -> Iterator[Alive | Suspect | Dead]:
    """Entries of a peer's table as claims.

    The dead of others become suspects, never directly dead: the peer may be the one that is cut off, so the member
    gets its time to refute. That is also how a restarted node learns what is believed of it.

    Source: memberlist's merge of a push/pull.
    """
    for state in states:
        if state.state is MemberState.ALIVE:
            yield Alive(
                incarnation=state.incarnation,
                node=state.node,
                address=state.address,
                port=state.port,
                meta=state.meta,
                versions=state.versions,
            )
        elif state.state is MemberState.LEFT:
            yield Dead(state.incarnation, state.node, state.node)
        else:
            yield Suspect(state.incarnation, state.node, receiver)
