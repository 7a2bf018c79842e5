"""Files with secrets: mode 0600 in folders of mode 0700, written whole or not at all.

The names in an identity folder are decided here.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crdtmesh.identity.errors import IdentityError

__all__ = ["IdentityFolder", "read_secret", "write_secret"]

# A chain of certificates takes 1 to 4 KiB each; nothing here is larger.
FILE_SIZE_BYTES_MAX: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class IdentityFolder:
    """Where the files of one cluster's identity are on this machine."""

    path: Path

    @property
    def authority(self) -> Path:
        """The authority's certificate; several while one replaces another."""
        return self.path / "authority.pem"

    @property
    def authority_key(self) -> Path:
        """The authority's private key: only on the machine that issues."""
        return self.path / "authority.key"

    @property
    def gossip_keys(self) -> Path:
        """The keys that seal gossip, one on a line."""
        return self.path / "gossip.keys"

    @property
    def cluster_secret(self) -> Path:
        """The secret that placement is keyed with; the same on all nodes, never changed."""
        return self.path / "cluster.secret"

    @property
    def invitations(self) -> Path:
        """Invitations that are open: hashes of their secrets, what is left of them."""
        return self.path / "invitations.json"

    @property
    def issued(self) -> Path:
        """One line for each certificate that was issued here."""
        return self.path / "issued.jsonl"

    @property
    def tokens(self) -> Path:
        """Hashes of the tokens that clients show at an endpoint beyond loopback."""
        return self.path / "tokens.json"

    @property
    def policies(self) -> Path:
        """The folder of access policies."""
        return self.path / "policies"

    def certificate(self, name: str, role: str = "node") -> Path:
        """The private key and the certificate of one holder, in one file: both are replaced at once."""
        return self.path / f"{role}s" / f"{name}.pem"


def write_secret(path: Path, data: bytes, *, replaces: bool = False) -> None:
    """Writes a file that only its owner may read. After a crash it is whole, old or absent.

    Args:
        path: of the file; its folder is made if absent.
        data: the contents.
        replaces: whether a file that exists is replaced.

    Raises:
        IdentityError: the file exists, or can't be written; nothing was changed.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            _write_synced(beside, data)
            if replaces:
                beside.replace(path)
            else:
                path.hardlink_to(beside)  # unlike a rename it fails if the file exists
        finally:
            beside.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except FileExistsError:
        raise IdentityError(f"{path} exists and is never overwritten; move it away, or name another folder") from None
    except OSError as error:
        raise IdentityError(f"{path} can't be written: {error.strerror}") from None


def append_line(path: Path, line: str) -> None:
    """Adds one line to a file of the owner's, synced.

    Raises:
        IdentityError: it can't be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, f"{line}\n".encode())
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise IdentityError(f"{path} can't be written: {error.strerror}") from None


def read_secret(path: Path) -> bytes:
    """Reads a file that nobody else may read.

    Raises:
        IdentityError: it is absent, too large, or open to others.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(FILE_SIZE_BYTES_MAX + 1)
    except OSError as error:
        raise IdentityError(f"{path} can't be read: {error.strerror}") from None
    if mode & 0o077:
        raise IdentityError(f"{path} is open to others (mode {mode & 0o777:o}); run: chmod 600 {path}")
    if len(data) > FILE_SIZE_BYTES_MAX:
        raise IdentityError(f"{path}: at most {FILE_SIZE_BYTES_MAX} bytes expected")
    return data


def _write_synced(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _sync_folder(path: Path) -> None:
    # Some file systems do not sync folders; the file itself is synced there as well.
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
