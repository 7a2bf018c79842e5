"""What `status` shows of a node's peers and of its state."""

from __future__ import annotations

from crdtmesh.edge.cluster import PeerView, SystemView
from crdtmesh.links import LinkManager
from crdtmesh.membership import Membership
from crdtmesh.replication.replica import Replica

__all__ = ["peer_views", "system_views"]


def peer_views(replica: Replica, manager: LinkManager, membership: Membership) -> list[PeerView]:
    """The other nodes: those of the membership, and those with a link."""
    links = {link.peer: link for link in manager.links()}
    return [
        PeerView(
            name=name,
            linked=name in links,
            awaits_repair=name in replica.lagging,
            queued_bytes=sum(links[name].queued_bytes) if name in links else 0,
        )
        for name in sorted({*links, *membership.peers()})
    ]


def system_views(replica: Replica, *, digests: bool) -> list[SystemView]:
    """The actor systems that this node holds; digests cost O(entries)."""
    return [
        SystemView(
            system=shard.system,
            entries=shard.entries,
            events=shard.events,
            voters=replica.voters(shard.system),
            digest=replica.digest(shard.system).hex() if digests else "",
        )
        for shard in replica.summary()
    ]
