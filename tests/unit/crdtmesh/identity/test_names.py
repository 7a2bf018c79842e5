"""What a certificate's name is, and what is none."""

import pytest

from crdtmesh.identity.names import ROLES, Name, name_in, parse


@pytest.mark.parametrize("role", ROLES)
def test_a_name_survives_its_written_form(role: str) -> None:
    name = Name("home", role, "kitchen.example")  # type: ignore[arg-type]

    assert name == parse(name.uri)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "spiffe://home",
        "spiffe://home/node",
        "spiffe://home/node/",
        "spiffe://home/admin/kitchen",
        "spiffe://home/node/kitchen/more",
        "spiffe://home/node/kitchen\n",
        "spiffe://home/node/../kitchen",
        "spiffe://home/node/-kitchen",
        "spiffe:///node/kitchen",
        "https://home/node/kitchen",
        "SPIFFE://home/node/kitchen",
        "spiffe://home/node/kitchen%2f",
        "spiffe://home/node/" + "k" * 129,
    ],
)
def test_what_only_looks_like_a_name_is_none(uri: str) -> None:
    assert parse(uri) is None


def test_a_certificate_with_two_names_proves_neither() -> None:
    one, two = ("URI", "spiffe://home/node/kitchen"), ("URI", "spiffe://home/node/hall")

    assert Name("home", "node", "kitchen") == name_in({"subjectAltName": (("DNS", "spiffe://home/node/hall"), one)})
    assert name_in({"subjectAltName": (one, two)}) is None
    assert name_in({"subjectAltName": (one, one)}) is None
    assert name_in({}) is None
    assert name_in(None) is None
