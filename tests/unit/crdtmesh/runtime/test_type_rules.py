"""Data types that the settings give to actors whose SDK has no field for them."""

import pytest

from crdtmesh.runtime.definition import ActorAddress, ActorDefinition
from crdtmesh.runtime.type_rules import TypeRules
from tests.unit.crdtmesh.runtime.mesh import SYSTEM, Node, definition

STOCK = ActorAddress(SYSTEM, "stock-milk")


def opaque(actor: ActorAddress) -> ActorDefinition:
    return definition(actor, is_stateful=True)


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("stock-*", True),
        ("stock-????", True),
        ("stock-?", False),
        ("stock", False),
        ("shop/stock-*", True),
        ("farm/stock-*", False),
        ("*/stock-*", True),
        ("stock.milk", False),
    ],
)
def test_pattern_says_which_actors_it_is_about(pattern: str, fits: bool) -> None:
    (found,) = TypeRules([(pattern, "PNCounter")]).applied([opaque(STOCK)])
    assert ("PNCounter" if fits else None) == found.type_name


def test_first_rule_that_fits_counts() -> None:
    rules = TypeRules([("stock-milk", "GCounter"), ("stock-*", "PNCounter")])
    found = rules.applied([opaque(STOCK), opaque(ActorAddress(SYSTEM, "stock-tea"))])
    assert ["GCounter", "PNCounter"] == [each.type_name for each in found]


def test_type_that_a_host_declares_and_actors_without_state_stay() -> None:
    rules = TypeRules([("*", "PNCounter")])
    found = rules.applied([definition(STOCK, "ORSet"), definition(STOCK)])
    assert ["ORSet", None] == [each.type_name for each in found]


def test_host_of_such_an_actor_works_on_the_replicated_type() -> None:
    node = Node(type_rules=(("stock-*", "PNCounter"),))
    host = node.connect(opaque(STOCK))
    call = node.call(STOCK, "increment")
    host.run_all()
    assert node.reply(call)
    assert ["crdtmesh.v1.PNCounter"] == [offer.state_type for offer in node.runtime.offers()]
