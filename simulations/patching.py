"""Changing production code for as long as a check lasts, from outside: it has no switch for it."""

from collections.abc import Callable
from typing import Any


class Patch:
    """Replaces attributes, and puts them back."""

    def __init__(self) -> None:
        self._undo: list[tuple[Any, str, Any]] = []

    def setattr(self, owner: Any, name: str, value: Any) -> None:
        """Replaces an attribute of a class or module that has it."""
        self._undo.append((owner, name, owner.__dict__[name]))
        setattr(owner, name, value)

    def undo(self) -> None:
        """Puts everything back."""
        while self._undo:
            setattr(*self._undo.pop())


Plant = Callable[[Patch], None]
"""Plants one bug."""
