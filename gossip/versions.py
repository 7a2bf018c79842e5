"""Which versions can live together.

One member with an incompatible version breaks the push/pull of every real agent that knows it, so we refuse it at the
door. They check whole tables before a push/pull and then refuse all of it; we refuse the misfits one by one, so that a
single one can't cut us off from everybody else.
"""

from gossip.codec import VERSIONS_SIZE

PROTOCOL_STREAM_PING = 3
PROTOCOL_NACK = 4
PROTOCOL_CRC = 5


def protocol_max(versions: bytes) -> int:
    """The highest protocol a member speaks: what it may be sent depends on this, not on what it speaks now."""
    return versions[1] if len(versions) == VERSIONS_SIZE else 1


def are_sane(versions: bytes) -> bool:
    """Whether an announced vector makes sense; one too short to tell passes.

    Source: memberlist's alive rule.
    """
    if len(versions) < 3:
        return True
    low, high = versions[0], versions[1]
    return 0 < low <= high


def are_compatible(ours: bytes, theirs: bytes) -> bool:
    """Whether both sides accept the other's current protocol and application version.

    A vector that is too short to compare passes: the other implementations skip such members, too.
    """
    if len(theirs) < VERSIONS_SIZE:
        return True
    pairs = ((0, 1, 2), (3, 4, 5))
    return all(
        theirs[low] <= ours[current] <= theirs[high] and ours[low] <= theirs[current] <= ours[high]
        for low, high, current in pairs
    )
