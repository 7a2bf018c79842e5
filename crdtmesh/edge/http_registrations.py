"""What was registered by HTTP, kept on disk: an SDK registers once, when it starts, and does not see its node restart.

One small file beside the state: for each user function the registration of each of its actor systems, as it came. It
holds declarations, no state, and is rewritten whole. A file that can't be read is put aside: SDKs can register again.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import os
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError

from crdtmesh.observability import logs
from crdtmesh.wire.gen.spawn.actors import protocol_pb2

_LOG: Final = logging.getLogger(__name__)

FILE_NAME: Final = "http_hosts.json"
# What was not registered for this many other systems is forgotten: a user function has one system, or a few.
SYSTEMS_MAX: Final = 16

Requests = dict[str, protocol_pb2.RegistrationRequest]
"""By actor system."""


class Registrations:
    """The registrations of one node, by where the user function is.

    Args:
        folder: the node's data directory.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._by_authority: dict[str, Requests] = {}

    def load(self) -> dict[str, list[protocol_pb2.RegistrationRequest]]:
        """Reads the file; nothing if there is none."""
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        try:
            self._by_authority = {
                authority: {system: _decode(encoded) for system, encoded in systems.items()}
                for authority, systems in json.loads(text).items()
            }
        except (ValueError, AttributeError, TypeError, binascii.Error, DecodeError) as error:
            logs.event(_LOG, logging.ERROR, "registrations.unreadable", path=str(self._path), reason=str(error))
            self._path.replace(self._path.with_suffix(".unreadable"))
            return {}
        return {authority: list(systems.values()) for authority, systems in self._by_authority.items()}

    def add(self, authority: str, request: protocol_pb2.RegistrationRequest) -> None:
        """Remembers a registration, on disk when this returns. Actors of an earlier one of the same system stay.

        Raises:
            OSError: it is not on disk.
        """
        systems = self._by_authority.setdefault(authority, {})
        system = request.actor_system.name
        known = systems.pop(system, None)
        kept = protocol_pb2.RegistrationRequest()
        if known is not None:
            kept.CopyFrom(known)
        kept.actor_system.name = system
        for name, actor in request.actor_system.registry.actors.items():
            kept.actor_system.registry.actors[name].CopyFrom(actor)
        systems[system] = kept
        while len(systems) > SYSTEMS_MAX:
            del systems[next(iter(systems))]
        if known != kept:
            self._write()

    def _write(self) -> None:
        document = {
            authority: {
                system: base64.b64encode(request.SerializeToString()).decode() for system, request in systems.items()
            }
            for authority, systems in self._by_authority.items()
        }
        fresh = self._path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)


def _decode(encoded: str) -> protocol_pb2.RegistrationRequest:
    return protocol_pb2.RegistrationRequest.FromString(base64.b64decode(encoded, validate=True))
