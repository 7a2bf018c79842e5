"""crdtmesh: CRDT-typed actor state, replicated on every node over gossip.

This module stays light: importing `crdtmesh.crdts` runs it, and a pure data type must not pull in gRPC.
"""

from typing import Final

__all__ = ["__version__"]

__version__: Final = "0.1.0"
