"""Dots packed into integers, and the table that makes packing possible.

A *dot* names one primitive mutation: the n-th of one replica id. As a tuple it would cost 64 bytes and a slow hash;
packed as `replica << 44 | n` it is one int of 32 bytes that the garbage collector does not track. `replica` is a
small integer that only this `ReplicaTable` knows: what leaves the process carries the replica id instead, and what
must be the same everywhere (encodings, tie-breaks) is ordered by the bytes of the replica id, never by the small
integer.
"""

from collections.abc import Iterable
from typing import Final, TypeAlias

from crdtmesh.crdts.errors import ReplicaTableFull

Dot: TypeAlias = int
"""`replica << 44 | n`, with 1 <= n < 2**44. An alias and not a NewType: dots are computed with in the hottest loops."""

DOT_BITS: Final = 44
"""Bits of n. At a million mutations a second of one replica id they last for 200 days; a replica id lasts one run."""

N_MAX: Final = (1 << DOT_BITS) - 1
"""Greatest n of a dot."""

REPLICA_ID_BYTES: Final = 16
"""Length of a replica id: 128 random bits, drawn at each start of a node."""

REPLICA_CAPACITY_MAX: Final = (1 << 16) - 1
"""Most replica ids of one table. 44 + 16 bits keep every dot within two 30-bit digits of a CPython int; 65,535 starts
of nodes outlast retirement by far, and fill 8 MB at worst."""


def pack_dot(replica: int, n: int) -> Dot:
    """The dot of the n-th mutation of a replica.

    Raises:
        ValueError: n is not in 1 .. 2**44 - 1, or the replica is not one that a table hands out.
    """
    if not 1 <= n <= N_MAX:
        raise ValueError(f"a dot's n must be in 1 .. 2**44 - 1, got {n}")
    if not 1 <= replica <= REPLICA_CAPACITY_MAX:
        raise ValueError(f"an interned replica must be in 1 .. {REPLICA_CAPACITY_MAX}, got {replica}")
    return replica << DOT_BITS | n


def replica_of(dot: Dot) -> int:
    """The interned replica of a dot."""
    return dot >> DOT_BITS


def n_of(dot: Dot) -> int:
    """The number of a dot within its replica."""
    return dot & N_MAX


class ReplicaTable:
    """Interns replica ids to small integers, up to an explicit capacity.

    One table serves one shard. It only grows; an interned replica keeps its integer as long as the table lives.
    Integer 0 is never handed out: it is kept for the marks of retired replicas.
    """

    __slots__ = ("_ids", "_numbers", "capacity")

    def __init__(self, capacity: int = REPLICA_CAPACITY_MAX) -> None:
        if not 1 <= capacity <= REPLICA_CAPACITY_MAX:
            raise ValueError(f"capacity must be in 1 .. {REPLICA_CAPACITY_MAX}, got {capacity}")
        self.capacity: Final = capacity
        self._ids: list[bytes] = [bytes(REPLICA_ID_BYTES)]
        self._numbers: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, replica_id: object) -> bool:
        return replica_id in self._numbers

    def intern(self, replica_id: bytes) -> int:
        """The small integer of a replica id, which is added if it is new.

        Raises:
            ValueError: the id has not 16 bytes.
            TypeError: it is text.
            ReplicaTableFull: the id is new and the table is at its capacity; nothing was added.
        """
        number = self._numbers.get(replica_id)
        if number is not None:
            return number
        if isinstance(replica_id, str):
            raise TypeError(f"a replica id is {REPLICA_ID_BYTES} bytes, got text; encode it, or call bytes.fromhex")
        if len(replica_id) != REPLICA_ID_BYTES:
            raise ValueError(f"a replica id has {REPLICA_ID_BYTES} bytes, got {len(replica_id)}")
        if len(self._numbers) >= self.capacity:
            raise ReplicaTableFull(f"replica table holds capacity={self.capacity} replica ids; retire old ones")
        number = len(self._ids)
        replica_id = bytes(replica_id)
        self._ids.append(replica_id)
        self._numbers[replica_id] = number
        return number

    def find(self, replica_id: bytes) -> int | None:
        """The small integer of a replica id, or None if the table does not have it."""
        return self._numbers.get(replica_id)

    def id_of(self, replica: int) -> bytes:
        """The replica id behind a small integer.

        Raises:
            LookupError: the integer was not handed out by this table.
        """
        if not 1 <= replica < len(self._ids):
            raise LookupError(f"no replica {replica} in a table of {len(self)}")
        return self._ids[replica]

    def ids_of(self, replicas: Iterable[int]) -> bytes:
        """The replica ids behind small integers that this table handed out, one after the other."""
        return b"".join(map(self._ids.__getitem__, replicas))

    def sort_key(self, dot: Dot) -> tuple[bytes, int]:
        """The key that orders dots the same way in every process."""
        return self._ids[dot >> DOT_BITS], dot & N_MAX
