from crdtmesh.directory import Directory, announcement
from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.messages import ActorOffer

START = bytes(16)
CART = ActorOffer(address=ActorAddress("shops", "cart"), state_type="crdtmesh.v1.ORSet", actions=("add",))
STOCK = ActorOffer(address=ActorAddress("shops", "stock"), state_type="crdtmesh.v1.PNCounter", actions=("sell",))


def _value(start: bytes, *offers: ActorOffer) -> object:
    return announcement(start, offers).arguments[0]


def test_offers_of_a_live_start_are_believed() -> None:
    directory = Directory("a")
    directory.set_entry("b", _value(START, STOCK, CART))
    directory.set_live({"b": START.hex()})

    assert {"b": [CART, STOCK]} == directory.offers()


def test_offers_of_an_earlier_start_are_ignored() -> None:
    directory = Directory("a")
    directory.set_entry("b", _value(START, CART))
    directory.set_live({"b": bytes([1] * 16).hex()})

    assert {} == directory.offers()


def test_a_node_is_not_told_of_its_own_offers() -> None:
    directory = Directory("a")
    directory.set_entry("a", _value(START, CART))
    directory.set_live({"a": START.hex()})

    assert {} == directory.offers()


def test_an_unreadable_entry_offers_nothing() -> None:
    directory = Directory("a")
    directory.set_live({"b": START.hex()})
    for value in (None, 5, {}, {"start": 1, "actors": []}, {"start": START.hex(), "actors": [["too", "short"]]}):
        directory.set_entry("b", _value(START, CART))
        directory.set_entry("b", value)
        assert {} == directory.offers()


def test_an_actor_is_listed_once_with_all_its_nodes() -> None:
    directory = Directory("a")
    directory.set_entry("b", _value(START, CART))
    directory.set_live({"b": START.hex()})

    assert [(CART, ["a", "b"]), (STOCK, ["a"])] == directory.actors([STOCK, CART])
