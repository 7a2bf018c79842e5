"""What clients do. Each has one call at a time, and all that it asks and is told is recorded.

Few keys and few elements, so that calls meet. A batch is one update of several operations, which take effect together
or not at all. A call goes to an actor or directly to the state under it.
"""

import random
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue
from crdtmesh.replication.outputs import EntryKey
from simulations.history import Call, History, Route
from simulations.mixes import BATCHED, LOOKALIKES, MIXES, Drawing
from simulations.plan import BRIEF_PREFIX, WorkloadPlan
from simulations.scheduler import SECOND_NS, Scheduler

SYSTEM: Final = "shop"
COUNTER: Final = "PNCounter"

BATCH_MAX: Final = 4

UP_PREFIX: Final = "up-"
"""Names of counters that are only ever incremented; these are read, since what a reader may see of them is known."""

EXPIRING_PREFIX: Final = "expiring-"
"""Names of sets whose updates say how long they live: for a moment, or for longer than any clock errs."""

EXPIRING_KEYS: Final = 32
"""Many, so that some of them are never told to live long."""

TTL_SHORT_MS_MAX: Final = 3_000
TTL_LONG_MS: Final = 100 * 86_400_000

LEVELS: Final = ("majority", "majority", "to(2)", "all")

TIMEOUT_NS_MIN: Final = 2 * SECOND_NS
TIMEOUT_NS_MAX: Final = 20 * SECOND_NS

Done = Callable[[Call], None]


def is_up_counter(key: EntryKey) -> bool:
    """Whether an entry is a counter that is only ever incremented."""
    return key.type_name == COUNTER and key.key.startswith(UP_PREFIX)


def is_expiring(key: EntryKey) -> bool:
    """Whether an entry is a set whose updates say how long it lives."""
    return key.key.startswith(EXPIRING_PREFIX)


def has_actor(key: EntryKey) -> bool:
    """Whether an entry is the state of an actor too."""
    return not (is_expiring(key) or is_brief(key))


def is_brief(key: EntryKey) -> bool:
    """Whether an entry is a set whose updates do not wait for the disk."""
    return key.key.startswith(BRIEF_PREFIX)


def actors_of(plan: WorkloadPlan) -> dict[str, str]:
    """The actors that hosts offer: one for each entry, name to data type."""
    names = {f"{name}-{index}": name for name, _ in plan.mix for index in range(plan.keys)}
    return names | {f"{UP_PREFIX}{index}": COUNTER for index in range(plan.keys)}


class Target(Protocol):
    """The mesh, as a client sees it."""

    @property
    def names(self) -> Sequence[str]:
        """Of all nodes, up or down."""
        ...

    def submit(self, call: Call, done: Done) -> None:
        """Hands a call to its node. `done` is called once, with the outcome filled in."""
        ...


class Client:
    """One recorded client."""

    def __init__(
        self,
        number: int,
        plan: WorkloadPlan,
        *,
        rng: random.Random,
        scheduler: Scheduler,
        target: Target,
        history: History,
    ) -> None:
        self._number = number
        self._plan = plan
        self._rng = rng
        self._scheduler = scheduler
        self._target = target
        self._history = history
        self._node = rng.choice(target.names)
        self._is_stopped = False
        self._elements: tuple[PlainValue, ...] = (*LOOKALIKES, *(f"e{index}" for index in range(plan.elements)))
        self._kinds = ["up", "read", *(name for name, _ in plan.mix), "expiring", "brief"]
        self._weights = [plan.up_counter, plan.read, *(weight for _, weight in plan.mix), plan.expiring, plan.brief]

    def start(self) -> None:
        """Begins to call."""
        self._think()

    def stop(self) -> None:
        """Begins no new call."""
        self._is_stopped = True

    def _think(self, _call: Call | None = None) -> None:
        self._scheduler.after(int(self._rng.expovariate(1 / self._plan.think_ns_mean)), self._call)

    def _call(self) -> None:
        if self._is_stopped:
            return
        rng = self._rng
        if rng.random() >= self._plan.stickiness:
            self._node = rng.choice(self._target.names)
        key, operations = self._draw()
        call = Call(
            number=len(self._history.calls),
            client=self._number,
            node=self._node,
            key=key,
            operations=operations,
            is_update=bool(operations),
            route=Route.ACTOR if rng.random() < self._plan.turns and has_actor(key) else Route.STATE,
            level=rng.choice(LEVELS) if operations and rng.random() < self._plan.levels else "local",
            timeout_ns=rng.randint(TIMEOUT_NS_MIN, TIMEOUT_NS_MAX),
            ttl_ms=rng.choice((rng.randint(1, TTL_SHORT_MS_MAX), TTL_LONG_MS)) if is_expiring(key) else None,
            invoked_ns=self._scheduler.now_ns,
        )
        self._history.calls.append(call)
        self._target.submit(call, self._think)

    def _draw(self) -> tuple[EntryKey, tuple[Operation, ...]]:
        rng, plan = self._rng, self._plan
        kind = rng.choices(self._kinds, self._weights)[0]
        index = rng.randrange(plan.keys)
        if kind == "read":
            return EntryKey(SYSTEM, f"{UP_PREFIX}{index}", COUNTER), ()
        drawing = Drawing(rng, self._elements, f"{self._number}.{len(self._history.calls)}", plan.padding)
        size = rng.randint(2, BATCH_MAX) if rng.random() < plan.batch else 1
        if kind == "up":
            amounts = [Operation("increment", (drawing.amount(),)) for _ in range(size)]
            return EntryKey(SYSTEM, f"{UP_PREFIX}{index}", COUNTER), tuple(amounts)
        if kind == "expiring":
            return EntryKey(SYSTEM, f"{EXPIRING_PREFIX}{rng.randrange(EXPIRING_KEYS)}", "ORSet"), (
                Operation("add", (drawing.value(),)),
            )
        if kind == "brief":
            return EntryKey(SYSTEM, f"{BRIEF_PREFIX}{index}", "ORSet"), (Operation("add", (drawing.value(),)),)
        mix = MIXES[kind]
        count = size if kind in BATCHED else 1
        return EntryKey(SYSTEM, f"{kind}-{index}", kind), tuple(mix(drawing) for _ in range(count))
