"""The lives of activations: which actors are in memory here, and what moves them, ends them or puts them out.

An activation begins with an actor's first call, or with its registration where it is wanted at once. It ends when it
was idle for its timeout, when its host is gone, when another node or another definition is to run it, when somebody
stops it, and when the node needs its room. Where a call goes is decided in `router`.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from heapq import heapify, heappop, heappush
from typing import Final

from crdtmesh.replication.errors import ReplicationError
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.runtime.activation import Activation, Happening, Phase
from crdtmesh.runtime.definition import ActorAddress, ActorDefinition, StateKind
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.hosts import Host
from crdtmesh.runtime.instances import Instances
from crdtmesh.runtime.opaque import NO_STATE
from crdtmesh.runtime.options import RuntimeOptions
from crdtmesh.runtime.placement import Placement
from crdtmesh.runtime.replies import Replies
from crdtmesh.runtime.turn import Turn, TurnPhase
from crdtmesh.runtime.turns import Turns

__all__ = ["Lives"]

# Activations checked against their owner in one loop turn. Checking one costs a hash for each node that offers it,
# about 1 µs each: 10 ms for a cluster of ten.
SLICE: Final = 1_000

# Activations looked at for one that is idle, when another one needs its room. They are looked at in the order of
# their idle deadlines, so with more than so many busy ones at the front the node is at its bound.
BUSY_MAX: Final = 64


class Lives:
    """The activations of one node.

    Attributes:
        activations: the actors in memory.
        by_key: those whose state is an entry, by the entry.
        on_activated: is told of each activation.
        place_again: takes calls whose place went away before they were handed out.
        put_out_early: activations that were put out of memory before their time, to make room.
    """

    __slots__ = (
        "_activation_count",
        "_activations_max",
        "_directory",
        "_hosts",
        "_idle",
        "_instances",
        "_placement",
        "_replies",
        "_suspects",
        "_turns",
        "activations",
        "by_key",
        "on_activated",
        "place_again",
        "put_out_early",
    )

    def __init__(
        self, options: RuntimeOptions, *, placement: Placement, replies: Replies, turns: Turns, instances: Instances
    ) -> None:
        self._activations_max = options.activations_max
        self._placement = placement
        self._replies = replies
        self._turns = turns
        self._instances = instances
        self._hosts = instances.hosts
        self._directory = instances.directory
        self._activation_count = 0
        # When each activation may be idle: one item for each, put back with its new time when it comes up too early.
        self._idle: list[tuple[int, int, Activation]] = []
        self._suspects: deque[Activation] = deque()
        self.activations: dict[ActorAddress, Activation] = {}
        self.by_key: dict[EntryKey, Activation] = {}
        self.on_activated: Callable[[ActorDefinition, int], None] = lambda definition, now_ns: None
        self.place_again: Callable[[Iterable[Turn], int], None] = lambda turns, now_ns: None
        self.put_out_early = 0

    # --- begin

    def activate(self, definition: ActorDefinition, host: Host, *, now_ns: int) -> Activation | None:
        """Brings an actor into memory; None when the node is at its bound and all that it holds is busy."""
        if len(self.activations) >= self._activations_max and not self.make_room(1, now_ns=now_ns):
            return None
        if definition.address.parent:
            self._remember(definition.address)
        activation = Activation(definition, host, now_ns=now_ns)
        activation.happen(Happening.BOUND)
        if not self._turns.own_work.load(activation, now_ns=now_ns):
            activation.happen(Happening.LOADED)
        self.activations[definition.address] = activation
        if activation.key is not None:
            self.by_key[activation.key] = activation
        host.activations[definition.address] = activation
        self._activation_count += 1
        heappush(self._idle, (activation.idle_deadline_ns, self._activation_count, activation))
        self.on_activated(definition, now_ns)
        if definition.init_action is not None:
            turn = self._turns.internal(definition, definition.init_action, NO_STATE, now_ns=now_ns)
            self._turns.offer(activation, turn, now_ns=now_ns)
        return activation

    def activate_eagerly(self, definition: ActorDefinition, *, now_ns: int) -> None:
        """Activates an actor that wants it at its registration, where it is this node's to run."""
        address = definition.address
        is_wanted = definition.is_eager and definition.is_stateful and not definition.is_template
        if not is_wanted or address in self.activations:
            return
        is_ours = definition.state is StateKind.MERGED or self._placement.owns(address, self._directory.nodes(address))
        host = self._hosts.choose(address)
        if is_ours and host is not None:
            self.activate(host.definition(address), host, now_ns=now_ns)

    def _remember(self, instance: ActorAddress) -> None:
        """An instance was called with its parent, which later calls may leave out."""
        try:
            self._instances.remember(instance, wall_ms=self._turns.wall_ms)
        except ReplicationError:
            # A node that is read-only says so in the reply to the call itself.
            return

    def loaded(self, activation: Activation, problem: tuple[ErrorCode, str] | None, *, now_ns: int) -> None:
        """The state of an activation is there; or it can't be had, and those who wait are told why."""
        if activation.phase is not Phase.LOADING:
            return
        if problem is None:
            activation.happen(Happening.LOADED)
            self._turns.pump(activation, now_ns=now_ns)
            self.settle_drained(now_ns=now_ns)
            return
        activation.happen(Happening.LOAD_FAILED)
        for turn in list(activation.mailbox):
            self._replies.fail(turn, problem[0], Outcome.NOT_APPLIED, problem[1])
        self._put_out(activation)

    # --- move

    def redefine(self, definition: ActorDefinition, *, now_ns: int) -> None:
        """An actor was registered again: a running activation of another definition ends its turns and moves."""
        if definition.is_template:
            parent = (definition.address.system, definition.address.name)
            for address, activation in list(self.activations.items()):
                if (address.system, address.parent) == parent:
                    self._redefine(activation, replace(definition, address=address), now_ns)
        same = self.activations.get(definition.address)
        if same is not None:
            self._redefine(same, definition, now_ns)

    def _redefine(self, activation: Activation, definition: ActorDefinition, now_ns: int) -> None:
        if activation.definition != definition:
            self._move(activation, now_ns)

    def _move(self, activation: Activation, now_ns: int) -> None:
        """Ends an activation behind its turns in flight; what waits for it is placed again."""
        activation.happen(Happening.REDEFINED)
        if not activation.in_flight:
            self._turns.drained.append(activation)
            self.settle_drained(now_ns=now_ns)

    def owners_changed(self) -> None:
        """Other nodes offer actors than before: activations that may exist once only are checked, in slices."""
        self._suspects = deque(
            activation
            for activation in self.activations.values()
            if activation.definition.state is not StateKind.MERGED
        )

    def move(self, *, now_ns: int) -> None:
        """Moves activations that have another owner now."""
        suspects = self._suspects
        for _ in range(min(SLICE, len(suspects))):
            activation = suspects.popleft()
            address = activation.definition.address
            is_here = activation.phase in {Phase.ACTIVE, Phase.LOADING}
            if is_here and not self._placement.owns(address, self._directory.nodes(address)):
                self._move(activation, now_ns)

    def settle_drained(self, *, now_ns: int) -> None:
        """Ends activations whose last turn in flight was answered, and places what waited for them."""
        drained = self._turns.drained
        while drained:
            activation = drained.pop()
            if activation.phase is Phase.DRAINING and not activation.in_flight:
                waiting = list(activation.mailbox)
                activation.happen(Happening.DRAINED)
                self._put_out(activation)
                self.place_again(waiting, now_ns)

    # --- end

    def host_lost(self, host: Host, *, now_ns: int) -> None:
        """A host is gone: what it had is `host_lost`, what waited for it is placed again."""
        waiting: list[Turn] = []
        for activation in list(host.activations.values()):
            for turn in activation.in_flight:
                if turn.phase is TurnPhase.RIDING:
                    waiting.append(turn)
                else:
                    message = f"the host of actor {activation.definition.address} went away during the call"
                    self._replies.fail(turn, ErrorCode.HOST_LOST, Outcome.UNKNOWN, message)
            waiting.extend(activation.mailbox)
            activation.happen(Happening.HOST_LOST)
            self._put_out(activation)
        self._turns.drop(host)
        self.place_again(waiting, now_ns)

    def _put_out(self, activation: Activation) -> None:
        """Takes an activation out of memory; nothing of it is in flight any more."""
        address, host = activation.definition.address, activation.host
        activation.mailbox.clear()
        activation.in_flight.clear()
        self._turns.close_view(activation)
        del self.activations[address]
        if activation.key is not None:
            del self.by_key[activation.key]
        del host.activations[address]
        self._turns.columns(host).released.append(address)

    def put_out_idle(self, address: ActorAddress) -> bool:
        """Takes an activation out of memory now, unless it has something to do; whether it did."""
        activation = self.activations.get(address)
        if activation is None or activation.phase is not Phase.ACTIVE or not activation.is_idle:
            return False
        activation.happen(Happening.IDLE)
        self._put_out(activation)
        return True

    def make_room(self, wanted: int, *, now_ns: int) -> int:
        """Puts idle activations out of memory before their time, those first that would be put out first anyway.

        Args:
            wanted: how many.
            now_ns: monotonic time.

        Returns:
            How many were put out; fewer where too many at the front are busy.

        Complexity: O(log n) for each that is looked at.
        """
        idle = self._idle
        busy: list[tuple[int, int, Activation]] = []
        made = 0
        while made < wanted and idle and len(busy) < BUSY_MAX:
            deadline_ns, order, activation = heappop(idle)
            if activation.phase is Phase.COLD:
                continue
            if activation.idle_deadline_ns > deadline_ns:
                # It was used since: its place in the order is another one.
                heappush(idle, (activation.idle_deadline_ns, order, activation))
            elif self.put_out_idle(activation.definition.address):
                made += 1
            else:
                later_ns = max(deadline_ns, now_ns + activation.definition.idle_timeout_ns // 2)
                busy.append((later_ns, order, activation))
        for item in busy:
            heappush(idle, item)
        self.put_out_early += made
        return made

    def passivate(self, *, now_ns: int) -> None:
        """Puts activations out of memory that were idle for their timeout. Complexity: O(log n) for each due."""
        idle = self._idle
        while idle and idle[0][0] <= now_ns:
            _, order, activation = heappop(idle)
            if activation.phase is Phase.COLD:
                continue
            if activation.idle_deadline_ns <= now_ns and self.put_out_idle(activation.definition.address):
                continue
            # Busy for longer than its timeout: look again after half of it.
            later_ns = max(activation.idle_deadline_ns, now_ns + activation.definition.idle_timeout_ns // 2)
            heappush(idle, (later_ns, order, activation))
        if len(idle) > 2 * len(self.activations) + 1_024:
            idle[:] = [item for item in idle if item[2].phase is not Phase.COLD]
            heapify(idle)

    def next_deadline_ns(self) -> int | None:
        """When `passivate` or `move` has something to do; may be early."""
        if self._suspects:
            return 0
        return self._idle[0][0] if self._idle else None
