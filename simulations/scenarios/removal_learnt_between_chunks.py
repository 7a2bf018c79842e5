"""A repair in several chunks, and a removal that its sender learns between two of them.

C adds x to a set and removes it. B got the add only, A neither. B asks A, whose answer takes more chunks than may be
in flight; while A waits for the first acknowledgement, both events of C reach it. The set travels in a later chunk,
without x. Its context must hold the dot of the add, which B has applied and A has learnt since the session began:
else B keeps x and counts the removal as applied, and nothing ever tells the two apart again.
"""

from simulations.scenarios.by_hand import Hand

# Four chunks of 192 KiB may be in flight; these need seven.
LARGE = 64
LARGE_BYTES = 20_000


def run() -> list[str]:
    """What went wrong; nothing if all is well."""
    hand = Hand("a", "b", "c")
    for number in range(LARGE):
        # In the shard of the basket: each shard has a session of its own.
        hand.update("a", f"{{basket}}large-{number:02}", "LWWRegister", "set", "." * LARGE_BYTES)
    # Behind the large ones, so that it goes into the last chunk.
    hand.update("a", "basket", "ORSet", "add", "y")
    hand.lose("a", "b")
    hand.lose("a", "c")
    hand.update("c", "basket", "ORSet", "add", "x")
    hand.deliver("c", "b")
    hand.update("c", "basket", "ORSet", "remove", "x")
    hand.lose("c", "b")
    hand.ask("a", "b")
    hand.deliver("a", "b")
    hand.deliver("b", "a")
    if not 1 < hand.waiting("a", "b") < 7:
        return [f"expected a repair that waits for acknowledgements, got {hand.waiting('a', 'b')} payloads"]
    hand.deliver("c", "a")
    while hand.waiting("a", "b") or hand.waiting("b", "a"):
        hand.deliver("a", "b")
        hand.deliver("b", "a")
    hand.settle()
    expected = ("y",)
    return [
        f"{name} reads {hand.value(name, 'basket', 'ORSet')!r}, expected {expected!r}"
        for name in hand.replicas
        if hand.value(name, "basket", "ORSet") != expected
    ]
