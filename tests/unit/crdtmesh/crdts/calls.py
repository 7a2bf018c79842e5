"""Replicas whose operations are written as calls, for cases that are told as little stories."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crdtmesh.crdts import Delta, Operation, ReplicaTable, State, registry
from crdtmesh.crdts.values import PlainValue

Act = Callable[..., Delta[Any]]


class Replica:
    """A state whose operations are written as calls; each gives its delta.

    Attributes:
        state: the state.
        now_ms: its wall clock.
    """

    def __init__(self, name: str, table: ReplicaTable, letter: str) -> None:
        self.state: State[Any] = State(registry.get(name), table, replica_id=letter.encode() * 16)
        self.now_ms = 1

    def __getattr__(self, operation: str) -> Act:
        def act(*arguments: PlainValue) -> Delta[Any]:
            delta = self.state.apply(Operation(operation, arguments), now_ms=self.now_ms)
            assert delta is not None
            return delta

        return act

    def is_without_effect(self, operation: str, *arguments: PlainValue) -> bool:
        """Carries out an operation; whether it was no event."""
        return self.state.apply(Operation(operation, arguments), now_ms=self.now_ms) is None

    def takes(self, *others: Replica | Delta[Any]) -> Replica:
        """Joins what others hold, or deltas."""
        for other in others:
            self.state.join(other.state if isinstance(other, Replica) else other)
        return self

    @property
    def value(self) -> Any:
        """What it reads as."""
        return self.state.value


def replicas(name: str, count: int = 2) -> list[Replica]:
    """Replicas of a new state of a type."""
    table = ReplicaTable()
    return [Replica(name, table, letter) for letter in "abcdef"[:count]]


def same_start(name: str, *acts: tuple[str, tuple[PlainValue, ...]], count: int = 2) -> list[Replica]:
    """Replicas that all have seen what the first one did."""
    made = replicas(name, count)
    for operation, arguments in acts:
        getattr(made[0], operation)(*arguments)
    for other in made[1:]:
        other.takes(made[0])
    return made


def meet(*those: Replica) -> Any:
    """Lets replicas take each other in; what they all read then."""
    for _ in those:
        for one in those:
            one.takes(*those)
    assert 1 == len({one.state.encode() for one in those})
    return those[0].value
