import socket
import sqlite3
from pathlib import Path

import pytest

from crdtmesh.config import NodeConfig
from crdtmesh.errors import StartError
from crdtmesh.local_node import LocalNode
from tests.e2e.cli import crdtmesh
from tests.e2e.conftest import Nodes


@pytest.mark.parametrize(
    ("option", "setting"),
    [("gossip", "--gossip-port"), ("link", "--link-port"), ("grpc", "--grpc-port"), ("http", "--http-port")],
)
async def test_a_taken_port_is_named_with_its_setting(nodes: Nodes, option: str, setting: str) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])

        with pytest.raises(StartError) as refused:
            await nodes.start("a", f"--{option}-port", port)

    assert port in str(refused.value)
    assert setting in str(refused.value)


async def test_a_directory_in_use_is_refused(nodes: Nodes) -> None:
    first = await nodes.start("a")

    with pytest.raises(StartError, match=r"in use|lock"):
        await nodes.start("a", "--discovery", "none")

    assert 0 == (await crdtmesh("status", endpoint=first.grpc)).code


async def test_a_directory_of_another_node_is_refused_untouched(nodes: Nodes) -> None:
    first = await nodes.start("a")
    await first.stop()
    before = _contents(nodes.folder / "a")

    with pytest.raises(StartError, match="belongs to"):
        await nodes.start("b", "--data-dir", str(nodes.folder / "a"))

    assert before == _contents(nodes.folder / "a")


async def test_a_directory_of_a_newer_format_is_refused_untouched(nodes: Nodes) -> None:
    first = await nodes.start("a")
    await first.stop()
    database = nodes.folder / "a" / "state.sqlite3"
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE meta SET value = '999' WHERE name = 'format_version'")
        assert 1 == connection.total_changes
    connection.close()
    before = _contents(nodes.folder / "a")

    with pytest.raises(StartError, match="newer"):
        await nodes.start("a")

    assert before == _contents(nodes.folder / "a")


async def test_insecure_is_said_at_each_start(tmp_path: Path) -> None:
    node = LocalNode(
        "a", tmp_path, cluster="test-insecure", arguments=("--bind", "0.0.0.0", "--insecure", "--discovery", "none")
    )
    try:
        await node.start()
        status = (await crdtmesh("status", "--format", "json", endpoint=node.grpc)).json()
    finally:
        await node.stop()

    assert any("--insecure" in warning for warning in status["warnings"])
    assert "--insecure" in node.log_path.read_text()


async def test_config_show_prints_what_up_would_use(tmp_path: Path) -> None:
    ran = await crdtmesh("config", "show", "--data-dir", str(tmp_path), "--format", "json")

    assert NodeConfig(data_dir=tmp_path).dump() == ran.json()


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    ("actors", "reason"),
    [("tests.e2e.actrs:system", "no module"), ("tests.e2e.actors:systm", "did you mean 'system'?")],
)
async def test_actors_that_can_not_be_loaded_end_the_node_with_the_reason(
    tmp_path: Path, actors: str, reason: str
) -> None:
    ports = [argument for name in ("gossip", "link", "grpc", "http") for argument in (f"--{name}-port", "0")]
    ran = await crdtmesh("up", "--data-dir", str(tmp_path / "a"), "--discovery", "none", "--actors", actors, *ports)

    assert 1 == ran.code
    assert reason in ran.err
    assert actors in ran.err.splitlines()[-1]


async def test_a_socket_path_that_holds_something_else_is_refused_untouched(nodes: Nodes) -> None:
    path = nodes.folder / "mine"
    path.write_text("not a socket")

    with pytest.raises(StartError, match="is not a socket"):
        await nodes.start("a", "--socket", str(path))

    assert "not a socket" == path.read_text()


@pytest.mark.parametrize(
    ("text", "hint"), [("grpc_prot = 1\n", "did you mean 'grpc_port'"), ("grpc_port = 'x'\n", "expected a port number")]
)
async def test_a_settings_file_that_can_not_be_used_is_named_with_the_key(tmp_path: Path, text: str, hint: str) -> None:
    file = tmp_path / "mesh.toml"
    file.write_text(text)

    ran = await crdtmesh("up", "--config", str(file), "--data-dir", str(tmp_path / "a"))

    assert 2 == ran.code
    assert str(file) in ran.err
    assert hint in ran.err
    assert not (tmp_path / "a").exists()
