"""Clients of the service `State`: reads at a level, session tokens, batches, operation ids, and what expires.

Each has one call at a time, as those of `workload` have, and its calls are in the same history. Levels and tokens are
about sets that only grow, by elements that are added once: what a read of one has seen is known exactly.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.outputs import EntryKey
from simulations.history import Call, History, Outcome, Route
from simulations.plan import StatePlan
from simulations.scheduler import MILLISECOND_NS, SECOND_NS, Scheduler
from simulations.workload import (
    COUNTER,
    EXPIRING_PREFIX,
    SYSTEM,
    TIMEOUT_NS_MAX,
    TIMEOUT_NS_MIN,
    TTL_LONG_MS,
    TTL_SHORT_MS_MAX,
    Target,
)

SURE_PREFIX: Final = "sure-"
"""Names of sets that only grow, which are written and read at levels, and with tokens."""

ONCE_PREFIX: Final = "once-"
"""Names of counters that are counted up with operation ids."""

BATCH_PARTS: Final = ("/lines", "/stock", "/total")

LEVELS: Final = ("majority", "majority", "majority", "all", "to(2)", "local")

AMOUNT_MAX: Final = 9
ATTEMPTS_MAX: Final = 4
AGAIN_NS_MAX: Final = 3 * SECOND_NS
# Short, so that an outcome is often unknown.
ONCE_TIMEOUT_NS_MIN: Final = 20 * MILLISECOND_NS
ONCE_TIMEOUT_NS_MAX: Final = 3 * SECOND_NS
# An expiring set in which anything lives long never expires, so that is for one of them.
LIVES_LONG: Final = 0.3
FADING_KEYS: Final = 8


def is_sure(key: EntryKey) -> bool:
    """Whether an entry is a set that only grows."""
    return key.key.startswith(SURE_PREFIX)


def is_once(key: EntryKey) -> bool:
    """Whether an entry is a counter that is counted up with operation ids."""
    return key.key.startswith(ONCE_PREFIX)


class StateClient:
    """One recorded client of the service.

    Args:
        number: of all clients.
    """

    def __init__(
        self,
        number: int,
        plan: StatePlan,
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
        self._is_unsure = False
        self._last: Call | None = None
        drawn: list[tuple[float, Callable[[Call], Call]]] = [
            (plan.write, self._write),
            (plan.read, self._read),
            (plan.follow, self._follow),
            (plan.batch, self._batch),
            (plan.scan, self._scan),
            (plan.once, self._once),
            (plan.expire, self._expire),
            (plan.look, self._look),
        ]
        self._weights = [weight for weight, _ in drawn]
        self._kinds = [kind for _, kind in drawn]

    def start(self) -> None:
        """Begins to call."""
        self._think()

    def stop(self) -> None:
        """Begins no new call."""
        self._is_stopped = True

    def _think(self) -> None:
        self._is_unsure = False
        self._scheduler.after(int(self._rng.expovariate(1 / self._plan.think_ns_mean)), self._call)

    def _call(self) -> None:
        if self._is_stopped:
            return
        rng = self._rng
        if rng.random() >= self._plan.stickiness:
            self._node = rng.choice(self._target.names)
        kind = rng.choices(self._kinds, self._weights)[0]
        blank = Call(
            number=len(self._history.calls),
            client=self._number,
            node=self._node,
            key=EntryKey(SYSTEM, "", COUNTER),
            operations=(),
            is_update=False,
            route=Route.EDGE,
            timeout_ns=rng.randint(TIMEOUT_NS_MIN, TIMEOUT_NS_MAX),
            invoked_ns=self._scheduler.now_ns,
        )
        call = kind(blank)
        self._history.calls.append(call)
        self._target.submit(call, self._answered)

    def _answered(self, call: Call) -> None:
        if call.outcome is Outcome.OK:
            if is_sure(call.key):
                self._last = call
        elif call.operation_id and (self._is_unsure or call.outcome is Outcome.UNKNOWN):
            # An attempt that certainly did nothing says nothing of those before it.
            self._is_unsure = True
            call.outcome = Outcome.UNKNOWN
            if call.attempts < ATTEMPTS_MAX:
                self._scheduler.after(self._rng.randint(0, AGAIN_NS_MAX), partial(self._again, call))
                return
        self._think()

    def _again(self, call: Call) -> None:
        if not self._is_stopped:
            call.attempts += 1
            call.outcome = Outcome.OPEN
            self._target.submit(call, self._answered)

    # --- kinds of calls

    def _sure(self) -> EntryKey:
        return EntryKey(SYSTEM, f"{SURE_PREFIX}{self._rng.randrange(self._plan.keys)}", "ORSet")

    def _element(self, call: Call) -> tuple[Operation, ...]:
        return (Operation("add", (f"{self._number}.{call.number}",)),)

    def _write(self, call: Call) -> Call:
        level = self._rng.choice(LEVELS)
        return replace(call, key=self._sure(), operations=self._element(call), is_update=True, level=level)

    def _read(self, call: Call) -> Call:
        return replace(call, key=self._sure(), level=self._rng.choice(LEVELS))

    def _follow(self, call: Call) -> Call:
        last = self._last
        if last is None:
            return self._read(call)
        others = [name for name in self._target.names if name != last.node]
        self._node = self._rng.choice(others or self._target.names)
        level = "majority" if self._rng.random() < 0.25 else "local"
        return replace(call, node=self._node, key=last.key, after=last.number, brought=last.token, level=level)

    def _batch(self, call: Call) -> Call:
        rng = self._rng
        parts = rng.sample(BATCH_PARTS, rng.randint(2, len(BATCH_PARTS)))
        group = self._group()
        key, *others = (EntryKey(SYSTEM, group + part, "ORSet") for part in parts)
        operations, level = self._element(call), rng.choice(("local", "local", "majority"))
        return replace(call, key=key, others=tuple(others), operations=operations, is_update=True, level=level)

    def _scan(self, call: Call) -> Call:
        return replace(call, key=EntryKey(SYSTEM, self._group(), "ORSet"), is_list=True)

    def _group(self) -> str:
        return f"{{batch-{self._rng.randrange(self._plan.keys)}}}"

    def _once(self, call: Call) -> Call:
        rng = self._rng
        return replace(
            call,
            key=EntryKey(SYSTEM, f"{ONCE_PREFIX}{rng.randrange(self._plan.keys)}", COUNTER),
            operations=(Operation("increment", (rng.randint(1, AMOUNT_MAX),)),),
            is_update=True,
            level=rng.choice(LEVELS),
            operation_id=f"{self._number}.{call.number}",
            timeout_ns=rng.randint(ONCE_TIMEOUT_NS_MIN, ONCE_TIMEOUT_NS_MAX),
        )

    def _expire(self, call: Call) -> Call:
        rng = self._rng
        key, is_long = self._fading(), rng.random() < LIVES_LONG
        is_long = is_long and key.key.endswith("f0")
        ttl_ms = TTL_LONG_MS if is_long else rng.randint(1, TTL_SHORT_MS_MAX)
        return replace(call, key=key, operations=self._element(call), is_update=True, ttl_ms=ttl_ms)

    def _look(self, call: Call) -> Call:
        return replace(call, key=self._fading())

    def _fading(self) -> EntryKey:
        return EntryKey(SYSTEM, f"{EXPIRING_PREFIX}f{self._rng.randrange(FADING_KEYS)}", "ORSet")
