"""Which declarations are taken, and what is said about the others."""

from typing import Any

import pytest

from crdtmesh.runtime.definition import ActorAddress, ActorDefinition, Kind, StateKind, address_of, state_key
from crdtmesh.runtime.errors import ErrorCode, Outcome, RegistrationRefused
from tests.unit.crdtmesh.runtime.mesh import ECHO, SHOP, STOCK, Node, definition


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": Kind.POOLED}, "kind NAMED or UNNAMED expected, got POOLED"),
        ({"kind": Kind.PROXY}, "kind NAMED or UNNAMED expected, got PROXY"),
        ({"kind": Kind.TASK}, "kind NAMED or UNNAMED expected, got TASK"),
        ({"kind": Kind.PROJECTION}, "kind NAMED or UNNAMED expected, got PROJECTION"),
        ({"is_stateful": True, "state_type": "crdtmesh.v1.PNCountr"}, "did you mean 'PNCounter'"),
        ({"address": ActorAddress("_mesh", "stock")}, "the mesh's own"),
        ({"address": ActorAddress("", "stock")}, "1 to 256 bytes expected, got 0"),
        ({"address": ActorAddress("shop", "")}, "1 to 256 bytes expected, got 0"),
        ({"address": ActorAddress("shop", "ü" * 129)}, "1 to 256 bytes expected, got 258"),
        ({"address": ActorAddress("shop", "a\0b")}, "printable"),
        ({"address": ActorAddress("shop", "a\nb")}, "printable"),
        ({"address": ActorAddress("shop", "\ud800")}, "printable"),
        ({"actions": frozenset({""})}, "action of actor shop/stock name of 1 to 256 bytes"),
        ({"actions": frozenset(map(str, range(1_025)))}, "at most 1024 actions expected, got 1025"),
    ],
)
def test_refused_registration_says_what_to_change_and_leaves_nothing(changes: dict[str, Any], message: str) -> None:
    node = Node()
    good, bad = definition(ECHO), definition(STOCK, **changes)
    with pytest.raises(RegistrationRefused, match=message) as caught:
        node.connect(good, bad)
    assert (ErrorCode.INVALID_REQUEST, Outcome.NOT_APPLIED) == (caught.value.code, caught.value.outcome)
    assert ErrorCode.UNKNOWN_ACTOR == node.failure(node.call(ECHO, "echo")).code


@pytest.mark.parametrize("kind", [Kind.NAMED, Kind.UNKNOWN])
def test_named_actors_are_taken_and_unknown_kind_means_named(kind: Kind) -> None:
    node = Node()
    host = node.connect(definition(ECHO, kind=kind))
    call = node.call(ECHO, "echo")
    host.run_all()
    assert node.reply(call)


def test_kind_of_state_follows_from_its_type() -> None:
    assert [StateKind.MERGED, StateKind.MERGED, StateKind.NONE] == [item.state for item in SHOP]
    assert StateKind.OPAQUE is ActorDefinition(address=STOCK, is_stateful=True, state_type="shop.Stock").state
    assert StateKind.NONE is ActorDefinition(address=STOCK, state_type="crdtmesh.v1.PNCounter").state


@pytest.mark.parametrize("address", [STOCK, ActorAddress("shop", "eve", "customer"), ActorAddress("shop", "a/b", "c")])
def test_key_of_a_state_tells_its_actor(address: ActorAddress) -> None:
    assert address == address_of(address.system, state_key(address))
