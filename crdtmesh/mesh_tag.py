"""The one tag by which a member of a Serf cluster is known as a node of this mesh: `mesh`, at most 200 bytes.

Text, so that `serf members` can show it: `1;c=CLUSTER;s=START;l=PORT;g=PORT`. CLUSTER is a hash of the cluster's name:
two meshes that share one gossip network never replicate to each other. START is the start id, fresh for each run.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

TAG: Final = "mesh"
# The whole metadata of a member is 512 bytes in every Serf cluster; the operator's own tags need room beside ours.
TAG_SIZE_BYTES_MAX: Final = 200
VERSION: Final = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshTag:
    """What one node tells all others about itself.

    Attributes:
        cluster: hash of the cluster's name and secret, from `cluster_hash`.
        start_id: 16 random bytes, fresh for each run.
        link_port: TCP port of its peer links.
        grpc_port: TCP port of its gRPC endpoint, for tools.
    """

    cluster: str
    start_id: bytes
    link_port: int
    grpc_port: int

    def encode(self) -> str:
        """The tag's value."""
        text = f"{VERSION};c={self.cluster};s={self.start_id.hex()};l={self.link_port};g={self.grpc_port}"
        assert len(text) <= TAG_SIZE_BYTES_MAX
        return text


def cluster_hash(cluster: str, secret: bytes = b"") -> str:
    """16 hexadecimal digits: a chance meeting of two names is 1 in 2**64.

    Args:
        cluster: its name.
        secret: of the cluster, at most 64 bytes: nodes with another one, or with none, belong to another mesh.
    """
    return hashlib.blake2b(cluster.encode(), digest_size=8, key=secret).hexdigest()


def decode(text: str) -> MeshTag | None:
    """Reads a tag's value; None when it is not one of ours. Fields that a newer node adds are skipped."""
    version, _, rest = text[:TAG_SIZE_BYTES_MAX].partition(";")
    fields = dict(part.split("=", 1) for part in rest.split(";") if "=" in part)
    if version != VERSION:
        return None
    try:
        start_id = bytes.fromhex(fields["s"])
        link_port, grpc_port = int(fields["l"]), int(fields["g"])
        cluster = fields["c"]
    except (KeyError, ValueError):
        return None
    if len(start_id) != 16 or not all(0 < port <= 65_535 for port in (link_port, grpc_port)):
        return None
    return MeshTag(cluster=cluster, start_id=start_id, link_port=link_port, grpc_port=grpc_port)
