"""A removal of what has expired, by a node that lacks an earlier update than the one whose expiry it goes by.

A adds milk to a basket that expires, then bread. Writing the expiry anew takes the place of the first one. B gets the
bread and not the milk; the time comes, and B has the basket to remove. Did it do so, it would remove the bread and the
only expiry that there is: the milk that comes later would lie in a basket that never expires, on every node.

Found by `simulations run --seeds 1:1` when what clients read of expiring sets began to be judged.
"""

from crdtmesh.replication.expiring import GRACE_MS, TAKEOVER_MS
from crdtmesh.replication.options import ReplicationOptions
from simulations.scenarios.by_hand import Hand

TTL_MS = 1_000


def run() -> list[str]:
    """What went wrong; nothing if all is well."""
    hand = Hand("a", "b", options=ReplicationOptions(shards=1))
    hand.update("a", "basket", "ORSet", "add", "milk", ttl_ms=TTL_MS)
    hand.lose("a", "b")
    hand.update("a", "basket", "ORSet", "add", "bread", ttl_ms=TTL_MS)
    hand.deliver("a", "b")
    problems = []
    if hand.value("b", "basket", "ORSet") != ("bread",):
        problems.append(f"expected the bread alone at b, got {hand.value('b', 'basket', 'ORSet')!r}")
    hand.wall_ms += TTL_MS + GRACE_MS + 2 * TAKEOVER_MS
    hand.tick("b")
    hand.deliver("b", "a")  # a's own clock has not told it yet
    hand.settle()
    for name in ("a", "b"):
        hand.tick(name)
        if hand.value(name, "basket", "ORSet") is not None:
            problems.append(f"{name} shows {hand.value(name, 'basket', 'ORSet')!r}, which has expired")
    hand.wall_ms += 2 * TAKEOVER_MS
    for name in ("a", "b"):
        hand.tick(name)
    hand.settle()
    for name, replica in hand.replicas.items():
        left = [view.key.key for shard in replica._systems for view in shard.entries.sorted()]
        if left:
            problems.append(f"{name} still holds {left!r}")
    return problems
