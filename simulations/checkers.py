"""The promises, as pure functions of a history and the final states.

Each returns a list of sentences, empty when the promise was kept. They know nothing of how replication works: expected
values follow from what clients asked for, what they were told, and which events each call could see. Outcome `unknown`
is allowed both ways.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue, encode
from crdtmesh.replication.outputs import EntryKey
from gossip.messages import MemberState
from simulations.history import Call, FinalState, History, Outcome, holds, touches
from simulations.workload import COUNTER, REGISTER, SET, is_up_counter

Checker = Callable[[History, Sequence[FinalState]], list[str]]


def convergence(history: History, finals: Sequence[FinalState]) -> list[str]:
    """After heal and quiet all nodes hold equal bytes, and read equal values."""
    del history
    failures = []
    first = finals[0]
    for other in finals[1:]:
        if first.digest != other.digest:
            failures.append(f"{first.node} and {other.node} hold different bytes: {_difference(first, other)}")
        elif first.values != other.values:
            failures.append(f"{first.node} and {other.node} have equal digests, unequal values")
    return failures


def no_lost_update(history: History, finals: Sequence[FinalState]) -> list[str]:
    """Every event that a node with a surviving disk acknowledged is applied on every node."""
    return [
        f"call {call.number} was acknowledged by {call.node} and is missing on {final.node}: {_shown(call)}"
        for call in history.calls
        if call.event is not None and history.promised(call)
        for final in finals
        if not holds(final.applied, call.event)
    ]


def all_or_nothing(history: History, finals: Sequence[FinalState]) -> list[str]:
    """No event is applied in part."""
    return [
        f"call {call.number} is applied in part on {final.node}: {_shown(call)}"
        for call in history.calls
        if call.event is not None
        for final in finals
        if touches(final.applied, call.event) and not holds(final.applied, call.event)
    ]


def counter_exact(history: History, finals: Sequence[FinalState]) -> list[str]:
    """Acknowledged <= value <= acknowledged + unknown, for amounts of either sign; and exactly the applied events."""
    failures = []
    for key, calls in _updates(history, COUNTER):
        low = high = 0
        for call in calls:
            amount = amount_of(call)
            if history.promised(call):
                low += amount
                high += amount
            elif call.outcome is not Outcome.FAILED:
                low += min(0, amount)
                high += max(0, amount)
        for final in finals:
            value = final.values.get(key, 0)
            applied = sum(amount_of(call) for call in calls if call.event and holds(final.applied, call.event))
            if not isinstance(value, int) or not low <= value <= high:
                failures.append(f"{key.key} on {final.node} is {value!r}, not within {low}..{high}")
            elif value != applied and not history.wipes:
                # With a lost disk an event may be gone whose amount lives on in a later sum of the same replica.
                failures.append(f"{key.key} on {final.node} is {value!r}, its applied events make {applied}")
    return failures


def add_wins(history: History, finals: Sequence[FinalState]) -> list[str]:
    """An element is in a set if and only if among the latest applied operations on it there is an add.

    *Latest* are those that no other one on the same element has seen. So there is no lost add, no resurrection, and no
    element that nobody added. An add counts as a successor of the adds that it saw, like a removal: events may arrive
    out of order, so a removal that saw only the newest of several adds removes the older ones with it.
    """
    failures = []
    for key, calls in _updates(history, SET):
        for final in finals:
            expected = _expected_elements(history, final, calls)
            value = final.values.get(key, ())
            found = {encode(element): element for element in value} if isinstance(value, list | tuple) else {}
            lost = [expected[data] for data in sorted(expected.keys() - found.keys())]
            extra = [found[data] for data in sorted(found.keys() - expected.keys())]
            if lost or extra:
                failures.append(f"{key.key} on {final.node} lacks {lost!r} and has {extra!r} too much")
    return failures


def last_writer_wins(history: History, finals: Sequence[FinalState]) -> list[str]:
    """A register holds a value that somebody wrote, and that no applied write has seen and overwritten."""
    failures = []
    for key, calls in _updates(history, REGISTER):
        for final in finals:
            writes = [call for call in calls if call.event is not None and holds(final.applied, call.event)]
            allowed = [
                call.operations[0].arguments[0]
                for call in writes
                if call.operations[0].name == "set" and not any(_saw(other, call) for other in writes)
            ]
            value = final.values.get(key)
            if value not in allowed and (allowed or value is not None):
                failures.append(f"{key.key} on {final.node} is {value!r}, expected one of {allowed!r}")
    return failures


def session_order(history: History, finals: Sequence[FinalState]) -> list[str]:
    """On one node a counter that only grows is never read lower than before, nor without acknowledged own updates.

    Across restarts too: what was shown to somebody waited for the disk.
    """
    del finals
    failures = []
    by_node: dict[tuple[str, EntryKey], list[Call]] = defaultdict(list)
    for call in history.calls:
        if call.outcome is Outcome.OK and is_up_counter(call.key):
            by_node[call.node, call.key].append(call)
    for (node, key), calls in sorted(by_node.items()):
        for read in calls:
            if read.is_update:
                continue
            before = [
                call
                for call in calls
                if call.completed_ns <= read.invoked_ns
                and not history.wipes_between(node, call.invoked_ns, read.invoked_ns)
            ]
            acknowledged = sum(amount_of(call) for call in before if call.is_update)
            shown = max((int(str(call.value or 0)) for call in before if not call.is_update), default=0)
            value = int(str(read.value or 0))
            if value < max(acknowledged, shown):
                failures.append(
                    f"read {read.number} of {key.key} on {node} got {value}, "
                    f"{shown} was shown and {acknowledged} acknowledged there before"
                )
    return failures


def answered(history: History, finals: Sequence[FinalState]) -> list[str]:
    """Every call ends: level `local` never blocks on other nodes."""
    del finals
    return [
        f"call {call.number} on {call.node} was never answered: {_shown(call)}"
        for call in history.calls
        if call.outcome is Outcome.OPEN
    ]


CHECKERS: Final[tuple[Checker, ...]] = (
    no_lost_update,
    all_or_nothing,
    counter_exact,
    add_wins,
    last_writer_wins,
    session_order,
    answered,
)
"""All but `convergence`, which compares the nodes; these judge each node by itself."""


def check_all(history: History, finals: Sequence[FinalState]) -> list[str]:
    """The broken promises of a run, each with the name of its checker."""
    failures = [f"convergence: {failure}" for failure in convergence(history, finals)]
    # Nodes that hold the same need to be judged once: after a good run that is one of them.
    distinct: list[FinalState] = []
    for final in finals:
        if not any(final.applied == other.applied and final.values == other.values for other in distinct):
            distinct.append(final)
    return failures + [
        f"{checker.__name__}: {failure}" for checker in CHECKERS for failure in checker(history, distinct)
    ]


def amount_of(call: Call) -> int:
    """What an update adds to its counter."""
    return sum(_amount(operation) for operation in call.operations)


# --- inside


def _amount(operation: Operation) -> int:
    amount = operation.arguments[0] if operation.arguments else 1
    assert isinstance(amount, int)
    return -amount if operation.name == "decrement" else amount


def _updates(history: History, type_name: str) -> Iterator[tuple[EntryKey, list[Call]]]:
    """The update calls of each entry of a type, in order of the keys; failed ones left out."""
    by_key: dict[EntryKey, list[Call]] = defaultdict(list)
    for call in history.calls:
        if call.is_update and call.key.type_name == type_name and call.outcome is not Outcome.FAILED:
            by_key[call.key].append(call)
    yield from sorted(by_key.items())


def _saw(later: Call, earlier: Call) -> bool:
    """Whether an update was computed on a state that held another one."""
    return earlier.event is not None and holds(later.visible, earlier.event)


def _expected_elements(history: History, final: FinalState, calls: Iterable[Call]) -> dict[bytes, PlainValue]:
    """The elements of a set by its definition, from the events applied at one node."""
    adds: dict[bytes, list[Call]] = defaultdict(list)
    others: dict[bytes | None, list[Call]] = defaultdict(list)
    elements: dict[bytes, PlainValue] = {}
    for call in calls:
        # A removal that found nothing takes no event. It still promises that what it saw is gone.
        if not (history.promised(call) if call.event is None else holds(final.applied, call.event)):
            continue
        for operation in call.operations:
            element = operation.arguments[0] if operation.arguments else None
            data = encode(element) if operation.arguments else None
            others[data].append(call)
            if data is not None and operation.name == "add":
                adds[data].append(call)
                elements[data] = element
    clears = others[None]
    return {
        data: elements[data]
        for data, added in adds.items()
        if any(not any(_saw(other, add) for other in (*others[data], *clears)) for add in added)
    }


def _difference(first: FinalState, second: FinalState) -> str:
    keys = sorted(first.values.keys() | second.values.keys())
    differing = [key for key in keys if first.values.get(key) != second.values.get(key)]
    shown = "; ".join(f"{key.key} {first.values.get(key)!r} / {second.values.get(key)!r}" for key in differing[:3])
    return shown or "values are equal"


def _shown(call: Call) -> str:
    operations = ", ".join(f"{operation.name}{operation.arguments!r}" for operation in call.operations)
    return f"{call.key.key} {operations or 'read'}"[:120]


def unexpected_members(tables: Mapping[str, Mapping[str, MemberState]], *, running: Iterable[str]) -> list[str]:
    """Where membership is not complete: every running node is alive at every running node, everybody else is gone.

    A suspect is neither: doubt must end, one way or the other.

    Args:
        tables: by running node, what it believes of each member.
        running: names of the nodes that run.
    """
    expected = sorted(running)
    failures = []
    for node, table in sorted(tables.items()):
        doubted = [name for name in expected if table.get(name) is not MemberState.ALIVE]
        present = (MemberState.ALIVE, MemberState.SUSPECT)
        ghosts = sorted(name for name, state in table.items() if name not in expected and state in present)
        if doubted or ghosts:
            failures.append(f"{node} doubts {doubted}, which run, and believes in {ghosts}, which do not")
    return failures
