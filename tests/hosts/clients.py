"""Recorded clients of real nodes: what each asked, what it was told, and when, as the simulator's history.

They leave witnesses: an element of a set, and a text of a register, is written once by one call and never again, so
what nodes hold in the end tells which calls took effect. `witnesses` draws those conclusions.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Final

from crdtmesh.crdts.operations import Operation
from crdtmesh.replication.outputs import EntryKey, EventRun
from crdtmesh.sdk.client import Client
from crdtmesh.sdk.errors import CallError
from simulations.history import Call, History, Outcome
from simulations.workload import UP_PREFIX

THINK_S_MEAN: Final = 0.1
STICKINESS: Final = 0.8
KEYS: Final = 3
AMOUNT_MAX: Final = 9
BATCH_MAX: Final = 4

# Two seconds are far beyond what a reachable majority takes; a client that gives up has an unknown outcome to record.
LEVEL_TIMEOUT_S: Final = 2.0
LEVELS: Final = 0.15

# Clients of their own, numbered from here, with a pace at which a node has several calls in each commit.
BURST_FIRST: Final = 1_000
BURST_CLIENTS: Final = 8
BURST_CALLS_MAX: Final = 16

KINDS: Final = {"up": 5, "read": 5, "move": 3, "add": 4, "batch": 2, "remove": 2, "set": 3}


class Clients:
    """Some clients of one mesh that work at the same time, each with one call under way.

    Args:
        system: whose entries they use; nobody else does.
        nodes: name to a client connected there.
        seed: of what they ask.
    """

    def __init__(self, system: str, nodes: dict[str, Client], seed: str) -> None:
        self.history = History()
        self.system = system
        self._nodes = nodes
        self._seed = seed
        self._is_over = asyncio.Event()
        self._removable: dict[tuple[str, str], list[str]] = {}
        self._numbers: dict[int, int] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, count: int) -> None:
        """Begins to call."""
        self._tasks = [asyncio.create_task(self._work(number)) for number in range(count)]

    async def finish(self) -> None:
        """No new calls; those under way are waited for."""
        self._is_over.set()
        await asyncio.gather(*self._tasks)

    def cancel(self) -> None:
        """Ends those that still work, without waiting: for a trial that has failed by itself."""
        for task in self._tasks:
            task.cancel()

    def burst(self, node: str) -> None:
        """Additions at one node without a pause, so that some are under way when something befalls it."""
        numbers = range(BURST_FIRST, BURST_FIRST + BURST_CLIENTS)
        self._tasks += [asyncio.create_task(self._hurry(number, node)) for number in numbers]

    async def _hurry(self, number: int, node: str) -> None:
        tags = EntryKey(self.system, "tags-0", "ORSet")
        for _ in range(BURST_CALLS_MAX):
            add = Operation("add", (f"{number}.{len(self.history.calls)}",))
            call = self._begun(number, node, tags, (add,), "local")
            await self._call(call)
            if call.outcome is not Outcome.OK:
                return

    async def _work(self, number: int) -> None:
        rng = random.Random(f"{self._seed}:{number}")
        node = rng.choice(sorted(self._nodes))
        while not self._is_over.is_set():
            if rng.random() >= STICKINESS:
                node = rng.choice(sorted(self._nodes))
            await self._call(self._draw(rng, number, node))
            try:
                await asyncio.wait_for(self._is_over.wait(), rng.expovariate(1 / THINK_S_MEAN))
            except TimeoutError:
                continue

    def _draw(self, rng: random.Random, number: int, node: str) -> Call:
        kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
        index = rng.randrange(KEYS)
        level = "majority" if rng.random() < LEVELS else "local"
        return self._begun(number, node, *self._wanted(rng, number, node, kind, index), level)

    def _begun(self, number: int, node: str, entry: EntryKey, operations: tuple[Operation, ...], level: str) -> Call:
        """One more call in the history."""
        call = Call(
            number=len(self.history.calls),
            client=number,
            node=node,
            key=entry,
            operations=operations,
            is_update=bool(operations),
            level=level if operations else "local",
            invoked_ns=time.monotonic_ns(),
        )
        if operations and entry.type_name in {"ORSet", "LWWRegister"}:
            first = self._numbers.get(number, 0) + 1
            self._numbers[number] = first + len(operations) - 1
            call.event = EventRun(number.to_bytes(16, "big"), first, first + len(operations) - 1, 0)
        self.history.calls.append(call)
        return call

    def _wanted(
        self, rng: random.Random, number: int, node: str, kind: str, index: int
    ) -> tuple[EntryKey, tuple[Operation, ...]]:
        unique = f"{number}.{len(self.history.calls)}"
        amount = rng.randint(1, AMOUNT_MAX)
        counter = EntryKey(self.system, f"{UP_PREFIX}{index}", "PNCounter")
        tags = EntryKey(self.system, f"tags-{index}", "ORSet")
        if kind == "up":
            return counter, (Operation("increment", (amount,)),)
        if kind == "read":
            return counter, ()
        if kind == "move":
            moved = Operation(rng.choice(("increment", "decrement")), (amount,))
            return EntryKey(self.system, f"balance-{index}", "PNCounter"), (moved,)
        if kind == "set":
            return EntryKey(self.system, f"note-{index}", "LWWRegister"), (Operation("set", (unique,)),)
        if kind == "remove":
            # Only what this node has acknowledged: there it is seen, so the removal has to win.
            seen = self._removable.get((node, tags.key), [])
            if seen:
                return tags, (Operation("remove", (seen.pop(rng.randrange(len(seen))),)),)
        size = rng.randint(2, BATCH_MAX) if kind == "batch" else 1
        return tags, tuple(Operation("add", (f"{unique}.{part}",)) for part in range(size))

    async def _call(self, call: Call) -> None:
        client = self._nodes[call.node]
        key = call.key
        try:
            if call.is_update:
                await client.state.update(
                    *(key.system, key.key, key.type_name, call.operations),
                    write=call.level,
                    timeout=None if call.level == "local" else LEVEL_TIMEOUT_S,
                )
            else:
                entry = await client.state.get(*key)
                call.value = entry.value if entry is not None else None
            call.outcome = Outcome.OK
        except CallError as error:
            call.outcome = Outcome.FAILED if error.outcome == "not_applied" else Outcome.UNKNOWN
            call.reason = f"{error.code}: {error}"
        call.completed_ns = time.monotonic_ns()
        if call.outcome is Outcome.OK and call.key.type_name == "ORSet" and call.operations[0].name == "add":
            seen = self._removable.setdefault((call.node, key.key), [])
            seen += [str(operation.arguments[0]) for operation in call.operations]


def count(calls: Sequence[Call], outcome: Outcome) -> int:
    """How many updates ended so."""
    return sum(1 for call in calls if call.is_update and call.outcome is outcome)
