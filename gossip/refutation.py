"""What this node does about claims about itself: it refutes them, and it notices when somebody else bears its name.

Source: SWIM (Das, Gupta, Motivala 2002), section 4.2; memberlist for rejoining under the same name.
"""

from collections.abc import Iterable
from dataclasses import replace

from gossip.config import to_ns
from gossip.dissemination import Disseminator
from gossip.identity import INCARNATION_MAX, Endpoint, host_of
from gossip.kernel import Kernel, TimerKind
from gossip.messages import Alive, MemberState, NodeState
from gossip.outputs import NameConflict, Refuted

REFUTATIONS_BURST = 8
"""Refutations at once. An honest cluster accuses a node a few times before it hears of the refutation."""


class Refuter:
    """Keeps this node's own entry true in the eyes of others.

    Args:
        kernel: shared state.
        disseminator: spreads the announcements.
    """

    def __init__(self, kernel: Kernel, disseminator: Disseminator) -> None:
        self._kernel = kernel
        self._disseminator = disseminator
        self.is_leaving = False
        self._interval_ns = to_ns(kernel.config.probe_interval_s)
        self._tokens = REFUTATIONS_BURST
        self._token_ns = kernel.now_ns
        self._owed: int | None = None

    def announce(self) -> None:
        """Spreads this node's own entry."""
        self._disseminator.spread(self._kernel.local.announcement())

    def on_alive(self, claim: Alive) -> None:
        """Somebody announces this node: an echo of ourselves, of a former run, or another node of our name."""
        local = self._kernel.local
        endpoint = Endpoint(host_of(claim.address), claim.port)
        if self.is_leaving:
            return
        if endpoint != local.endpoint:
            self._on_name_conflict(endpoint)
        elif claim.incarnation > local.incarnation or (
            claim.incarnation == local.incarnation and (claim.meta, claim.versions) != (local.meta, local.versions)
        ):
            self.refute(claim.incarnation)

    def refute(self, incarnation: int) -> None:
        """Announces this node with an incarnation above that of the claim, which the caller found not to be older.

        Beyond one per probe interval, after a burst, a refutation waits for its turn and then answers all claims that
        came meanwhile: a flood of forged ones must not become a flood of announcements by the whole cluster.
        """
        if not self._take_token():
            self._owed = incarnation if self._owed is None else max(self._owed, incarnation)
            self._kernel.timers.arm((TimerKind.REFUTE, None), self._token_ns + self._interval_ns)
            return
        local = self._kernel.local
        raised = max(local.incarnation, incarnation) + 1
        if self.is_leaving or raised > INCARNATION_MAX:
            return
        self._kernel.members.put(replace(local, incarnation=raised))
        self._kernel.awareness.add(1)
        self.announce()
        self._kernel.emit(Refuted(raised))

    def on_turn(self) -> None:
        """The refutation that had to wait."""
        owed, self._owed = self._owed, None
        if owed is not None and owed >= self._kernel.local.incarnation:
            self.refute(owed)

    def _take_token(self) -> bool:
        gained = (self._kernel.now_ns - self._token_ns) // self._interval_ns
        self._token_ns += gained * self._interval_ns
        self._tokens = min(REFUTATIONS_BURST, self._tokens + gained)
        self._tokens -= 1 if (has_one := self._tokens > 0) else 0
        return has_one

    def on_table(self, states: Iterable[NodeState]) -> None:
        """Looks for a former run of ours that a peer suspects at another address: it still blocks the name."""
        for state in states:
            if state.node == self._kernel.name and state.state is MemberState.SUSPECT:
                endpoint = Endpoint(host_of(state.address), state.port)
                if endpoint != self._kernel.local.endpoint:
                    self._on_name_conflict(endpoint)

    def _on_name_conflict(self, other: Endpoint) -> None:
        """Our name at another address: a former run of ours, or another node.

        Whom the members probe holds the name, and is told of the other by them. For who comes second, a former run
        will be declared dead soon, and then whoever knows so has to hear of us: so we go on exchanging tables.
        """
        kernel = self._kernel
        home = kernel.local.endpoint
        if kernel.is_established:
            kernel.emit(NameConflict(kernel.name, home, other))
            return
        kernel.emit(NameConflict(kernel.name, other, home))
        if not kernel.timers.is_armed((TimerKind.CONFLICT, None)):
            due_ns = kernel.now_ns + 2 * to_ns(kernel.config.probe_interval_s)
            kernel.timers.arm((TimerKind.CONFLICT, None), due_ns)
