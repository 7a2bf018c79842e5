"""Judges a real mesh by the simulator's checkers: which calls took effect is concluded from what nodes hold in the end.

A real node does not tell which event a call made, so each call has a made-up one, and a node counts as having applied
it by its witness: an element that nobody else adds is there, or was removed again; a removed one is not there.
A call saw what its node had acknowledged before it was made. That is less than it really saw, which only makes a
register's specification accept more; for sets it is all that matters, since only acknowledged elements are removed.

What can't be concluded: an element that was lost and also removed counts as removed; that a set took an element twice
is not seen (counters tell); an overwritten text counts as applied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue
from crdtmesh.replication.outputs import EntryKey
from simulations import checkers
from simulations.history import Applied, Call, FinalState, History, Outcome, including


@dataclass(frozen=True, slots=True)
class Holding:
    """What one node holds of a system in the end."""

    node: str
    digest: str
    values: Mapping[EntryKey, PlainValue]
    queued_bytes: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """What checkers found.

    Attributes:
        lost: acknowledged updates that a node lacks, and sums below what was acknowledged.
        broken: all broken promises, those included.
    """

    lost: int
    broken: tuple[str, ...]


LOSSES: Final = ("no_lost_update", "counter_exact")


def judge(history: History, holdings: Sequence[Holding]) -> Judgement:
    """What the simulator's checkers say of a history and the state of all nodes after it."""
    witnessed = History(calls=[call for call in history.calls if call.event is not None])
    _note_what_was_seen(witnessed.calls)
    finals = [_final(witnessed, holding) for holding in holdings]
    for call in witnessed.calls:
        call.times_applied = int(any(_left_a_trace(call, holding) for holding in holdings))
    found = {
        checker.__name__: checker(of, finals)
        for checker, of in (
            (checkers.convergence, history),
            (checkers.no_lost_update, witnessed),
            (checkers.all_or_nothing, witnessed),
            (checkers.applied_once, witnessed),
            (checkers.counter_exact, history),
            (checkers.meaning, witnessed),
            (checkers.session_order, history),
            (checkers.answered, history),
            (checkers.nothing_queued, history),
        )
    }
    broken = tuple(f"{name}: {text}" for name, texts in found.items() for text in texts)
    return Judgement(sum(len(found[name]) for name in LOSSES), broken)


def not_held_up(history: History, unharmed: Sequence[str]) -> list[str]:
    """Level `local` waits for nobody: a node that nothing was done to answers every call of it in any weather."""
    return [
        f"progress: call {call.number} to {call.node} was {call.outcome}: {call.reason}"
        for call in history.calls
        if call.level == "local" and call.node in unharmed and call.outcome is not Outcome.OK
    ]


def _note_what_was_seen(calls: Sequence[Call]) -> None:
    for call in calls:
        for other in calls:
            is_before = other.outcome is Outcome.OK and other.completed_ns <= call.invoked_ns
            if is_before and other.node == call.node and other.key == call.key and other.event is not None:
                call.visible = including(call.visible, other.event)


def _final(history: History, holding: Holding) -> FinalState:
    removed = {
        (call.key, operation.arguments[0])
        for call in history.calls
        if call.outcome is not Outcome.FAILED
        for operation in call.operations
        if operation.name == "remove"
    }
    applied: Applied = {}
    for call in history.calls:
        assert call.event is not None
        for index, operation in enumerate(call.operations):
            if _is_applied(call, operation, holding, removed):
                number = call.event.first + index
                applied = including(applied, call.event._replace(first=number, last=number))
    return FinalState(holding.node, bytes.fromhex(holding.digest), holding.values, applied, holding.queued_bytes)


def _is_applied(call: Call, operation: Operation, holding: Holding, removed: set[tuple[EntryKey, PlainValue]]) -> bool:
    argument = operation.arguments[0]
    held = holding.values.get(call.key)
    if operation.name == "set":
        return call.outcome is Outcome.OK or held == argument
    is_there = isinstance(held, list | tuple) and argument in held
    if operation.name == "remove":
        return not is_there
    return is_there or (call.key, argument) in removed


def _left_a_trace(call: Call, holding: Holding) -> bool:
    """Whether something is there that only this call can have written."""
    held = holding.values.get(call.key)
    written = [operation.arguments[0] for operation in call.operations if operation.name in {"add", "set"}]
    return any(argument == held or (isinstance(held, list | tuple) and argument in held) for argument in written)
