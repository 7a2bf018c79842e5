"""Tags of a declaration that the mesh itself reads: released SDKs have no fields for what they say."""

from typing import Final

from crdtmesh.levels import WRITE_LEVEL_METADATA

TYPE_TAG: Final = "crdtmesh.type"
"""The data type of the state, as `state_type` says it."""

PLACEMENT_TAG: Final = "crdtmesh.placement"
"""`owner` or `available`: whether another node may serve an opaque state whose own is out of reach."""

WRITE_TAG: Final = WRITE_LEVEL_METADATA
"""How far a write of the actor must have got before it is acknowledged, unless a call says otherwise."""

REVISIONS_TAG: Final = "crdtmesh.revisions"
"""How many earlier opaque states are kept, to start from one again."""

REVISIONS_MAX: Final = 32
"""With states of 240 KiB, which is the most, that is an entry of 8 MiB, and it is repaired whole."""

ON_OPEN_METADATA: Final = "crdtmesh.on-open"
ON_CANCEL_METADATA: Final = "crdtmesh.on-cancel"
"""Metadata of a watch of an answer that name actions to be called before its first answer, and when its reader has
gone."""
