"""PNCounter: a counter that goes up and down on every replica at once, and can be reset.

State: DotFun from dot to (p, n), the sums of what one replica added and subtracted. A replica moves its own pair
under a fresh dot at each update and supersedes only its own old dot, so concurrent updates of different replicas all
count.
Join: that of DotFun. Value: sum of p - n. It may go below zero; there is no bound.

Who wins: an update concurrent with a reset survives it *together with its replica's whole earlier count* (replace-dot
counter). 5 counted at A; B resets; A concurrently adds 1: the merged value is 6. What B observed from others is gone.

After a removal nothing is kept but the dots in the context. Size: one pair for each replica id that ever counted,
until a reset. Source: Almeida, Shoker, Baquero 2018; `reset` follows the causal counters of AntidoteDB.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from crdtmesh.crdts.base import WHOLE, Delta, Mutation, Touched
from crdtmesh.crdts.clock import Stamp
from crdtmesh.crdts.codec import AMOUNT_MAX, Reader, Writer
from crdtmesh.crdts.context import CausalContext, require_same_table
from crdtmesh.crdts.dots import DOT_BITS, Dot
from crdtmesh.crdts.errors import CodecError, InvalidOperation, shorten
from crdtmesh.crdts.operations import Operation, require_operation
from crdtmesh.crdts.stores import absorb_dot_fun, join_dot_funs, read_dot_fun
from crdtmesh.crdts.values import PlainValue

CounterStore = dict[Dot, tuple[int, int]]
"""Dot to (added, subtracted)."""


class PNCounter:
    """The data type; see the module for its meaning.

    Operations: `increment(amount=1)`, `decrement(amount=1)`, `reset()`.
    """

    name: Final = "PNCounter"
    operations: Final[Mapping[str, tuple[int, int]]] = {"increment": (0, 1), "decrement": (0, 1), "reset": (0, 0)}

    def bottom(self) -> CounterStore:
        """A counter that nobody has changed; it reads 0."""
        return {}

    def is_bottom(self, store: CounterStore) -> bool:
        """Whether nobody has changed the counter since it was last reset."""
        return not store

    def dots(self, store: CounterStore) -> Iterator[Dot]:
        """The live dots."""
        return iter(store)

    def copy(self, store: CounterStore) -> CounterStore:
        """A store that can be changed independently."""
        return store.copy()

    def restrict(self, store: CounterStore, keep: Callable[[Dot], bool]) -> CounterStore:
        """The entries whose dot is to be kept."""
        return {dot: pair for dot, pair in store.items() if keep(dot)}

    def join(
        self, a: CounterStore, a_context: CausalContext, b: CounterStore, b_context: CausalContext
    ) -> CounterStore:
        """The join, as a new store."""
        require_same_table(a_context, b_context)
        return join_dot_funs(a, a_context, b, b_context)

    def absorb(
        self, store: CounterStore, context: CausalContext, delta: Delta[CounterStore]
    ) -> tuple[CounterStore, Touched]:
        """The join in place; O(replicas of the store or dots of the delta, whichever are fewer)."""
        return store, WHOLE if absorb_dot_fun(store, context, delta.store, delta.context) else ()

    def mutate(self, store: CounterStore, operation: Operation, mutation: Mutation) -> Delta[CounterStore] | None:
        """The delta of an operation. An amount of 0 and the reset of an untouched counter have no effect."""
        require_operation(self.name, operation, self.operations)
        if operation.name == "reset":
            if not store:
                return None
            return Delta({}, CausalContext(mutation.table, (mutation.next_dot(), *store)))
        amount = _amount(operation)
        if amount == 0:
            return None
        own = [dot for dot in store if dot >> DOT_BITS == mutation.replica]
        added, subtracted = store[max(own)] if own else (0, 0)
        if operation.name == "increment":
            added += amount
        else:
            subtracted += amount
        if max(added, subtracted) > AMOUNT_MAX:
            raise InvalidOperation(
                f"the amounts of one replica must stay below 2**63; reset the counter, {operation.name}"
            )
        dot = mutation.next_dot()
        return Delta({dot: (added, subtracted)}, CausalContext.of_write(mutation.table, dot, own))

    def stamp(self, store: CounterStore) -> Stamp | None:
        """None: this type has no stamps."""
        return None

    def value(self, store: CounterStore) -> int:
        """The count.

        A replica's newer pair includes its older ones, so where lost deltas left several of them live, the newest
        counts.
        """
        newest: dict[int, Dot] = {}
        for dot in store:
            replica = dot >> DOT_BITS
            if dot > newest.get(replica, 0):
                newest[replica] = dot
        return sum(store[dot][0] - store[dot][1] for dot in newest.values())

    def encode(self, store: CounterStore, writer: Writer) -> None:
        """Write the size, then dot, added, subtracted for each entry."""
        numbers = [len(store)]
        for rank, dot in writer.ranked(store):
            numbers.append(rank)
            numbers += store[dot]
        writer.integers(numbers)

    def decode(self, reader: Reader) -> CounterStore:
        """Read entries; a pair of zeros is refused, since no operation writes one."""

        def read_pair(_dot: Dot) -> tuple[int, int]:
            pair = reader.integer(), reader.integer()
            if pair == (0, 0):
                raise CodecError("expected a counter entry that counts something, got zeros")
            return pair

        return read_dot_fun(reader, read_pair)


def _amount(operation: Operation) -> int:
    amount: PlainValue = operation.arguments[0] if operation.arguments else 1
    if type(amount) is not int:
        raise InvalidOperation(f"PNCounter.{operation.name} takes an int, got {shorten(amount)}; floats don't add up")
    if amount < 0:
        opposite = "decrement" if operation.name == "increment" else "increment"
        raise InvalidOperation(f"PNCounter.{operation.name} takes 0 or more, got {amount}; call {opposite}")
    if amount > AMOUNT_MAX:
        raise InvalidOperation(f"PNCounter.{operation.name} takes less than 2**63, got {shorten(amount)}")
    return amount


PN_COUNTER: Final = PNCounter()
"""The data type's only instance."""
