"""Spreading news: the gossip rhythm, whole-table exchanges, and attempts to reach the lost.

Source: SWIM (Das, Gupta, Motivala 2002), section 4.1; memberlist for the rhythm, the push/pull period and gossip to
the dead; Serf for reconnecting.
"""

from collections.abc import Callable

from gossip.broadcasts import Ticket
from gossip.codec import encode
from gossip.config import to_ns
from gossip.identity import Endpoint, NodeName
from gossip.kernel import Kernel, TimerKind
from gossip.members import Member
from gossip.messages import Alive, Dead, MemberState, Suspect


class Disseminator:
    """Sends queued updates to random members while there are any.

    Args:
        kernel: shared state.
        finished: called after a gossip tick with the tickets of updates that were sent often enough.
    """

    def __init__(self, kernel: Kernel, *, finished: Callable[[list[Ticket]], None]) -> None:
        self._kernel = kernel
        self._finished = finished
        self._interval_ns = to_ns(kernel.config.gossip_interval_s)
        self._phase_ns = kernel.now_ns + kernel.rng.randrange(self._interval_ns)
        self._to_the_dead_ns = to_ns(kernel.config.gossip_to_the_dead_s)

    def spread(self, claim: Alive | Suspect | Dead) -> Ticket:
        """Queues a claim; it replaces the one about the same node that is queued."""
        self.wake()
        return self._kernel.updates.put(encode(claim), key=claim.node)

    def wake(self) -> None:
        """Arms the rhythm; it sleeps while there is nothing to say."""
        kernel = self._kernel
        if not kernel.timers.is_armed((TimerKind.GOSSIP, None)):
            ticks = max(0, (kernel.now_ns - self._phase_ns) // self._interval_ns + 1)
            kernel.timers.arm((TimerKind.GOSSIP, None), self._phase_ns + ticks * self._interval_ns)

    def on_gossip(self) -> None:
        """One tick: a packet of updates to each of a few random members."""
        kernel = self._kernel
        for member in kernel.members.sample(kernel.config.gossip_nodes, self._wants_news):
            if not kernel.send_updates(member):
                break
        if (kernel.updates or kernel.user_messages) and len(kernel.members) > 1:
            self.wake()
        kernel.user_messages.take_finished()
        self._finished(kernel.updates.take_finished())

    def _wants_news(self, member: Member) -> bool:
        """Others that are present, and those declared dead lately, so that they can refute if that was wrong."""
        if member.state is MemberState.DEAD:
            return self._kernel.now_ns - member.changed_ns < self._to_the_dead_ns
        return member.state is not MemberState.LEFT and member.name != self._kernel.name


class Synchronizer:
    """Exchanges whole tables: with a random member now and then, and with failed ones, which may be a lost half.

    Args:
        kernel: shared state.
        exchange: starts an exchange with an endpoint.
    """

    def __init__(self, kernel: Kernel, *, exchange: Callable[[Endpoint], None]) -> None:
        self._kernel = kernel
        self._exchange = exchange
        self._lost: dict[NodeName, tuple[Endpoint, int]] = {}
        self._interval_ns = to_ns(kernel.config.push_pull_interval_s)
        self._reconnect_ns = to_ns(kernel.config.reconnect_interval_s)
        if self._interval_ns:
            due_ns = kernel.now_ns + kernel.rng.randrange(self._interval_ns)
            kernel.timers.arm((TimerKind.PUSH_PULL, None), due_ns)

    def on_period(self) -> None:
        """The periodic exchange; rarer in a large cluster, where each one is larger."""
        kernel = self._kernel
        self.with_anyone()
        interval_ns = self._interval_ns * push_pull_scale(len(kernel.members))
        kernel.timers.arm((TimerKind.PUSH_PULL, None), kernel.now_ns + interval_ns)

    def with_anyone(self) -> None:
        """An exchange with one random member that is alive."""
        for member in self._kernel.members.sample(1, self._kernel.is_other_alive):
            self._exchange(member.endpoint)

    def remember(self, member: Member) -> None:
        """A member failed: try it again from time to time, longer than the table remembers it."""
        kernel = self._kernel
        if not self._reconnect_ns:
            return
        if len(self._lost) >= kernel.config.members_max:
            self._lost.pop(next(iter(self._lost)))
        self._lost[member.name] = (member.endpoint, kernel.now_ns)
        if not kernel.timers.is_armed((TimerKind.RECONNECT, None)):
            kernel.timers.arm((TimerKind.RECONNECT, None), kernel.now_ns + self._reconnect_ns)

    def forget(self, name: NodeName) -> None:
        """A member is back, or left by itself."""
        self._lost.pop(name, None)

    def on_reconnect(self) -> None:
        """Tries one failed member.

        With many alive members each one tries more rarely, so the failed are tried at one rate whatever the size.
        """
        kernel = self._kernel
        expired_ns = kernel.now_ns - to_ns(kernel.config.reconnect_timeout_s)
        self._lost = {name: lost for name, lost in self._lost.items() if lost[1] > expired_ns}
        if not self._lost:
            return
        kernel.timers.arm((TimerKind.RECONNECT, None), kernel.now_ns + self._reconnect_ns)
        alive = sum(kernel.is_other_alive(member) for member in kernel.members)
        if kernel.rng.random() * alive < len(self._lost):
            self._exchange(self._lost[kernel.rng.choice(list(self._lost))][0])


def push_pull_scale(members: int) -> int:
    """How many times longer the push/pull interval is in a large cluster: x1 up to 32 members, then +1 per doubling.

    Source: memberlist.
    """
    return 1 if members <= 32 else (members - 1).bit_length() - 4
