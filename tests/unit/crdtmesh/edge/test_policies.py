"""Access policies: Spawn's format, with lists and globs."""

from pathlib import Path

import pytest

from crdtmesh.edge.policies import POLICIES_MAX, Attempt, Policies, Policy
from crdtmesh.errors import ConfigError

CALL = Attempt("joe", "home", "add", "client/till", "shopping", "shop")


def policies(*texts: str) -> Policies:
    return Policies(Policy.parse(f"{number}.policy", text) for number, text in enumerate(texts))


def test_no_policy_lets_every_call_pass() -> None:
    assert policies().refusal(CALL) is None
    assert not policies()


@pytest.mark.parametrize(
    ("text", "is_let"),
    [
        ("type: allow", True),
        ("type: allow\nactors: joe", True),
        ("type: allow\nactors: robert, joe", True),
        ("type: allow\nactors: j*", True),
        ("type: allow\nactors: jo?", True),
        ("type: allow\nactors: *", True),
        ("type: allow\nactors: robert,*", True),
        ("type: allow\nactors: jo", False),
        ("type: allow\nactors: J*", False),
        ("type: allow\nactors: [j]oe", False),
        ("type: allow\nactors: ", False),
        ("type: allow\nactors: joe\nactions: remove", False),
        ("type: allow\nactor_systems: home\nactions: add, remove", True),
        ("type: allow\ncallers: client/*", True),
        ("type: allow\ncallers: operator/*", False),
        ("type: allow\ntarget_systems: shop\ntarget_actors: shop*", True),
        ("type: allow\ntarget_actors: shop", False),
        ("# a comment\n\ntype: deny\nactions: remove", True),
        ("type: deny\nactions: add", False),
        ("type: deny", False),
    ],
)
def test_a_policy_says_who_may_call(text: str, is_let: bool) -> None:
    assert is_let is (policies(text).refusal(CALL) is None)


def test_what_denies_wins_and_one_that_allows_is_enough() -> None:
    assert policies("type: allow\nactions: add", "type: allow\nactions: remove").refusal(CALL) is None
    assert "denies" in str(policies("type: allow", "type: deny\nactors: joe").refusal(CALL))
    assert "no policy" in str(policies("type: allow\nactions: remove", "type: deny\nactors: robert").refusal(CALL))


def test_a_call_of_no_actor_has_the_empty_name() -> None:
    assert policies("type: allow\nactors: joe").refusal(CALL._replace(actor="", actor_system="")) is not None
    assert policies("type: deny\nactors: ?*").refusal(CALL._replace(actor="")) is None


@pytest.mark.parametrize(
    "text",
    ["", "actors: joe", "type: maybe", "type: allow\ntype: deny", "type allow", "type: allow\nactor: joe", "\x00: x"],
)
def test_what_is_no_policy_is_refused_and_named(text: str) -> None:
    with pytest.raises(ConfigError, match="policy x"):
        Policy.parse("x", text)


def test_a_folder_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    assert not Policies.load(tmp_path / "absent")
    (tmp_path / "one.policy").write_text("type: deny\nactions: add")
    (tmp_path / "README").write_text("no policy")
    assert Policies.load(tmp_path).refusal(CALL) is not None

    (tmp_path / "two.policy").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"two\.policy"):
        Policies.load(tmp_path)


def test_policies_are_bounded(tmp_path: Path) -> None:
    for number in range(POLICIES_MAX + 1):
        (tmp_path / f"{number}.policy").write_text("type: allow")
    with pytest.raises(ConfigError, match="at most"):
        Policies.load(tmp_path)
    large = tmp_path / "large"
    large.mkdir()
    (large / "x.policy").write_text("#" * 100_000)
    with pytest.raises(ConfigError, match="at most"):
        Policies.load(large)
