"""`certs` and `keys`, as commands."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from crdtmesh.cli.main import cli
from crdtmesh.identity.authority import new_request


class Machine:
    """Runs commands with one identity folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "identity"

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli, [*arguments, "--identity-dir", str(self.folder)])

    def json(self, *arguments: str) -> Any:
        ran = self.run(*arguments, "--format", "json")
        assert 0 == ran.exit_code, ran.output
        return json.loads(ran.output)

    def refused(self, *arguments: str) -> str:
        ran = self.run(*arguments)
        assert 1 == ran.exit_code, ran.output
        return ran.output

    def contents(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_two_commands_make_an_identity_that_only_its_owner_reads(machine: Machine) -> None:
    made = machine.json("certs", "init", "--cluster", "home")
    issued = machine.json("certs", "issue", "kitchen", "--cluster", "home")

    assert "home" == made["cluster"]
    assert "spiffe://home/node/kitchen" == issued["name"]
    assert str(machine.folder / "nodes" / "kitchen.pem") == issued["certificate"]
    files = [path for path in machine.folder.rglob("*") if path.is_file()]
    assert 6 == len(files)
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in files}


def test_nothing_is_overwritten(machine: Machine) -> None:
    machine.json("certs", "init")
    machine.json("certs", "issue", "kitchen")
    before = machine.contents()

    for arguments in (("certs", "init"), ("certs", "issue", "kitchen"), ("keys", "generate")):
        assert "never overwritten" in machine.refused(*arguments)
    assert before == machine.contents()


def test_a_renewal_replaces_the_certificate_and_its_key(machine: Machine) -> None:
    machine.json("certs", "init")
    path = Path(machine.json("certs", "issue", "kitchen")["certificate"])
    before = path.read_bytes()
    machine.json("certs", "issue", "kitchen", "--renew")

    assert before != path.read_bytes()
    assert 2 == len((machine.folder / "issued.jsonl").read_text().splitlines())


def test_a_request_is_signed_without_a_key_on_this_machine(machine: Machine, tmp_path: Path) -> None:
    machine.json("certs", "init")
    request = tmp_path / "request.pem"
    request.write_bytes(new_request("kitchen").signing_request)
    issued = machine.json("certs", "issue", "kitchen", "--request", str(request))

    assert issued["certificate"].startswith("-----BEGIN CERTIFICATE-----")
    assert not (machine.folder / "nodes").exists()


def test_only_the_machine_with_the_authoritys_key_issues_and_only_for_its_cluster(machine: Machine) -> None:
    assert "certs init" in machine.refused("certs", "issue", "kitchen")
    machine.json("certs", "init", "--cluster", "home")
    assert "of cluster 'home'" in machine.refused("certs", "issue", "kitchen", "--cluster", "work")


def test_a_name_that_is_none_is_refused(machine: Machine) -> None:
    machine.json("certs", "init")
    ran = machine.run("certs", "issue", "../kitchen")

    assert 2 == ran.exit_code
    assert "letters, digits" in ran.output


def test_a_rotation_goes_from_one_node_to_the_next(tmp_path: Path) -> None:
    one, two = Machine(tmp_path / "one"), Machine(tmp_path / "two")
    first = one.json("keys", "generate")["keys"]
    two.folder.mkdir(parents=True)
    (two.folder / "gossip.keys").write_bytes((one.folder / "gossip.keys").read_bytes())
    (two.folder / "gossip.keys").chmod(0o600)

    added = one.json("keys", "rotate", "add")["keys"]
    source = str(one.folder / "gossip.keys")
    assert added == two.json("keys", "rotate", "add", "--from", source)["keys"]
    assert first == added[:1]
    assert "already" in two.refused("keys", "rotate", "add", "--from", source)
    for machine in (one, two):
        assert added[::-1] == machine.json("keys", "rotate", "use")["keys"]
        assert added[1:] == machine.json("keys", "rotate", "remove")["keys"] == machine.json("keys", "list")["keys"]
