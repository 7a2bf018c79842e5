"""Values of the mesh as JSON, in the form of `crdts.json_form`, which is loaded when there is a value to show."""

from __future__ import annotations

from typing import Any


def shown(value: Any) -> str:
    """A value as one line of JSON."""
    from crdtmesh.crdts.json_form import json_text

    return json_text(value)


def plain_json(value: Any) -> Any:
    """A value as `json` would read it back: for a place within a larger JSON object."""
    from crdtmesh.crdts.json_form import json_form

    return json_form(value)
