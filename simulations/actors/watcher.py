"""Looks at where actors are active, a few times a second of virtual time.

Two nodes may have an activation of one actor while they see different offers of it. As soon as they have seen the same
for a moment, one of them must have given it up, or be about to: its turns in flight end first.
"""

from collections.abc import Mapping
from typing import Final

from crdtmesh.runtime.activation import Phase
from crdtmesh.runtime.definition import ActorAddress, StateKind
from crdtmesh.runtime.runtime import Runtime
from simulations.actors.book import Book, Overlap
from simulations.actors.desk import Nodes
from simulations.history import History
from simulations.node import SimulatedNode
from simulations.scheduler import MILLISECOND_NS, SECOND_NS, Scheduler

LOOK_NS: Final = 200 * MILLISECOND_NS

# A view that changed wakes the engine at once; a loop that lags takes a few turns of its own.
GRACE_NS: Final = 2 * SECOND_NS

View = tuple[str, ...]


class Watcher:
    """Watches the activations of one run."""

    def __init__(self, mesh: Nodes, *, scheduler: Scheduler, book: Book, history: History) -> None:
        self._mesh = mesh
        self._scheduler = scheduler
        self._book = book
        self._history = history
        # Since when the nodes that have an actor active see the same, by actor and those nodes.
        self._equal_since: dict[tuple[str, tuple[str, ...]], tuple[View, int]] = {}
        scheduler.after(LOOK_NS, self._look)

    def _look(self) -> None:
        found: dict[ActorAddress, dict[str, View]] = {}
        for name, node in self._mesh.nodes.items():
            for address, view in active(node):
                found.setdefault(address, {})[name] = view
        still: dict[tuple[str, tuple[str, ...]], tuple[View, int]] = {}
        for address, views in found.items():
            if len(views) > 1:
                self._book.overlapped_ns += LOOK_NS
                self._judge(address.name, views, still)
        self._equal_since = still
        self._scheduler.after(LOOK_NS, self._look)

    def _judge(
        self, name: str, views: Mapping[str, View], still: dict[tuple[str, tuple[str, ...]], tuple[View, int]]
    ) -> None:
        first, *others = views.values()
        if any(other != first for other in others):
            return
        nodes, now_ns = tuple(views), self._scheduler.now_ns
        known = self._equal_since.get((name, nodes))
        since_ns = known[1] if known is not None and known[0] == first else now_ns
        still[name, nodes] = (first, since_ns)
        held_up_ns = sum(self._history.held_up_ns(node, since_ns, now_ns) for node in nodes)
        if now_ns - since_ns > GRACE_NS + held_up_ns:
            self._book.overlaps.append(Overlap(name=name, nodes=nodes, at_ns=now_ns))


def active(node: SimulatedNode) -> list[tuple[ActorAddress, View]]:
    """The actors that may be active once only and are active at a node, and who offers each as that node sees it."""
    runtime = runtime_of(node)
    if runtime is None:
        return []
    # Private, since production has no use for it: a core that told what it promises would prove nothing.
    hosts, directory = runtime._hosts, runtime._directory
    found = []
    for address, activation in runtime._lives.activations.items():
        definition = activation.definition
        if definition.state is not StateKind.OPAQUE or definition.is_available or activation.phase is Phase.DRAINING:
            continue
        own = (node.name,) if hosts.has_host(address) else ()
        found.append((address, tuple(sorted((*directory.nodes(address), *own)))))
    return found


def runtime_of(node: SimulatedNode) -> Runtime | None:
    """The runtime of a node that has come so far."""
    return node.engine.runtime if node.is_ready else None
