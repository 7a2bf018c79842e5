"""Files with secrets."""

import os
import stat
from pathlib import Path

import pytest

from crdtmesh.identity import files
from crdtmesh.identity.errors import IdentityError
from crdtmesh.identity.files import append_line, read_secret, write_secret


@pytest.fixture(autouse=True)
def _wide_umask() -> object:
    before = os.umask(0)
    yield
    os.umask(before)


def test_only_the_owner_may_read_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "secret"
    write_secret(path, b"one")

    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)
    assert b"one" == read_secret(path)
    assert [path] == list(path.parent.iterdir())


def test_a_file_is_never_overwritten_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_secret(path, b"one")

    with pytest.raises(IdentityError, match="never overwritten"):
        write_secret(path, b"two")
    assert b"one" == read_secret(path)

    write_secret(path, b"three", replaces=True)
    assert b"three" == read_secret(path)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret"
    write_secret(path, b"one")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(IdentityError, match="No space left"):
        write_secret(path, b"two", replaces=True)

    assert b"one" == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o666])
def test_a_secret_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret"
    write_secret(path, b"one")
    path.chmod(mode)

    with pytest.raises(IdentityError, match="chmod 600"):
        read_secret(path)


def test_a_file_without_end_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_secret(path, bytes(files.FILE_SIZE_BYTES_MAX + 1))

    with pytest.raises(IdentityError, match="at most"):
        read_secret(path)
    with pytest.raises(IdentityError, match="No such file"):
        read_secret(tmp_path / "absent")


def test_lines_are_added_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "list"
    append_line(path, "one")
    append_line(path, "two")

    assert "one\ntwo\n" == path.read_text()
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
