"""Values of the mesh as JSON for people and programs; bytes are hexadecimal digits there."""

from __future__ import annotations

import json
from typing import Any


def shown(value: Any) -> str:
    """A value as one line of JSON."""
    return json.dumps(value, ensure_ascii=False, default=hexadecimal)


def plain_json(value: Any) -> Any:
    """A value as `json` would read it back: for a place within a larger JSON object."""
    return json.loads(json.dumps(value, default=hexadecimal))


def hexadecimal(value: object) -> str:
    """Bytes in JSON; for `json.dumps`.

    Raises:
        TypeError: the value is something else.
    """
    if isinstance(value, bytes | bytearray):
        return value.hex()
    raise TypeError(f"no JSON form for {type(value).__name__}")
