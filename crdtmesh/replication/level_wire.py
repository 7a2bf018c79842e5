"""Bytes of the messages by which voters are asked and counted.

    asker                                  voter
    CONFIRM  number, events, is_urgent ──►              say when these are applied, and on disk
             ◄── CONFIRMED  number                      once they are
             ◄── LACKS  number, E                       to an urgent one, when they are not; the question stays noted
    READ     number, entry, E          ──►
             ◄── HAS  number, E, events                 behind a REPAIR of the entry, if the asker lacked these events
    TELL     number                    ──►
             ◄── MARK  number, E of its shards          for each system
             ◄── TOLD  number, marks

Numbers are the asker's own. They begin at a random one in each run, so that an answer to an earlier run of a node under
the same name counts for nothing.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeVar

from crdtmesh.crdts.codec import Reader, Writer
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import ReplicaTable
from crdtmesh.crdts.errors import CodecError
from crdtmesh.replication.errors import shown
from crdtmesh.replication.events import EntryName
from crdtmesh.replication.options import KEY_BYTES_MAX, SHARDS_MAX, SYSTEMS_MAX
from crdtmesh.replication.wire import Kind

M = TypeVar("M")

NUMBER_MAX: Final = (1 << 60) - 1


class Confirm(NamedTuple):
    """Asks a voter to say when it has applied these events of a shard and has them on disk."""

    shard: int
    number: int
    is_urgent: bool
    events: CausalContext


class Lacks(NamedTuple):
    """A voter has not applied all that it was asked to confirm; `applied` is what it has."""

    shard: int
    number: int
    applied: CausalContext


class Read(NamedTuple):
    """Asks a voter for what it has beyond `applied` of an entry; or, with an empty type, of all keys that begin so."""

    shard: int
    number: int
    name: EntryName
    applied: CausalContext


class Has(NamedTuple):
    """A voter has `applied`; `events` are those that the asker lacked of what it asked for."""

    shard: int
    number: int
    applied: CausalContext
    events: CausalContext


class Mark(NamedTuple):
    """What a node has applied of one system, by shard."""

    number: int
    applied: tuple[tuple[int, CausalContext], ...]


class Told(NamedTuple):
    """So many systems have a MARK."""

    number: int
    marks: int


AboutShard = Confirm | Lacks | Read | Has
Message = AboutShard | Mark | Told | int


def body(table: ReplicaTable, write: Callable[[Writer, M], None], message: M) -> bytes:
    """The body of a message."""
    writer = Writer(table)
    write(writer, message)
    return writer.finish()


def write_confirm(writer: Writer, confirm: Confirm) -> None:
    """Writes the body of a CONFIRM."""
    writer.integer(confirm.shard)
    writer.integer(confirm.number)
    writer.integer(int(confirm.is_urgent))
    writer.context(confirm.events)


def read_confirm(reader: Reader) -> Confirm:
    """Reads the body of a CONFIRM."""
    return Confirm(_read_shard(reader), read_number(reader), reader.integer(1) == 1, reader.context())


def write_number(writer: Writer, number: int) -> None:
    """Writes the body of a CONFIRMED or a TELL."""
    writer.integer(number)


def read_number(reader: Reader) -> int:
    """Reads the body of a CONFIRMED or a TELL."""
    return reader.integer(NUMBER_MAX)


def write_lacks(writer: Writer, lacks: Lacks) -> None:
    """Writes the body of a LACKS."""
    writer.integer(lacks.shard)
    writer.integer(lacks.number)
    writer.context(lacks.applied)


def read_lacks(reader: Reader) -> Lacks:
    """Reads the body of a LACKS."""
    return Lacks(_read_shard(reader), read_number(reader), reader.context())


def write_read(writer: Writer, read: Read) -> None:
    """Writes the body of a READ."""
    writer.integer(read.shard)
    writer.integer(read.number)
    writer.text(read.name.key)
    writer.text(read.name.type_name)
    writer.context(read.applied)


def read_read(reader: Reader) -> Read:
    """Reads the body of a READ."""
    shard, number = _read_shard(reader), read_number(reader)
    key, type_name = reader.text(), reader.text()
    if not bool(type_name) <= len(key.encode()) <= KEY_BYTES_MAX or len(type_name.encode()) > KEY_BYTES_MAX:
        raise CodecError(f"expected a key and a type of at most {KEY_BYTES_MAX} bytes, got {shown(key)}")
    return Read(shard, number, EntryName(key, type_name), reader.context())


def write_has(writer: Writer, has: Has) -> None:
    """Writes the body of a HAS."""
    writer.integer(has.shard)
    writer.integer(has.number)
    writer.context(has.applied)
    writer.context(has.events)


def read_has(reader: Reader) -> Has:
    """Reads the body of a HAS."""
    return Has(_read_shard(reader), read_number(reader), reader.context(), reader.context())


def write_mark(writer: Writer, mark: Mark) -> None:
    """Writes the body of a MARK."""
    writer.integer(mark.number)
    writer.integer(len(mark.applied))
    for shard, applied in mark.applied:
        writer.integer(shard)
        writer.context(applied)


def read_mark(reader: Reader) -> Mark:
    """Reads the body of a MARK."""
    number = read_number(reader)
    return Mark(number, tuple((_read_shard(reader), reader.context()) for _ in range(reader.integer(SHARDS_MAX))))


def write_told(writer: Writer, told: Told) -> None:
    """Writes the body of a TOLD."""
    writer.integer(told.number)
    writer.integer(told.marks)


def read_told(reader: Reader) -> Told:
    """Reads the body of a TOLD."""
    return Told(read_number(reader), reader.integer(SYSTEMS_MAX))


def _read_shard(reader: Reader) -> int:
    return reader.integer(SHARDS_MAX - 1)


READERS: Final[Mapping[Kind, Callable[[Reader], Message]]] = {
    Kind.CONFIRM: read_confirm,
    Kind.CONFIRMED: read_number,
    Kind.LACKS: read_lacks,
    Kind.READ: read_read,
    Kind.HAS: read_has,
    Kind.TELL: read_number,
    Kind.MARK: read_mark,
    Kind.TOLD: read_told,
}
"""How the body of each message is read."""


def names_dots(message: AboutShard) -> bool:
    """Whether a message tells of events, so that its shard exists somewhere."""
    return bool(message.events if isinstance(message, Confirm) else message.applied)
