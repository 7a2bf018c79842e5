"""Each call gets exactly one outcome, and the outcome is true of the state.

Two linked nodes with the production cores, hosts that come, go, work and break, disks that lag, links that fall,
callers that give up. Every `add` adds an element that names its call, so the set says which calls were applied.
"""

import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.messages import CallFailure
from tests.unit.crdtmesh.runtime.mesh import ECHO, LIST, LIST_KEY, SHOP, Host, Node, Reply, deliver, link, unlink

NODES = st.sampled_from(["a", "b"])
HOSTS_MAX = 2


class Calls(RuleBasedStateMachine):
    """What callers are told, whatever happens."""

    def __init__(self) -> None:
        super().__init__()
        limits = {"mailbox_max": 4, "window_max": 3, "host_turns_max": 4, "peer_calls_max": 4}
        self.nodes = {name: Node(name, **limits) for name in ("a", "b")}
        for node in self.nodes.values():
            node.runtime.register(SHOP)
        self.connected: list[Host] = []
        self.is_linked = False
        # Element of the set -> the call that adds it.
        self.added: dict[str, tuple[Node, int]] = {}
        self.removed: set[str] = set()
        self.others: list[tuple[Node, int]] = []
        # A look at the list -> what it must see: what its node had acknowledged before it was asked.
        self.looks: dict[tuple[str, int], set[str]] = {}
        self.cancelled: set[tuple[str, int]] = set()

    @initialize(is_linked=st.booleans())
    def begin(self, is_linked: bool) -> None:
        for node in self.nodes.values():
            self.connected.append(node.connect())
        if is_linked:
            self.link_up()

    # --- callers

    @rule(name=NODES, count=st.integers(min_value=1, max_value=3), timeout_ms=st.sampled_from([0, 0, 40]))
    def add(self, name: str, count: int, timeout_ms: int) -> None:
        node = self.nodes[name]
        for _ in range(count):
            element = f"{name}{len(self.added)}"
            self.added[element] = (node, node.call(LIST, "add", element.encode(), timeout_ms=timeout_ms))

    @rule(name=NODES)
    def add_from_outside(self, name: str) -> None:
        node = self.nodes[name]
        element = f"{name}{len(self.added)}"
        self.added[element] = (node, node.update(LIST_KEY, "add", element))

    @rule(name=NODES, data=st.data())
    def remove(self, name: str, data: st.DataObject) -> None:
        if self.added:
            node = self.nodes[name]
            element = data.draw(st.sampled_from(sorted(self.added)))
            self.removed.add(element)
            self.others.append((node, node.call(LIST, "remove", element.encode())))

    @rule(name=NODES)
    def look(self, name: str) -> None:
        """A handler sees all that its node has acknowledged."""
        node = self.nodes[name]
        acknowledged = {
            element
            for element, (asked, call) in self.added.items()
            if asked is node and isinstance(node.outcome(call), Reply)
        }
        call = node.call(LIST, "echo")
        self.others.append((node, call))
        if any(host.node is node for host in self.connected):
            self.looks[name, call] = acknowledged

    @rule(name=NODES, action=st.sampled_from(["break", "fail", "get"]))
    def call(self, name: str, action: str) -> None:
        node = self.nodes[name]
        self.others.append((node, node.call(LIST, action)))

    @rule(name=NODES)
    def echo(self, name: str) -> None:
        node = self.nodes[name]
        self.others.append((node, node.call(ECHO, "echo")))

    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        waiting = [(node, call) for node, call in self.calls() if node.outcome(call) is None]
        if waiting:
            node, call = data.draw(st.sampled_from(waiting))
            node.cancel(call)
            self.cancelled.add((node.name, call))

    # --- hosts

    @rule(name=NODES, count=st.integers(min_value=1, max_value=4))
    def work(self, name: str, count: int) -> None:
        for host in self.connected:
            if host.node.name == name:
                host.run(count)

    @rule(name=NODES)
    def connect(self, name: str) -> None:
        node = self.nodes[name]
        if sum(host.node is node for host in self.connected) < HOSTS_MAX:
            self.connected.append(node.connect())

    @precondition(lambda self: self.connected)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        host = self.connected.pop(data.draw(st.integers(min_value=0, max_value=len(self.connected) - 1)))
        host.node.lose(host)
        # Its node's calls may now run at the peer, which hears of what was acknowledged here only by and by.
        for (name, call), _ in list(self.looks.items()):
            if name == host.node.name and host.node.outcome(call) is None:
                del self.looks[name, call]

    # --- the world

    @rule()
    def publish(self) -> None:
        """What the nodes offer becomes known; it may be out of date until then."""
        a, b = self.nodes.values()
        a.runtime.directory_changed({"b": b.runtime.offers()})
        b.runtime.directory_changed({"a": a.runtime.offers()})

    @precondition(lambda self: not self.is_linked)
    @rule()
    def link_up(self) -> None:
        link(*self.nodes.values())
        self.is_linked = True

    @precondition(lambda self: self.is_linked)
    @rule()
    def link_down(self) -> None:
        unlink(*self.nodes.values())
        self.is_linked = False

    @precondition(lambda self: self.is_linked)
    @rule()
    def exchange(self) -> None:
        deliver(*self.nodes.values())

    @rule(name=NODES, ms=st.sampled_from([30, 11_000]))
    def advance(self, name: str, ms: int) -> None:
        self.nodes[name].advance(ms)

    @rule(name=NODES, is_held=st.booleans())
    def disk(self, name: str, is_held: bool) -> None:
        node = self.nodes[name]
        node.is_disk_held = is_held
        if not is_held:
            node.sync()

    # --- what must hold

    def calls(self) -> list[tuple[Node, int]]:
        return [*self.added.values(), *self.others]

    @invariant()
    def no_call_has_two_outcomes_and_no_cancelled_one_has_any(self) -> None:
        for node, call in self.calls():
            outcome = node.outcome(call)
            if (node.name, call) in self.cancelled:
                assert outcome is None

    @invariant()
    def handlers_saw_what_was_acknowledged_and_nothing_undone(self) -> None:
        for (name, call), expected in self.looks.items():
            outcome = self.nodes[name].outcome(call)
            if isinstance(outcome, Reply):
                seen = set(json.loads(outcome.payload))
                assert expected - self.removed <= seen
                assert not seen & self._undone()

    def _undone(self) -> set[str]:
        return {
            element
            for element, (node, call) in self.added.items()
            if isinstance(outcome := node.outcome(call), CallFailure) and outcome.outcome is Outcome.NOT_APPLIED
        }

    def teardown(self) -> None:
        """Everything heals and comes to its end; then the books must balance."""
        nodes = list(self.nodes.values())
        for node in nodes:
            node.is_disk_held = False
            node.sync()
        if not self.is_linked:
            link(*nodes)
        for _ in range(6):
            for host in self.connected:
                host.run_all()
            deliver(*nodes)
        for node in nodes:
            node.advance(3_600_000)
        deliver(*nodes)
        for node, call in self.calls():
            if (node.name, call) not in self.cancelled:
                assert node.outcome(call) is not None, f"call {call} on {node.name} was lost"
        self._check_state(nodes)
        self._check_copies()
        for node in nodes:
            node.runtime.drain()
            assert node.runtime.is_drained

    def _check_state(self, nodes: list[Node]) -> None:
        for node in nodes:
            node.replica.tick(now_ns=node.now_ns, wall_ms=node.wall_ms)
        deliver(*nodes)
        values: list[Any] = [set(node.value(LIST_KEY) or ()) for node in nodes]
        assert values[0] == values[1]
        for element, (node, call) in self.added.items():
            outcome = node.outcome(call)
            if isinstance(outcome, Reply):
                assert element in values[0] | self.removed, f"{element} was acknowledged and is lost"
        assert not values[0] & self._undone()

    def _check_copies(self) -> None:
        """After one more turn the host that ran it has what the node has."""
        for name, node in self.nodes.items():
            if not any(host.node is node for host in self.connected):
                continue
            call = node.call(LIST, "echo")
            for host in self.connected:
                host.run_all()
            assert isinstance(node.outcome(call), Reply)
            expected = set(node.value(LIST_KEY) or ())
            copies = [host.copies.get(LIST) for host in self.connected if host.node is node]
            assert expected in copies, f"no host of {name} has {expected}: {copies}"


Calls.TestCase.settings = settings(max_examples=150, stateful_step_count=50)
TestCalls = Calls.TestCase


def test_every_code_says_whether_anything_was_applied() -> None:
    assert {"NOT_APPLIED", "UNKNOWN"} == {outcome.name for outcome in Outcome}
    assert list(range(1, 15)) == [code.value for code in ErrorCode]
