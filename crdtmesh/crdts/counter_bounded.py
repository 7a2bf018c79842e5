"""BoundedCounter: a counter that never goes below zero, without asking anyone at the time of a decrement.

State: DotFun from dot to what the dot's replica did: (replica id, created, spent, transfers), the transfers as
ascending pairs of receiver's replica id and sum. A replica moves its own sums under a fresh dot and supersedes only its
own old one.
Join: that of DotFun. Rights of a replica: created, minus spent, plus what was transferred to it, minus what it
transferred. Value: `{"rights": {replica id in hex: n}, "value": sum of created - sum of spent}`.

Who wins: everybody. `increment` creates rights at the replica that counts; `decrement` and `transfer` take from the
own rights and are refused with `InsufficientRights` beyond them, before anything happens. A replica sees all of its
own acts and perhaps not all that was given to it, so what it may spend is never more than what exists, and the sum of
all rights is the value. Where acts that others rely on have not arrived yet, the value reads 0 rather than less.

Rights belong to a replica id, and a node has a new one after each start: rights that it did not hand on before it
stopped are *stranded*. They still count in the value and nobody can spend them; that is the price of never guessing,
since a node that is silent may still be spending. So: `transfer` them before a planned stop, and keep the stock where
the decrements are. `value` lists who holds what.

There is no reset: a slot removed while others spend would take rights from under them. The removal of the key has the
same effect on concurrent acts: they survive with their replica's whole earlier sums, and rights that were given by a
removed slot become debts which their holder must work off first. Remove the key of a counter that nobody uses.
After a removal nothing is kept but the dots in the context. Size: one entry for each replica id that ever counted,
with one pair for each receiver.

Another bound than zero is an offset of the application's. Source: Balegas et al., SRDS 2015, "Extending eventually
consistent cloud databases for enforcing numeric invariants".
"""

from collections.abc import Mapping
from typing import ClassVar, Final

from crdtmesh.crdts.base import Delta, Mutation
from crdtmesh.crdts.codec import Reader, Writer, require_ascending
from crdtmesh.crdts.dot_funs import DotFunType, own_dots, slots, written
from crdtmesh.crdts.dots import DOT_BITS, REPLICA_ID_BYTES, Dot
from crdtmesh.crdts.errors import CodecError, InsufficientRights, InvalidOperation, shorten
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue

Transfers = tuple[tuple[bytes, int], ...]
Sums = tuple[bytes, int, int, Transfers]
"""(replica id, created, spent, transfers); each sum only grows."""

BoundedStore = dict[Dot, Sums]

SUM_MAX: Final = (1 << 47) - 1
"""Greatest sum of one replica: those of all 65,535 replicas of a table still add up to less than 2**63, so that what
the counter reads as is an integer of 64 bits."""

RECEIVERS_MAX: Final = 1_024
"""Most receivers of one replica's transfers: 25 bytes each keep an entry under 26 KiB, a tenth of a frame; a replica id
lasts one run, and handing rights to a thousand others within a run is a loop that went wrong."""


class BoundedCounter(DotFunType[Sums]):
    """The data type; see the module for its meaning.

    Operations: `increment(amount=1)`, `decrement(amount=1)`, `transfer(receiver, amount)`, the receiver as the replica
    id in hex, as `value` lists it.
    """

    name: ClassVar[str] = "BoundedCounter"
    operations: ClassVar[Mapping[str, tuple[int, int]]] = {"increment": (0, 1), "decrement": (0, 1), "transfer": (2, 2)}
    removal: ClassVar[str] = ""

    def _write(self, store: BoundedStore, operation: Operation, mutation: Mutation) -> Delta[BoundedStore] | None:
        own_id = mutation.table.id_of(mutation.replica)
        amount = _amount(operation)
        receiver = _receiver(operation, own_id) if operation.name == "transfer" else b""
        if amount == 0:
            return None
        own = own_dots(store, mutation.replica)
        _, created, spent, transfers = store[max(own)] if own else (own_id, 0, 0, ())
        if operation.name == "increment":
            created += amount
        else:
            self._require_rights(store, own_id, operation, amount)
            if receiver:
                given = dict(transfers)
                given[receiver] = given.get(receiver, 0) + amount
                transfers = tuple(sorted(given.items()))
            else:
                spent += amount
        if max(created, spent, *(each for _, each in transfers)) > SUM_MAX or len(transfers) > RECEIVERS_MAX:
            raise InvalidOperation(
                f"the sums of one replica must stay below 2**47 and its receivers within {RECEIVERS_MAX}; "
                f"{operation.name} on another node, or after a restart"
            )
        return written(mutation, (own_id, created, spent, transfers), own)

    def _require_rights(self, store: BoundedStore, own_id: bytes, operation: Operation, amount: int) -> None:
        rights = self.rights(store)
        own = rights.pop(own_id, 0)
        if own >= amount:
            return
        richest = max(rights, key=lambda replica_id: (rights[replica_id], replica_id), default=None)
        if richest is None or rights[richest] <= 0:
            advice = "nobody known here holds any; increment first"
        else:
            advice = f"{richest.hex()} holds {rights[richest]}; have it transfer some to {own_id.hex()}"
        raise InsufficientRights(
            f"{self.name}.{operation.name} of {amount} expected as many rights at this replica, it has {own}; {advice}"
        )

    def rights(self, store: BoundedStore) -> dict[bytes, int]:
        """Replica id to the rights that it holds as far as this store knows, in the order of ids.

        Less than zero only where acts that a decrement relied on are missing from the store.
        """
        rights: dict[bytes, int] = {}
        for replica_id, created, spent, transfers in slots(store).values():
            rights[replica_id] = rights.get(replica_id, 0) + created - spent - sum(given for _, given in transfers)
            for receiver, given in transfers:
                rights[receiver] = rights.get(receiver, 0) + given
        return dict(sorted(rights.items()))

    def value(self, store: BoundedStore) -> dict[str, PlainValue]:
        """The count, and who holds how much of it; see the module."""
        rights = self.rights(store)
        return {
            "rights": {replica_id.hex(): held for replica_id, held in rights.items() if held},
            "value": max(0, sum(rights.values())),
        }

    def _write_payload(self, writer: Writer, payload: Sums) -> None:
        _, created, spent, transfers = payload  # the replica id is that of the dot
        writer.integer(created)
        writer.integer(spent)
        writer.integer(len(transfers))
        for receiver, given in transfers:
            writer.binary(receiver)
            writer.integer(given)

    def _read_payload(self, reader: Reader, dot: Dot) -> Sums:
        replica_id = reader.table.id_of(dot >> DOT_BITS)
        created, spent = reader.integer(SUM_MAX), reader.integer(SUM_MAX)
        count = reader.integer(RECEIVERS_MAX)
        transfers = tuple([(reader.binary(), reader.integer(SUM_MAX, least=1)) for _ in range(count)])
        receivers = [receiver for receiver, _ in transfers]
        require_ascending(receivers)
        if any(len(each) != REPLICA_ID_BYTES or each == replica_id for each in receivers):
            raise CodecError(f"expected receivers of {REPLICA_ID_BYTES} bytes other than the giver")
        if not (created or spent or transfers):
            raise CodecError("expected an entry that counts something, got zeros")
        return replica_id, created, spent, transfers


def _amount(operation: Operation) -> int:
    amount: PlainValue = operation.arguments[-1] if operation.arguments else 1
    if type(amount) is not int:
        raise InvalidOperation(f"BoundedCounter.{operation.name} takes an int, got {shorten(amount)}")
    if amount < 0:
        opposite = {"increment": "decrement", "decrement": "increment"}.get(operation.name, "transfer from the other")
        raise InvalidOperation(f"BoundedCounter.{operation.name} takes 0 or more, got {amount}; call {opposite}")
    if amount > SUM_MAX:
        raise InvalidOperation(f"BoundedCounter.{operation.name} takes less than 2**47, got {shorten(amount)}")
    return amount


def _receiver(operation: Operation, own_id: bytes) -> bytes:
    text = operation.arguments[0]
    try:
        receiver = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        receiver = b""
    if len(receiver) != REPLICA_ID_BYTES or receiver.hex() != text:
        raise InvalidOperation(
            f"BoundedCounter.transfer takes a replica id of 32 hex digits first, got {shorten(text)}; value lists them"
        )
    if receiver == own_id:
        raise InvalidOperation("BoundedCounter.transfer takes another replica's id, got the own; nothing to transfer")
    return receiver


BOUNDED_COUNTER: Final = BoundedCounter()
"""The data type's only instance."""
