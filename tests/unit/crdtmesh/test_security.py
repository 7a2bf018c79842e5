"""Which files secure a node, and which starts are refused."""

import asyncio
import os
import secrets
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from crdtmesh import security
from crdtmesh.cli.main import cli
from crdtmesh.config import NodeConfig
from crdtmesh.errors import ConfigError
from crdtmesh.identity.errors import IdentityError
from crdtmesh.identity.keys import parse_keys
from crdtmesh.security import EXPIRY_WARNING_DAYS, NodeSecurity

EXPOSED = "192.0.2.1"


class Machine:
    """An identity folder, and nodes that use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "identity"

    def run(self, line: str) -> None:
        ran = CliRunner().invoke(cli, [*line.split(), "--identity-dir", str(self.folder)])
        assert 0 == ran.exit_code, ran.output

    def node(self, **settings: Any) -> NodeSecurity:
        return NodeSecurity(NodeConfig(**{"name": "kitchen", "identity_dir": self.folder, "join_port": 0, **settings}))

    def whole(self) -> NodeSecurity:
        self.run("certs init")
        self.run("certs issue kitchen")
        return self.node(bind=EXPOSED)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def _commands(error: ConfigError) -> list[str]:
    return [line.strip() for line in str(error).splitlines() if line.startswith("  crdtmesh ")]


def test_a_node_beyond_loopback_without_identity_is_told_two_commands_that_make_one(machine: Machine) -> None:
    with pytest.raises(ConfigError, match="beyond loopback") as refused:
        machine.node(bind=EXPOSED)
    commands = _commands(refused.value)
    assert 2 == len(commands)
    assert "--insecure" in str(refused.value)
    assert "crdtmesh invite" in str(refused.value)

    for command in commands:
        ran = CliRunner().invoke(cli, command.split()[1:])
        assert 0 == ran.exit_code, ran.output
    found = machine.node(bind=EXPOSED)
    assert found.links is not None
    assert found.keyring is not None


@pytest.mark.parametrize(
    ("missing", "commands"),
    [
        ("nodes/kitchen.pem", ["certs issue kitchen"]),
        ("gossip.keys", ["keys generate"]),
        ("authority.pem", ["certs issue kitchen"]),
    ],
)
def test_only_what_is_missing_is_asked_for(machine: Machine, missing: str, commands: list[str]) -> None:
    machine.whole()
    (machine.folder / missing).unlink()

    with pytest.raises(ConfigError) as refused:
        machine.node(bind=EXPOSED)

    assert [f"crdtmesh {line} --identity-dir {machine.folder}" for line in commands] == _commands(refused.value)


def test_insecure_uses_no_file_and_says_so(machine: Machine) -> None:
    machine.whole()
    found = machine.node(bind=EXPOSED, insecure=True)

    assert (None, None, b"") == (found.links, found.keyring, found.secret)
    assert any("--insecure" in warning for warning in found.warnings())


def test_loopback_needs_nothing_and_uses_what_is_there(machine: Machine) -> None:
    bare = machine.node()
    assert (None, None, b"", []) == (bare.links, bare.keyring, bare.secret, bare.warnings())

    machine.run("certs init")
    assert any("certs issue kitchen" in warning for warning in machine.node().warnings())

    machine.run("certs issue kitchen")
    found = machine.node()
    assert found.links is not None
    assert found.keyring is not None
    assert 32 == len(found.secret)
    assert [] == found.warnings()


def test_an_existing_authority_is_used_by_paths(machine: Machine, tmp_path: Path) -> None:
    machine.whole()
    bundle = (machine.folder / "nodes" / "kitchen.pem").read_text()
    key, _, certificate = bundle.partition("-----BEGIN CERTIFICATE-----")
    (tmp_path / "tls.key").write_text(key)
    (tmp_path / "tls.crt").write_text("-----BEGIN CERTIFICATE-----" + certificate)
    found = NodeSecurity(
        NodeConfig(
            name="kitchen",
            bind=EXPOSED,
            identity_dir=tmp_path / "empty",
            authority=machine.folder / "authority.pem",
            certificate=tmp_path / "tls.crt",
            certificate_key=tmp_path / "tls.key",
            gossip_keys=machine.folder / "gossip.keys",
        )
    )

    assert found.links is not None
    assert found.keyring is not None


def test_a_path_that_was_given_has_to_exist(machine: Machine, tmp_path: Path) -> None:
    machine.whole()

    with pytest.raises(IdentityError, match="can't be used"):
        machine.node(certificate=tmp_path / "absent.pem")
    with pytest.raises(IdentityError, match="can't be read"):
        machine.node(gossip_keys=tmp_path / "absent.keys")


@pytest.mark.parametrize("text", ["", "zz", "00"])
def test_a_spoilt_secret_is_refused(machine: Machine, text: str) -> None:
    machine.whole()
    (machine.folder / "cluster.secret").write_text(text)

    with pytest.raises(IdentityError, match="hexadecimal"):
        machine.node()


def test_another_secret_is_another_mesh_and_places_elsewhere(machine: Machine) -> None:
    one = machine.whole()
    (machine.folder / "cluster.secret").write_text(secrets.token_hex(32))
    two = machine.node(bind=EXPOSED)

    assert one.placement_key != two.placement_key
    assert one.secret != two.secret


def test_keys_that_were_rotated_in_the_file_are_used_without_a_restart(machine: Machine) -> None:
    node = machine.whole()
    assert node.keyring is not None
    old = node.keyring.keys
    for step, count in (("add", 2), ("use", 2), ("remove", 1)):
        machine.run(f"keys rotate {step}")
        node.reload()
        assert count == len(node.keyring.keys)
        assert tuple(parse_keys((machine.folder / "gossip.keys").read_bytes())) == node.keyring.keys
    assert old != node.keyring.keys


def test_keys_that_an_operator_changed_by_a_query_are_kept(machine: Machine) -> None:
    node = machine.whole()
    assert node.keyring is not None
    node.keyring.install(bytes(32))
    node.keyring.use(bytes(32))
    node.keys_changed()

    assert bytes(32) == parse_keys((machine.folder / "gossip.keys").read_bytes())[0]


def test_spoilt_files_leave_a_running_node_with_what_it_has(machine: Machine) -> None:
    node = machine.whole()
    assert node.keyring is not None
    keys, ends = node.keyring.keys, node.expires_s
    (machine.folder / "gossip.keys").write_text("x")
    (machine.folder / "nodes" / "kitchen.pem").write_text("x")
    node.reload()

    assert keys == node.keyring.keys
    assert ends == node.expires_s


def test_a_certificate_that_ends_is_announced_a_month_ahead_and_renewed_in_place(machine: Machine) -> None:
    machine.whole()
    machine.run(f"certs issue kitchen --renew --days {EXPIRY_WARNING_DAYS - 1}")
    node = machine.node(bind=EXPOSED)
    (warning,) = node.warnings()
    assert "certs issue kitchen --renew" in warning
    ends = node.view().certificate_ends_s

    machine.run(f"certs issue kitchen --renew --days {EXPIRY_WARNING_DAYS + 2}")
    node.reload()
    assert [] == node.warnings()
    assert ends < node.view().certificate_ends_s


async def test_who_is_believed_changes_with_the_authority_and_not_with_a_renewal(
    machine: Machine, tmp_path: Path
) -> None:
    machine.whole()
    node = machine.node()
    changes: list[int] = []
    await node.start("127.0.0.1:1", lambda _: False, trust_changed=lambda: changes.append(1))
    machine.run("certs issue kitchen --renew")
    node.reload()
    assert [] == changes

    other = Machine(tmp_path / "other")
    other.whole()
    authority = machine.folder / "authority.pem"
    authority.write_bytes(authority.read_bytes() + (other.folder / "authority.pem").read_bytes())
    node.reload()
    assert [1] == changes
    await node.aclose()


async def test_a_changed_file_is_noticed(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "WATCH_INTERVAL_S", 0.001)
    node = machine.whole()
    before = node.expires_s
    watch = asyncio.create_task(node.watch())
    machine.run("certs issue kitchen --renew --days 40")
    async with asyncio.timeout(10):
        while before == node.expires_s:  # noqa: ASYNC110 - the file system tells nobody
            await asyncio.sleep(0.001)
    watch.cancel()


def test_a_certificate_open_to_others_is_still_read_but_keys_are_not(machine: Machine) -> None:
    machine.whole()
    os.chmod(machine.folder / "gossip.keys", 0o644)

    with pytest.raises(IdentityError, match="chmod 600"):
        machine.node()
