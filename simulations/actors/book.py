"""What was asked of actors, what ran, and where they were active: all that the checkers look at."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from crdtmesh.runtime.definition import ActorAddress
from simulations.history import History, Outcome


@dataclass(slots=True, kw_only=True)
class Ask:
    """One call of one client to an actor.

    Attributes:
        number: position in the book; what the handler writes into the state.
        node: which node was called.
        actor: as it was named.
        later_ms: how much later it is to be made; 0 for now.
        timeout_ms: when the client stops waiting.
        invoked_ns, completed_ns: when it was asked, and when the client knew the outcome.
        due_ms: wall-clock time of the called node from which on it is to be made; 0 for now.
        needed: voters that a majority was when the answer left.
        outcome: what the client knows.
        reason: the node's words for a failure.
    """

    number: int
    node: str
    actor: ActorAddress
    later_ms: int
    timeout_ms: int
    invoked_ns: int
    completed_ns: int = 0
    due_ms: int = 0
    needed: int = 1
    outcome: Outcome = Outcome.OPEN
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRun:
    """One run of the handler.

    Attributes:
        ask: number of the call.
        name: of the actor.
        node: where.
        began_ns: when.
        wall_ms: wall clock there.
        seen: numbers that the state held at the beginning.
    """

    ask: int
    name: str
    node: str
    began_ns: int
    wall_ms: int
    seen: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """One run of a timer's action."""

    name: str
    node: str
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """An actor was active at several nodes whose views of who offers it were equal, and had been for a while."""

    name: str
    nodes: tuple[str, ...]
    at_ns: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What one node holds of one actor at the end.

    Attributes:
        state: the numbers in the state, in order.
        aside: the numbers in values that lost.
    """

    state: tuple[int, ...]
    aside: frozenset[int]


@dataclass(slots=True)
class Book:
    """Everything recorded of actors in one run.

    Attributes:
        asks: in order of their start.
        runs: of handlers, in order of their start.
        beats: of timers.
        activations: when each began, by node and actor.
        overlaps: those that nothing explains.
        patience_ms: calls for later that were due by this wall-clock time have been waited for.
        overlapped_ns: how long some actor was active at several nodes, as looked at now and then.
    """

    asks: list[Ask] = field(default_factory=list)
    runs: list[TurnRun] = field(default_factory=list)
    beats: list[Beat] = field(default_factory=list)
    activations: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    overlaps: list[Overlap] = field(default_factory=list)
    patience_ms: int = 0
    overlapped_ns: int = 0

    def activated_ns(self, run: TurnRun) -> int:
        """When the activation began in which a handler ran."""
        begun = self.activations.get((run.node, run.name), ())
        return max((at_ns for at_ns in begun if at_ns <= run.began_ns), default=0)

    def runs_of(self) -> Mapping[int, list[TurnRun]]:
        """The runs of each call, by its number."""
        found: dict[int, list[TurnRun]] = {}
        for run in self.runs:
            found.setdefault(run.ask, []).append(run)
        return found

    def unmade(self, history: History, *, wall_ms: int) -> Iterable[Ask]:
        """Calls for later that were promised, whose time by true wall clock has come, and that have not run.

        A clock that was ahead when it took a call puts it off by as much.
        """
        made = {run.ask for run in self.runs}
        return (
            ask
            for ask in self.asks
            if ask.later_ms
            and ask.outcome is Outcome.OK
            and ask.due_ms <= wall_ms
            and ask.number not in made
            and not _lost(ask, history)
        )


def _lost(ask: Ask, history: History) -> bool:
    """Whether the disk that acknowledged it is gone."""
    return any(node == ask.node and ask.invoked_ns <= lost_ns for node, lost_ns in history.wipes)
