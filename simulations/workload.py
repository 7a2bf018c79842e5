"""What clients do. Each has one call at a time, and all that it asks and is told is recorded.

Few keys and few elements, so that calls meet. Elements that Python takes for equal (`1`, `True`, `1.0`) are among
them. A batch is one update of several operations, which take effect together or not at all.
"""

import random
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue
from crdtmesh.replication.outputs import EntryKey
from simulations.history import Call, History
from simulations.plan import WorkloadPlan
from simulations.scheduler import Scheduler

SYSTEM: Final = "shop"
COUNTER: Final = "PNCounter"
SET: Final = "ORSet"
REGISTER: Final = "LWWRegister"

AMOUNT_MAX: Final = 9
BATCH_MAX: Final = 4
REMOVALS: Final = 0.4
CLEARS: Final = 0.03

LOOKALIKES: Final[tuple[PlainValue, ...]] = (1, True, 1.0, "1")
"""Four elements; Python takes three of them for one."""

UP_PREFIX: Final = "up-"

Done = Callable[[Call], None]


def is_up_counter(key: EntryKey) -> bool:
    """Whether an entry is a counter that is only ever incremented."""
    return key.type_name == COUNTER and key.key.startswith(UP_PREFIX)


class Target(Protocol):
    """The mesh, as a client sees it."""

    names: Sequence[str]

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
        if self._rng.random() >= self._plan.stickiness:
            self._node = self._rng.choice(self._target.names)
        key, operations = self._draw()
        call = Call(
            number=len(self._history.calls),
            client=self._number,
            node=self._node,
            key=key,
            operations=operations,
            invoked_ns=self._scheduler.now_ns,
        )
        self._history.calls.append(call)
        self._target.submit(call, self._think)

    def _draw(self) -> tuple[EntryKey, tuple[Operation, ...]]:
        rng, plan = self._rng, self._plan
        kind = rng.choices(
            ("counter", "up", "set", "register", "read"),
            (plan.counter, plan.up_counter, plan.set, plan.register, plan.read),
        )[0]
        index = rng.randrange(plan.keys)
        if kind == "read":
            # Only these are checked, so reading others would be work for nothing.
            return EntryKey(SYSTEM, f"{UP_PREFIX}{index}", COUNTER), ()
        if kind == "counter":
            names = ("increment", "decrement")
            operations = [Operation(rng.choice(names), (rng.randint(1, AMOUNT_MAX),)) for _ in range(self._size())]
            return EntryKey(SYSTEM, f"counter-{index}", COUNTER), tuple(operations)
        if kind == "up":
            operations = [Operation("increment", (rng.randint(1, AMOUNT_MAX),)) for _ in range(self._size())]
            return EntryKey(SYSTEM, f"{UP_PREFIX}{index}", COUNTER), tuple(operations)
        if kind == "set":
            return EntryKey(SYSTEM, f"set-{index}", SET), self._set_operations()
        # Every value is written once, so a value that nobody wrote, or an old one, is known by itself.
        value = f"{self._number}.{len(self._history.calls)}"
        operation = Operation("clear") if rng.random() < CLEARS else Operation("set", (value,))
        return EntryKey(SYSTEM, f"register-{index}", REGISTER), (operation,)

    def _set_operations(self) -> tuple[Operation, ...]:
        rng = self._rng
        if rng.random() < CLEARS:
            return (Operation("clear"),)
        # Different elements, so that the order within the batch has no part in what is expected.
        elements = rng.sample(self._elements, self._size())
        return tuple(Operation("remove" if rng.random() < REMOVALS else "add", (element,)) for element in elements)

    def _size(self) -> int:
        return self._rng.randint(2, BATCH_MAX) if self._rng.random() < self._plan.batch else 1
