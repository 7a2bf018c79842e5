"""GCounter: a counter that goes up on every replica at once.

State: DotFun from dot to the sum of what the dot's replica added. A replica moves its own sum under a fresh dot and
supersedes only its own old one, so at most one dot of each writer is live.
Join: that of DotFun. Value: the sum over replicas; where lost deltas left several sums of one, the newest counts.

Who wins: everybody; increments add up. An increment concurrent with a `reset`, or with the removal of the key,
survives it together with its replica's whole earlier sum; what the reset observed from others is gone.
After a removal nothing is kept but the dots in the context. Size: one sum for each replica id that ever counted. An
operation costs O(replicas).

Source: Shapiro et al. 2011, section 3.1.1, wrapped in dots so that its key can be removed and made anew.
"""

from collections.abc import Mapping
from typing import ClassVar, Final

from crdtmesh.crdts.base import Delta, Mutation
from crdtmesh.crdts.codec import AMOUNT_MAX, Reader, Writer
from crdtmesh.crdts.dot_funs import DotFunType, own_dots, slots, written
from crdtmesh.crdts.dots import Dot
from crdtmesh.crdts.errors import InvalidOperation, shorten
from crdtmesh.crdts.operations import Operation

SumStore = dict[Dot, int]


class GCounter(DotFunType[int]):
    """The data type; see the module for its meaning.

    Operations: `increment(amount=1)`, `reset()`.
    """

    name: ClassVar[str] = "GCounter"
    operations: ClassVar[Mapping[str, tuple[int, int]]] = {"increment": (0, 1), "reset": (0, 0)}
    removal: ClassVar[str] = "reset"

    def _write(self, store: SumStore, operation: Operation, mutation: Mutation) -> Delta[SumStore] | None:
        amount = operation.arguments[0] if operation.arguments else 1
        if type(amount) is not int or not 0 <= amount <= AMOUNT_MAX:
            raise InvalidOperation(
                f"GCounter.increment takes an int of 0 or more below 2**63, got {shorten(amount)}; PNCounter goes down"
            )
        if amount == 0:
            return None
        own = own_dots(store, mutation.replica)
        total = amount + (store[max(own)] if own else 0)
        if total > AMOUNT_MAX:
            raise InvalidOperation("the sum of one replica must stay below 2**63; reset the counter, then increment")
        return written(mutation, total, own)

    def value(self, store: SumStore) -> int:
        """The count."""
        return sum(slots(store).values())

    def _write_payload(self, writer: Writer, payload: int) -> None:
        writer.integer(payload)

    def _read_payload(self, reader: Reader, dot: Dot) -> int:
        return reader.integer(least=1)


G_COUNTER: Final = GCounter()
"""The data type's only instance."""
