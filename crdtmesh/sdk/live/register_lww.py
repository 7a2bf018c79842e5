"""`ctx.state` of a last-writer-wins register."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, cast

from crdtmesh.crdts.values import PlainValue
from crdtmesh.sdk.live.base import LiveState, normal

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ["LWWRegister"]


class LWWRegister(LiveState, Generic[T]):
    """One value; of concurrent writes all nodes keep the same one, that with the later stamp.

    Lists come back as tuples. A dict comes back fresh at each read: to change it, set it anew.
    """

    __slots__ = ("_before", "_value")

    type_name: ClassVar[str] = "LWWRegister"

    def __init__(self, value: T | None = None) -> None:
        """A register that holds `value`, as a test of a handler would want it."""
        super().__init__()
        self._value = self._before = normal(value)

    @property
    def value(self) -> T | None:
        """The value, with what this turn has set; None for a register that was never set, or cleared."""
        return cast("T | None", normal(self._value) if isinstance(self._value, dict | tuple) else self._value)

    def set(self, value: T) -> None:
        """Writes a value. It beats all that this node has seen.

        Raises:
            InvalidValue: the mesh can't hold the value; nothing was changed.
        """
        written = normal(value)
        self._record("set", written)
        self._value = written

    def clear(self) -> None:
        """Removes the value. A concurrent write survives."""
        self._record("clear")
        self._value = None

    def load_value(self, value: PlainValue) -> None:
        """Takes a whole state over: the value."""
        self._operations = []
        self._value = self._before = value

    def roll_back(self) -> None:
        """Undoes this turn's changes."""
        self._operations = []
        self._value = self._before

    def commit(self) -> None:
        """Makes this turn's changes the state."""
        self._operations = []
        self._before = self._value

    def __repr__(self) -> str:
        return f"LWWRegister({self._value!r})"
