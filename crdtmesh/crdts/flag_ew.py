"""EWFlag: a flag that an enable turns on over every concurrent disable. Initially off.

State: a DotSet of enables, kept as a DotFun whose payload says nothing. `enable` puts a fresh dot in and supersedes
those it has seen; `disable` supersedes them.
Join: that of DotSet. Value: on if and only if a dot is live.

Who wins: the enable. Enabling what is on is an event, since it survives disables elsewhere; disabling what is off is
none. The removal of the key is a disable. After a disable nothing is kept but the dots in the context. An operation
costs O(concurrent enables).

Source: Almeida, Shoker, Baquero 2018, section 7.4.
"""

from collections.abc import Mapping
from typing import ClassVar, Final

from crdtmesh.crdts.base import Delta, Mutation
from crdtmesh.crdts.codec import Reader, Writer
from crdtmesh.crdts.dot_funs import DotFunType, written
from crdtmesh.crdts.dots import Dot
from crdtmesh.crdts.operations import Operation

FlagStore = dict[Dot, bool]


class EWFlag(DotFunType[bool]):
    """The data type; see the module for its meaning.

    Operations: `enable()`, `disable()`.
    """

    name: ClassVar[str] = "EWFlag"
    operations: ClassVar[Mapping[str, tuple[int, int]]] = {"enable": (0, 0), "disable": (0, 0)}
    removal: ClassVar[str] = "disable"

    def _write(self, store: FlagStore, operation: Operation, mutation: Mutation) -> Delta[FlagStore] | None:
        return written(mutation, True, list(store))

    def value(self, store: FlagStore) -> bool:
        """Whether the flag is on."""
        return bool(store)

    def _write_payload(self, writer: Writer, payload: bool) -> None:
        """Nothing: the dot says it all."""

    def _read_payload(self, reader: Reader, dot: Dot) -> bool:
        return True


EW_FLAG: Final = EWFlag()
"""The data type's only instance."""
