"""MaxRegister: the greatest number that anyone has set.

State: DotFun from dot to (number, canonical bytes). A `set` that raises the value supersedes all dots it has observed;
one that does not is no event. So siblings exist only after concurrent sets.
Join: that of DotFun. Value: the greatest live number, None when there is none. An int and a float that are equal are
ordered by their canonical bytes, so that every replica reads the same one.

Who wins: the greater number, whenever it was set. `clear` removes the numbers it has seen; a concurrent set that
raised the value survives it. A set that did not raise the value does not: it never happened.

After a removal nothing is kept but the dots in the context, so the register counts anew from nothing. A bare maximum
could never go down again; here removal is exact.
"""

from collections.abc import Mapping
from typing import ClassVar, Final

from crdtmesh.crdts import values
from crdtmesh.crdts.base import Delta, Mutation
from crdtmesh.crdts.codec import Reader, Writer
from crdtmesh.crdts.dot_funs import DotFunType, written
from crdtmesh.crdts.dots import Dot
from crdtmesh.crdts.errors import CodecError, InvalidOperation, shorten
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue

Number = tuple[int | float, bytes]
"""A number and its canonical bytes. Python compares ints and floats exactly."""

ExtremeStore = dict[Dot, Number]


class ExtremeRegister(DotFunType[Number]):
    """What `MaxRegister` and `MinRegister` share: everything but the direction."""

    operations: ClassVar[Mapping[str, tuple[int, int]]] = {"set": (1, 1), "clear": (0, 0)}
    removal: ClassVar[str] = "clear"
    is_greatest: ClassVar[bool]

    def _write(self, store: ExtremeStore, operation: Operation, mutation: Mutation) -> Delta[ExtremeStore] | None:
        number = operation.arguments[0]
        encoded = values.encode(number)
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise InvalidOperation(f"{self.name}.set takes an int or a float, got {shorten(number)}; convert it first")
        payload = number + 0, encoded
        if store and self._extreme((*store.values(), payload)) in store.values():
            return None
        return written(mutation, payload, list(store))

    def _extreme(self, payloads: tuple[Number, ...]) -> Number:
        return max(payloads) if self.is_greatest else min(payloads)

    def value(self, store: ExtremeStore) -> PlainValue:
        """The extreme number; None when there is none."""
        return values.decode(self._extreme(tuple(store.values()))[1]) if store else None

    def _write_payload(self, writer: Writer, payload: Number) -> None:
        writer.value(payload[1])

    def _read_payload(self, reader: Reader, dot: Dot) -> Number:
        encoded = reader.value()
        number = values.decode(encoded)
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise CodecError(f"expected a number in a {self.name}, got {shorten(number)}")
        return number, encoded


class MaxRegister(ExtremeRegister):
    """The data type; see the module for its meaning.

    Operations: `set(number)`, `clear()`.
    """

    name: ClassVar[str] = "MaxRegister"
    is_greatest: ClassVar[bool] = True


MAX_REGISTER: Final = MaxRegister()
"""The data type's only instance."""
