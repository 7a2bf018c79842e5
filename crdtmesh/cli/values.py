"""Values as JSON: of the mesh in the form of `crdts.json_form`, and payloads, which may be protobuf messages.

What makes them is loaded when there is a value to show.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.any_pb2 import Any as AnyMessage


def shown(value: Any) -> str:
    """A value as one line of JSON."""
    from crdtmesh.crdts.json_form import json_text

    return json_text(value)


def plain_json(value: Any) -> Any:
    """A value as `json` would read it back: for a place within a larger JSON object."""
    from crdtmesh.crdts.json_form import json_form

    return json_form(value)


def payload_json(value: Any) -> Any:
    """An answer or a channel's message as `json` would read it back.

    A message is as protobuf's JSON mapping has it within an Any: its fields, and its type URL as `@type`. A message of
    a type that this process does not know, or with one in it, is its type URL and its bytes, as `base64`; so is one
    that is damaged, or nested too deep.
    """
    if not hasattr(value, "SerializeToString"):
        return plain_json(value)
    from google.protobuf.any_pb2 import Any as AnyMessage

    packed = AnyMessage()
    if isinstance(value, AnyMessage):
        packed = value
    else:
        packed.Pack(value)
    return _any_json(packed)


def _any_json(packed: AnyMessage) -> Any:
    from google.protobuf.json_format import MessageToDict, SerializeToJsonError
    from google.protobuf.message import DecodeError

    try:
        return MessageToDict(packed)
    except (TypeError, SerializeToJsonError, DecodeError, RecursionError):
        return {"@type": packed.type_url, "base64": base64.b64encode(packed.value).decode()}
