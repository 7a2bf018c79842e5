"""Names that certificates prove: `spiffe://CLUSTER/ROLE/NAME`, in a URI of the subject's alternative names.

Pure. A name is bound to its cluster and to its role, so the certificate of a client can't open a peer link, and that of
another cluster signed by the same authority opens nothing. Names are compared byte by byte, without any folding.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

__all__ = ["ROLES", "SERVER_NAME", "Name", "Role", "name_in", "parse"]

Role = Literal["node", "operator", "client", "host", "reader"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

# Every node's certificate carries this DNS name beside its own, so that a client may reach any node by any address and
# still check that it is one: certificates of other roles do not carry it.
SERVER_NAME: Final = "node.crdtmesh.internal"

_URI: Final = re.compile(
    r"spiffe://(?P<cluster>[A-Za-z0-9][A-Za-z0-9.-]{0,127})"
    rf"/(?P<role>{'|'.join(ROLES)})/(?P<name>[A-Za-z0-9][A-Za-z0-9.-]{{0,127}})"
)


@dataclass(frozen=True, slots=True)
class Name:
    """What a certificate says of its holder."""

    cluster: str
    role: Role
    name: str

    @property
    def uri(self) -> str:
        """The form that stands in the certificate."""
        return f"spiffe://{self.cluster}/{self.role}/{self.name}"


def parse(uri: str) -> Name | None:
    """Reads a URI; None when it has another form."""
    match = _URI.fullmatch(uri)
    if match is None:
        return None
    role: Any = match["role"]
    return Name(match["cluster"], role, match["name"])


def name_in(certificate: Mapping[str, Any] | None) -> Name | None:
    """The name in a verified certificate, as `SSLObject.getpeercert` gives it.

    A certificate with more than one URI proves nothing: which of them is meant would be the reader's choice.
    """
    entries: Sequence[tuple[str, str]] = (certificate or {}).get("subjectAltName", ())
    uris = [value for kind, value in entries if kind == "URI"]
    return parse(uris[0]) if len(uris) == 1 else None
