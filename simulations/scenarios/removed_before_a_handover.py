"""An addition that arrives while a shard is handed over, and that the sender knew and had seen removed before.

C adds milk; A learns of it, removes it, and forgets to which entries the two events belong. B, which has neither, is
handed the whole shard: it compares entries with A, and both have no basket, so none is sent. Only then the late push of
C reaches B. The contexts that B takes over at the end say that both events are applied: B has to remove the milk, for
nothing will ever tell the two apart again but an audit.
"""

from crdtmesh.replication.options import ReplicationOptions
from simulations.scenarios.by_hand import Hand


def run() -> list[str]:
    """What went wrong; nothing if all is well."""
    hand = Hand("a", "b", "c", options=ReplicationOptions(shards=1))
    hand.update("c", "basket", "ORSet", "add", "milk")
    hand.deliver("c", "a")
    hand.update("a", "basket", "ORSet", "remove", "milk")
    hand.update("a", "stock", "PNCounter", "increment", 1)
    hand.lose("a", "b")
    hand.lose("a", "c")
    hand.forget("a")
    hand.ask("b", "a")
    hand.deliver("b", "a")  # b's digest
    hand.deliver("a", "b")
    hand.deliver("b", "a")  # what b has applied, which is below what a can look up
    hand.tick("a")  # offers
    hand.deliver("a", "b")
    hand.tick("b")  # has compared
    hand.deliver("c", "b")
    problems = []
    if hand.value("b", "basket", "ORSet") != ("milk",):
        problems.append(f"expected the late push at b, got {hand.value('b', 'basket', 'ORSet')!r}")
    while hand.waiting("a", "b") or hand.waiting("b", "a"):
        hand.deliver("b", "a")
        hand.deliver("a", "b")
    if hand.value("b", "stock", "PNCounter") != 1:
        problems.append(f"expected the shard at b, got stock {hand.value('b', 'stock', 'PNCounter')!r}")
    if hand.value("b", "basket", "ORSet") is not None:
        problems.append(f"b reads {hand.value('b', 'basket', 'ORSet')!r}, which was removed")
    return problems
