"""MinRegister: the least number that anyone has set. In all else it is `register_max`.

Who wins: the smaller number, whenever it was set. `clear` removes the numbers it has seen; a concurrent set that
lowered the value survives it. After a removal nothing is kept but the dots in the context.
"""

from typing import ClassVar, Final

from crdtmesh.crdts.register_max import ExtremeRegister


class MinRegister(ExtremeRegister):
    """The data type; see the module for its meaning.

    Operations: `set(number)`, `clear()`.
    """

    name: ClassVar[str] = "MinRegister"
    is_greatest: ClassVar[bool] = False


MIN_REGISTER: Final = MinRegister()
"""The data type's only instance."""
