"""ExactCounter: a counter that goes up and down, whose reset takes away exactly what it has seen.

State: DotFun from dot to the amount that was added under it, negative for a decrement. Each update keeps its own dot;
nothing but a reset supersedes it.
Join: that of DotFun. Value: the sum of all live amounts.

Who wins: an update concurrent with a `reset`, or with the removal of the key, survives it, and it alone. 5 counted at
A; B resets; A concurrently adds 1: the merged value is 1, where `PNCounter` reads 6.
The price is size: one dot and amount for each update since the last reset. Use it for counters that are reset often,
such as a quota of the hour. Nothing is summed up yet when all replicas have seen it.
After a removal nothing is kept but the dots in the context. An update costs O(1).

Source: the exact variant of the causal counter; Almeida, Shoker, Baquero 2018, section 7, for the shape.
"""

from collections.abc import Mapping
from typing import ClassVar, Final

from crdtmesh.crdts.base import Delta, Mutation
from crdtmesh.crdts.codec import AMOUNT_MAX, Reader, Writer
from crdtmesh.crdts.dot_funs import DotFunType, written
from crdtmesh.crdts.dots import Dot
from crdtmesh.crdts.errors import CodecError, InvalidOperation, shorten
from crdtmesh.crdts.operations import Operation

AmountStore = dict[Dot, int]


class ExactCounter(DotFunType[int]):
    """The data type; see the module for its meaning.

    Operations: `increment(amount=1)`, `decrement(amount=1)`, `reset()`.
    """

    name: ClassVar[str] = "ExactCounter"
    operations: ClassVar[Mapping[str, tuple[int, int]]] = {"increment": (0, 1), "decrement": (0, 1), "reset": (0, 0)}
    removal: ClassVar[str] = "reset"

    def _write(self, store: AmountStore, operation: Operation, mutation: Mutation) -> Delta[AmountStore] | None:
        amount = operation.arguments[0] if operation.arguments else 1
        if type(amount) is not int or not 0 <= amount <= AMOUNT_MAX:
            raise InvalidOperation(
                f"ExactCounter.{operation.name} takes an int of 0 or more below 2**63, got {shorten(amount)}; "
                "increment goes up, decrement down"
            )
        if amount == 0:
            return None
        return written(mutation, amount if operation.name == "increment" else -amount, ())

    def value(self, store: AmountStore) -> int:
        """The count."""
        return sum(store.values())

    def _write_payload(self, writer: Writer, payload: int) -> None:
        writer.integer(payload)

    def _read_payload(self, reader: Reader, dot: Dot) -> int:
        amount = reader.integer(least=-AMOUNT_MAX)
        if amount == 0:
            raise CodecError("expected an amount that counts something, got 0")
        return amount


EXACT_COUNTER: Final = ExactCounter()
"""The data type's only instance."""
