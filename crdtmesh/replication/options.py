"""The settings of a replica, and every limit on what a peer or a caller may make it hold."""

from dataclasses import dataclass
from typing import Final

SECOND_NS: Final = 1_000_000_000

# A key is a name that people write: parent, name and a separator of 256 bytes each, with room.
KEY_BYTES_MAX: Final = 1024

# The name of a system is counted by one byte on the wire.
SYSTEM_BYTES_MAX: Final = 255

# A system is a namespace that an operator configures; each costs its shards (about 2 kB each, when they are used). The
# digests of 256 systems, 80 bytes each, are one frame.
SYSTEMS_MAX: Final = 256

# More shards: repair, audit and a bootstrap work on smaller pieces, and each costs a vector of its own. 16 keep a shard
# of a million keys at 62,500. The number travels in one byte.
SHARDS_DEFAULT: Final = 16
SHARDS_MAX: Final = 256

# Replica ids of one shard are bounded by `crdts.dots.REPLICA_CAPACITY_MAX`, the capacity of its table.

# Buckets of the fingerprints of a shard: at a million keys in 16 shards one holds 15 entries, so a differing entry has
# the fallback send 15; the sums of all, 64 KiB, are less than a hundredth of the entries.
BUCKETS: Final = 4096

# Entries at about 420 B each (facts of the data types, section 13): 4.2 GB, more than any node we run.
ENTRIES_PER_SHARD_MAX: Final = 10_000_000

# One entry travels whole in a repair: at 4 MiB it takes 17 parts. Above 256 KiB it no longer fits one part and is worth
# a warning, because each repair then ships all of it.
ENTRY_BYTES_SOFT: Final = 256 * 1024
ENTRY_BYTES_MAX: Final = 4 * 1024 * 1024

# One event is at most one entry large; its dots are bounded by the operations that a turn may list.
OPERATIONS_PER_UPDATE_MAX: Final = 4096
KEYS_PER_EVENT_MAX: Final = 64

# Coalesced pushes stop growing here: half of a typical socket buffer, and 300 to 500 small events.
PUSH_FRAME_BYTES: Final = 32 * 1024

# What a peer link takes as one payload.
PAYLOAD_BYTES_MAX: Final = 256 * 1024

# A message above PAYLOAD_BYTES_MAX is cut into parts and put together again: one entry at its hard limit, its context
# and the vector beside it. One assembly per peer, so 30 peers can make us hold 180 MiB for as long as they send.
MESSAGE_BYTES_MAX: Final = 6 * 1024 * 1024

# Link-up peers. Full replication pushes to each; above about 30 a push tree takes over (a later issue).
PEERS_MAX: Final = 256

# Per peer, the bytes of pushes that a flush may hand over before the driver took the earlier ones.
OUTGOING_BYTES_PER_PEER_MAX: Final = 8 * 1024 * 1024

# Chunks of one shard that are put by until it is whole, and for how long when its sender went away: a shard of 62,500
# entries is 7.5 MB.
STAGED_BYTES_MAX: Final = 1024 * 1024 * 1024
STAGED_KEPT_NS: Final = 600 * SECOND_NS

# Records of updates that may wait for the disk are written at the latest when they are so large together: what an idle
# disk takes in some 10 ms.
POSTPONED_BYTES_MAX: Final = 1024 * 1024

# Ten years: beyond that it is no expiry.
TTL_MS_MAX: Final = 10 * 366 * 86_400_000

# Recent frames kept to tell a resent event from a doubled identity: 1,024 frames of at most 32 KiB, 4 MiB at most.
RECENT_FRAMES_MAX: Final = 1024
RECENT_BYTES_MAX: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicationOptions:
    """How a replica paces itself. Unit in each name.

    Attributes:
        shards: of each system; one number in the whole cluster, and for as long as its data lives: nodes and disks with
            another one are refused.
        repair_interval_ns: one random peer is asked this often. Longer: lost pushes heal later. Shorter: `digest`
            traffic of 80 bytes a system grows.
        repair_jitter_ns: added at random to each interval, so that nodes do not ask in step; less than the interval.
        repair_timeout_ns: a session without progress for so long is given up and counted as failed.
        repair_sessions_max: peers that this replica repairs at once; more are told "busy" by silence.
        repair_chunk_bytes: entries are gathered into one message of a repair until they are so large together; the
            rest of a payload is for names, contexts and the base.
        repair_chunks_in_flight: chunks of that size on their way to one peer before the first acknowledgement is due.
            With the default size 4 make 768 KiB, about bandwidth times delay of 100 Mbit/s over 60 ms.
        outgoing_bytes_per_peer_max: pushes to one peer waiting to be taken; above it they are dropped and the peer is
            repaired instead.
        checkpoint_log_bytes: so many bytes of log start a checkpoint: 1 MiB is about 40,000 events, which a restart
            replays in 1 to 2 s. Larger: longer restart. Smaller: hot entries are
            written more often.
        checkpoint_log_rows: likewise for rows.
        checkpoint_slice_entries: entries encoded in one flush while a checkpoint runs; bounds the pause (about 5 µs
            for a small one). Those that came as rows are not encoded, and not counted.
        checkpoint_slice_bytes: likewise in encoded bytes.
        index_runs_max: slots of the index of one shard; above it events are forgotten that some peer may still lack,
            and the peer is then sent all that differs in the shard. 20 bytes each.
        index_age_ns: events older than this are forgotten likewise.
        trim_interval_ns: how often it is looked up what all members have applied, so that it can be forgotten.
        trim_runs_min: a smaller index is left as it is.
        audit_interval_ns: so often one shard's entries are compared with those of a peer that has applied the same.
        drift_max_ms: a remote stamp further ahead than this does not advance the local clock.
        expected_nodes: size of the finished cluster, 0 if it is not known. Its majority is a floor that a short voter
            list does not lower: two fresh nodes that do not know each other yet are not each a majority of one.
        ttl_rules: (pattern of keys, milliseconds): each update of such an entry has it live for so long from then on;
            the first that fits. Nodes may have different ones; each has its own updates keep them.
        durability_rules: (pattern of keys, milliseconds) as in `durability`: how long updates of such an entry may wait
            for the disk; the first that fits. Nodes may have different ones.
        read_only: refuse updates and ignore peers from the start: how a node serves what its failed disk still holds.
    """

    shards: int = SHARDS_DEFAULT
    repair_interval_ns: int = SECOND_NS
    repair_jitter_ns: int = SECOND_NS // 4
    repair_timeout_ns: int = 10 * SECOND_NS
    repair_sessions_max: int = 3
    repair_chunk_bytes: int = 192 * 1024
    repair_chunks_in_flight: int = 4
    outgoing_bytes_per_peer_max: int = OUTGOING_BYTES_PER_PEER_MAX
    checkpoint_log_bytes: int = 1024 * 1024
    checkpoint_log_rows: int = 5_000
    checkpoint_slice_entries: int = 256
    checkpoint_slice_bytes: int = 256 * 1024
    index_runs_max: int = 1_000_000
    index_age_ns: int = 3600 * SECOND_NS
    trim_interval_ns: int = 10 * SECOND_NS
    trim_runs_min: int = 1024
    audit_interval_ns: int = 60 * SECOND_NS
    drift_max_ms: int = 60_000
    expected_nodes: int = 0
    ttl_rules: tuple[tuple[str, int], ...] = ()
    durability_rules: tuple[tuple[str, int], ...] = ()
    read_only: bool = False

    def __post_init__(self) -> None:
        """Refuses values that contradict each other."""
        for name in (
            "repair_interval_ns",
            "repair_timeout_ns",
            "repair_sessions_max",
            "repair_chunk_bytes",
            "repair_chunks_in_flight",
            "outgoing_bytes_per_peer_max",
            "checkpoint_log_bytes",
            "checkpoint_log_rows",
            "checkpoint_slice_entries",
            "checkpoint_slice_bytes",
            "index_runs_max",
            "index_age_ns",
            "trim_interval_ns",
            "trim_runs_min",
            "audit_interval_ns",
            "drift_max_ms",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: at least 1 expected")
        if not 1 <= self.shards <= SHARDS_MAX:
            raise ValueError(f"shards={self.shards}: 1 to {SHARDS_MAX} expected")
        for pattern, ttl_ms in self.ttl_rules:
            if not pattern or not 0 < ttl_ms <= TTL_MS_MAX:
                raise ValueError(f"ttl_rules: {pattern!r:.64} for 1 to {TTL_MS_MAX} ms expected, {ttl_ms} found")
        if self.expected_nodes < 0:
            raise ValueError(f"expected_nodes={self.expected_nodes}: 0 (not known) or more expected")
        if not 0 <= self.repair_jitter_ns < self.repair_interval_ns:
            raise ValueError(
                f"repair_jitter_ns={self.repair_jitter_ns}: 0 or more expected, and less than "
                f"repair_interval_ns={self.repair_interval_ns}"
            )
