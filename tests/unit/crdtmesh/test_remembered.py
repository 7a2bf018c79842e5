"""Peers that a node finds again after a restart."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import pytest

import gossip
from crdtmesh import remembered
from crdtmesh.remembered import FILE_NAME, PEERS_MAX, RememberedPeers

OURS = gossip.Announcement(cluster="c", node="a", endpoint=gossip.Endpoint("127.0.0.1", 7946))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "WRITE_DELAY_S", 0.0)


async def offered(folder: Path) -> list[str]:
    """What the next run tries."""
    found: list[str] = []
    peers = RememberedPeers(folder)
    await peers.start(OURS, lambda endpoint: found.append(str(endpoint)))
    await peers.close()
    return found


async def written(peers: RememberedPeers) -> None:
    assert peers._task is not None
    await peers._task


async def remember(folder: Path, *pairs: tuple[str, str]) -> RememberedPeers:
    peers = RememberedPeers(folder)
    peers.note(pairs)
    await written(peers)
    return peers


async def test_nobody_is_offered_in_the_first_run(tmp_path: Path) -> None:
    assert [] == await offered(tmp_path)


async def test_peers_of_the_last_run_are_offered_but_not_this_node(tmp_path: Path) -> None:
    await remember(tmp_path, ("c", "[::1]:7"), ("b", "127.0.0.1:5"), ("old", "127.0.0.1:7946"))
    assert ["127.0.0.1:5", "[::1]:7"] == await offered(tmp_path)


async def test_the_last_ones_stay_when_everybody_has_gone(tmp_path: Path) -> None:
    peers = await remember(tmp_path, ("b", "127.0.0.1:5"))
    peers.note([])
    assert ["127.0.0.1:5"] == await offered(tmp_path)


async def test_what_changes_while_it_is_written_is_written_too(tmp_path: Path) -> None:
    peers = RememberedPeers(tmp_path)
    peers.note([("b", "127.0.0.1:5")])
    await asyncio.sleep(0)
    peers.note([("b", "127.0.0.1:6")])
    await written(peers)
    assert ["127.0.0.1:6"] == await offered(tmp_path)


async def test_the_same_peers_are_not_written_again(tmp_path: Path) -> None:
    peers = await remember(tmp_path, ("b", "127.0.0.1:5"))
    before = (tmp_path / FILE_NAME).stat().st_ino
    task = peers._task
    peers.note([("b", "127.0.0.1:5")])
    assert task is peers._task
    assert before == (tmp_path / FILE_NAME).stat().st_ino


async def test_a_large_mesh_is_remembered_in_part(tmp_path: Path) -> None:
    await remember(tmp_path, *((f"node-{number:03}", f"127.0.0.1:{number + 1}") for number in range(200)))
    assert PEERS_MAX == len(await offered(tmp_path))


async def test_who_leaves_forgets_them_and_remembers_nobody_more(tmp_path: Path) -> None:
    peers = await remember(tmp_path, ("b", "127.0.0.1:5"))
    await peers.forget()
    peers.note([("c", "127.0.0.1:6")])
    assert [] == list(tmp_path.iterdir())
    await peers.forget()


def test_a_write_under_way_does_not_outlive_the_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, released = threading.Event(), threading.Event()

    def slow_sync(descriptor: int) -> None:
        begun.set()
        released.wait(10)

    async def leave() -> None:
        peers = RememberedPeers(tmp_path)
        peers.note([("b", "127.0.0.1:5")])
        await asyncio.to_thread(begun.wait, 10)
        asyncio.get_running_loop().call_later(0.1, released.set)
        await peers.forget()

    monkeypatch.setattr("os.fsync", slow_sync)
    asyncio.run(leave())  # waits for the thread that writes, too

    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"peers": []}',
        '{"peers": {"b": 5}}',
        "[" * 100_000,
        "x" * 100_000,
        '{"peers": {"b": ["x"]}}',
    ],
)
async def test_a_file_that_is_none_of_ours_is_left_aside(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    assert [] == await offered(tmp_path)
    await remember(tmp_path, ("b", "127.0.0.1:5"))
    assert ["127.0.0.1:5"] == await offered(tmp_path)


async def test_an_address_that_is_none_is_left_out(tmp_path: Path) -> None:
    names = ["", "x", "host:80", "127.0.0.1:0", "127.0.0.1:99999", "300.0.0.1:5", "127.0.0.1:5"]
    (tmp_path / FILE_NAME).write_text(json.dumps({"peers": {str(at): name for at, name in enumerate(names)}}))
    assert ["127.0.0.1:5"] == await offered(tmp_path)


async def test_a_folder_that_takes_no_file_is_no_reason_to_end(tmp_path: Path) -> None:
    await remember(tmp_path / "missing", ("b", "127.0.0.1:5"))
    assert [] == await offered(tmp_path / "missing")
