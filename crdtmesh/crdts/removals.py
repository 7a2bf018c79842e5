"""How an entry of each data type is emptied: by the operation that leaves nothing of what it has seen."""

from typing import Final

from crdtmesh.crdts import registry
from crdtmesh.crdts.operations import Operation

# The operation that empties an entry is the first of these that its data type has.
_REMOVALS: Final = ("clear", "reset", "disable")


def removal_of(type_name: str) -> Operation | None:
    """The operation that leaves nothing of an entry of this type that it has seen; None if there is none.

    Raises:
        UnknownType: there is no such type.
    """
    operations = registry.get(type_name).operations
    name = next((name for name in _REMOVALS if name in operations), None)
    return None if name is None else Operation(name, ())
