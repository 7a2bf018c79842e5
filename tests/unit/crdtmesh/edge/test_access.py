"""Who is at an endpoint, and what that one may do."""

from __future__ import annotations

import contextvars
import logging
import re
from pathlib import Path

import pytest

from crdtmesh.edge.access import METHODS, Access, Forbidden, current
from crdtmesh.edge.policies import Policies, Policy
from crdtmesh.identity.errors import IdentityError
from crdtmesh.identity.tokens import TokenEntry, hash_of, read_tokens, token_text, write_tokens
from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.errors import ErrorCode

TOKEN = token_text(bytes(32))
PROTO = Path(__file__).parents[4] / "proto" / "crdtmesh" / "v1"


def guarded(role: str = "client", *, expires_s: int = 100, policies: Policies | None = None) -> Access:
    entry = TokenEntry(name="till", role=role, hash=hash_of(TOKEN), expires_s=expires_s)
    return Access("home", tokens=lambda: {entry.hash: entry}, policies=policies, is_open=False, wall_s=lambda: 10.0)


def entered(access: Access, method: str = "crdtmesh.v1.State/Get", **shown: object) -> str:
    def run() -> str:
        access.enter(method, **{"is_local": False, **shown})  # type: ignore[arg-type]
        return str(current())

    return contextvars.copy_context().run(run)


def test_on_loopback_and_unix_sockets_everyone_is_local() -> None:
    assert "local" == entered(Access("home"), "crdtmesh.v1.Cluster/Leave")
    assert "local" == entered(guarded(), "crdtmesh.v1.Cluster/Leave", is_local=True)


def test_a_token_says_who_it_is() -> None:
    assert "client/till" == entered(guarded(), authorization=f"Bearer {TOKEN}")
    assert "client/till" == entered(guarded(), authorization=f"bearer  {TOKEN} ")


@pytest.mark.parametrize(
    "authorization",
    ["", TOKEN, f"Basic {TOKEN}", "Bearer ", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", "Bearer \udc80"],
)
def test_without_a_right_token_there_is_nothing_to_be_had(authorization: str) -> None:
    access = guarded()
    with pytest.raises(Forbidden) as refused:
        entered(access, authorization=authorization)

    assert refused.value.is_anonymous
    assert {"access.refused.unauthenticated": 1} == access.counters()


def test_a_token_ends() -> None:
    with pytest.raises(Forbidden):
        entered(guarded(expires_s=10), authorization=f"Bearer {TOKEN}")


def test_a_certificate_says_who_it_is_if_it_is_of_this_cluster_and_no_node() -> None:
    access = Access("home", is_open=False)
    assert "operator/alice" == entered(access, uris=["spiffe://home/operator/alice"])
    for uris in (
        ["spiffe://elsewhere/operator/alice"],
        ["spiffe://home/node/kitchen"],
        ["spiffe://home/operator/alice", "spiffe://home/operator/bob"],
        ["https://home/operator/alice"],
        [],
    ):
        with pytest.raises(Forbidden):
            entered(access, uris=uris)


@pytest.mark.parametrize(
    ("role", "method", "may"),
    [
        ("reader", "crdtmesh.v1.State/Get", True),
        ("reader", "crdtmesh.v1.State/Update", False),
        ("reader", "crdtmesh.v1.Actors/Invoke", False),
        ("client", "crdtmesh.v1.Actors/InvokeStream", True),
        ("client", "crdtmesh.v1.ActorHost/Connect", False),
        ("client", "http/system", False),
        ("host", "crdtmesh.v1.ActorHost/Connect", True),
        ("host", "crdtmesh.v1.Cluster/Leave", False),
        ("operator", "crdtmesh.v1.Cluster/Leave", True),
        ("client", "crdtmesh.v1.Something/New", False),
        ("operator", "crdtmesh.v1.Something/New", True),
    ],
)
def test_the_role_decides(role: str, method: str, may: bool) -> None:
    access = guarded(role)
    if may:
        assert f"{role}/till" == entered(access, method, authorization=f"Bearer {TOKEN}")
        return
    with pytest.raises(Forbidden) as refused:
        entered(access, method, authorization=f"Bearer {TOKEN}")
    assert not refused.value.is_anonymous
    assert {"access.refused.role": 1} == access.counters()


def test_a_reader_may_open_a_stream_of_calls_and_make_none() -> None:
    access = guarded("reader")

    def run() -> object:
        access.enter("crdtmesh.v1.Actors/InvokeStream", is_local=False, authorization=f"Bearer {TOKEN}")
        return access.check_call(ActorAddress("shop", "list"), "add", None)

    assert access.limits_calls
    assert "the role decides" in str(contextvars.copy_context().run(run))


def test_every_method_of_the_services_has_its_roles() -> None:
    found = set()
    for path in PROTO.glob("*.proto"):
        for service in re.finditer(r"^service (\w+) \{\n(.*?)^\}", path.read_text(), re.MULTILINE | re.DOTALL):
            found |= {f"crdtmesh.v1.{service[1]}/{name}" for name in re.findall(r"rpc (\w+)\(", service[2])}

    assert found == {method for method in METHODS if not method.startswith("http/")}


def test_policies_limit_calls_and_each_refusal_is_in_the_audit_log(caplog: pytest.LogCaptureFixture) -> None:
    access = Access("home", policies=Policies([Policy.parse("p", "type: deny\nactions: remove\nactors: joe")]))
    target, joe = ActorAddress("shop", "list"), ActorAddress("home", "joe")

    assert access.check_call(target, "add", joe) is None
    assert access.check_call(target, "remove", None) is None
    assert "denies" in str(access.check_call(target, "remove", joe))
    (record,) = caplog.records
    assert "access.refused" == record.getMessage()
    assert "joe" == record.fields["actor"]  # type: ignore[attr-defined]
    assert {"access.refused.policy": 1} == access.counters()


def test_one_client_makes_so_many_requests_and_calls_a_second_and_others_are_not_its_matter() -> None:
    now_s = [0.0]
    entry = TokenEntry(name="till", role="client", hash=hash_of(TOKEN), expires_s=100)
    access = Access(
        "home",
        tokens=lambda: {entry.hash: entry},
        is_open=False,
        rate_max=10,
        wall_s=lambda: 10.0,
        clock_s=lambda: now_s[0],
    )

    def calls(count: int) -> list[ErrorCode]:
        access.enter("crdtmesh.v1.Actors/InvokeStream", is_local=False, authorization=f"Bearer {TOKEN}")
        found = [access.check_call(ActorAddress("shop", "list"), "add", None) for _ in range(count)]
        return [refusal.code for refusal in found if refusal is not None]

    assert [ErrorCode.LIMIT_REACHED] * 5 == contextvars.copy_context().run(calls, 15)
    with pytest.raises(Forbidden) as refused:
        entered(access, authorization=f"Bearer {TOKEN}")
    assert refused.value.is_too_often
    assert "operator/alice" == entered(access, uris=["spiffe://home/operator/alice"])
    assert "local" == entered(access, is_local=True)

    now_s[0] = 0.5
    assert 1 == len(contextvars.copy_context().run(calls, 6))
    now_s[0] = 100.0
    assert [ErrorCode.LIMIT_REACHED] == contextvars.copy_context().run(calls, 11)


def test_the_audit_log_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    access = guarded()
    for _ in range(500):
        with pytest.raises(Forbidden):
            entered(access)

    assert 500 == access.refused["unauthenticated"]
    assert 30 > len(caplog.records)


def test_tokens_survive_their_file_and_the_file_holds_none(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    assert {} == read_tokens(path)
    entry = TokenEntry(name="till", role="client", hash=hash_of(TOKEN), expires_s=1)
    write_tokens(path, {entry.hash: entry})

    assert {entry.hash: entry} == read_tokens(path)
    assert TOKEN not in path.read_text()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1]", "[{}]", '[{"name":"x","role":"node","hash":"","expires_s":1}]', '[{"name":"x","role":"root"}]'],
)
def test_a_file_that_is_no_list_of_tokens_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(IdentityError, match="no list of tokens"):
        read_tokens(path)
