"""DWFlag: a flag that a disable turns off over every concurrent enable. Initially off.

State: DotFun from dot to what was done, True for an enable. Either operation puts a fresh dot in and supersedes all
that it has seen of both.
Join: that of DotFun. Value: on if and only if an enable is live and no disable is.

Who wins: the disable. Both are events even when the flag reads the same afterwards: a disable of what is off beats
enables elsewhere. `reset`, and the removal of the key, forget what they have seen and turn nothing off: an enable
concurrent with a reset survives.
A disabled flag keeps the dot of the disable until an enable or a reset has seen it. An operation costs O(siblings).

Source: AntidoteDB's `flag_dw`.
"""

from collections.abc import Mapping
from typing import ClassVar, Final

from crdtmesh.crdts.base import Delta, Mutation
from crdtmesh.crdts.codec import Reader, Writer
from crdtmesh.crdts.dot_funs import DotFunType, written
from crdtmesh.crdts.dots import Dot
from crdtmesh.crdts.operations import Operation

FlagStore = dict[Dot, bool]


class DWFlag(DotFunType[bool]):
    """The data type; see the module for its meaning.

    Operations: `enable()`, `disable()`, `reset()`.
    """

    name: ClassVar[str] = "DWFlag"
    operations: ClassVar[Mapping[str, tuple[int, int]]] = {"enable": (0, 0), "disable": (0, 0), "reset": (0, 0)}
    removal: ClassVar[str] = "reset"

    def _write(self, store: FlagStore, operation: Operation, mutation: Mutation) -> Delta[FlagStore] | None:
        return written(mutation, operation.name == "enable", list(store))

    def value(self, store: FlagStore) -> bool:
        """Whether the flag is on."""
        return bool(store) and all(store.values())

    def _write_payload(self, writer: Writer, payload: bool) -> None:
        writer.integer(int(payload))

    def _read_payload(self, reader: Reader, dot: Dot) -> bool:
        return reader.integer(1) == 1


DW_FLAG: Final = DWFlag()
"""The data type's only instance."""
