"""Invitations: what a new machine shows to get a certificate, and what is left of each.

A token names where to redeem it, the authority by its fingerprint, and a secret of 128 bits. The book on disk keeps
only a hash of the secret, how often it may still be redeemed, and how often somebody may still be wrong. Each change is
on disk before anybody hears of it, so a crash can lose an answer and never give one twice.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from crdtmesh.identity.errors import IdentityError
from crdtmesh.identity.files import read_secret, write_secret

__all__ = ["Invitation", "InvitationBook", "Refused", "Token"]

SECRET_SIZE_BYTES: Final = 16
ID_SIZE_BYTES: Final = 8

# Of each invitation: a slip of the keyboard is forgiven, guessing 128 bits is not tried.
TRIES_MAX: Final = 5
USES_MAX: Final = 100
# At once; each takes 300 bytes on disk.
INVITATIONS_MAX: Final = 64

_PREFIX: Final = "crdtmesh-join-1."
_TOKEN_CHARS_MAX: Final = 1_024


class Refused(Exception):
    """An invitation can't be redeemed. The text is for the log of the node that was asked, never for who asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What the operator carries to the new machine.

    Attributes:
        address: HOST:PORT where it is redeemed.
        fingerprint: SHA-256 of the authority's certificate, in hexadecimal.
        cluster: which cluster it leads to.
        id: which invitation it is, in hexadecimal.
        secret: in hexadecimal.
        expires_s: when it ends, in seconds since 1970.
    """

    address: str
    fingerprint: str
    cluster: str
    id: str
    secret: str
    expires_s: int

    def __repr__(self) -> str:
        return f"Token(address={self.address!r}, id={self.id!r})"

    def encode(self) -> str:
        """The text that is carried."""
        body = json.dumps(list(asdict(self).values()), separators=(",", ":")).encode()
        check = hashlib.sha256(body).digest()[:4]
        return _PREFIX + base64.urlsafe_b64encode(check + body).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Token:
        """Reads a text that somebody typed or pasted.

        Raises:
            IdentityError: it is no token, or lost a piece on the way.
        """
        found = _decode(text.strip())
        if found is None:
            raise IdentityError("a token of crdtmesh invite expected, whole and unchanged")
        return found


def _decode(text: str) -> Token | None:
    if not text.startswith(_PREFIX) or len(text) > _TOKEN_CHARS_MAX:
        return None
    coded = text.removeprefix(_PREFIX)
    try:
        raw = base64.b64decode(coded + "=" * (-len(coded) % 4), altchars=b"-_", validate=True)
        address, mark, cluster, number, secret, expires_s = json.loads(raw[4:])
        sizes = [len(bytes.fromhex(value)) for value in (mark, number, secret)]
    except (ValueError, TypeError, RecursionError):
        return None
    is_whole = hashlib.sha256(raw[4:]).digest()[:4] == raw[:4]
    if not is_whole or sizes != [32, ID_SIZE_BYTES, SECRET_SIZE_BYTES] or not isinstance(expires_s, int):
        return None
    return Token(
        address=str(address), fingerprint=mark, cluster=str(cluster), id=number, secret=secret, expires_s=expires_s
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """One line of the book.

    Attributes:
        id: of the invitation.
        secret_hash: SHA-256 of its secret, in hexadecimal.
        uses_left, tries_left: how often it may be redeemed, and be asked for with a wrong secret.
        expires_s: in seconds since 1970.
        name: the only name that it gives a certificate for; empty for any that is free.
    """

    id: str
    secret_hash: str
    uses_left: int
    tries_left: int
    expires_s: int
    name: str = ""

    def is_open(self, now_s: float) -> bool:
        """Whether it may still be redeemed."""
        return self.uses_left > 0 and self.tries_left > 0 and now_s < self.expires_s


class InvitationBook:
    """The invitations of one authority, in a file that the command and the node share.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, *, number: bytes, secret: bytes, uses: int, expires_s: int, name: str, now_s: float) -> None:
        """Writes a new invitation down.

        Raises:
            IdentityError: too many are open, or the file can't be used.
        """
        with self._locked():
            kept = [found for found in self._read() if found.is_open(now_s)]
            if len(kept) >= INVITATIONS_MAX:
                raise IdentityError(
                    f"{INVITATIONS_MAX} invitations are open; wait until one ends, or remove {self._path}"
                )
            made = Invitation(
                id=number.hex(),
                secret_hash=hashlib.sha256(secret).hexdigest(),
                uses_left=uses,
                tries_left=TRIES_MAX,
                expires_s=expires_s,
                name=name,
            )
            self._write([*kept, made])

    def has_open(self, now_s: float) -> bool:
        """Whether there is anything to redeem; False also when the file can't be read."""
        try:
            return any(found.is_open(now_s) for found in self._read())
        except IdentityError:
            return False

    def redeem(self, number: str, secret: bytes, name: str, *, is_taken: bool, now_s: float) -> None:
        """Uses an invitation once. When this returns, the use is on disk.

        Args:
            number: which one.
            secret: what was shown.
            name: for which node a certificate is asked.
            is_taken: whether that name is in use: then only an invitation for this very name will do.
            now_s: the time, in seconds since 1970.

        Raises:
            Refused: with the reason; a wrong secret counts against the invitation, on disk.
            IdentityError: the file can't be used.
        """
        with self._locked():
            book = {found.id: found for found in self._read()}
            found = book.get(number)
            # Compared also when there is none, so that the time of an answer does not say which ids exist.
            shown = hashlib.sha256(secret).hexdigest()
            is_right = hmac.compare_digest(shown, found.secret_hash if found is not None else "0" * 64)
            if found is None:
                raise Refused("no such invitation")
            if not found.is_open(now_s):
                raise Refused("it has ended: used up, too often wrong, or too old")
            if not is_right:
                book[number] = replace(found, tries_left=found.tries_left - 1)
                self._write(list(book.values()))
                raise Refused(f"wrong secret; {found.tries_left - 1} tries are left")
            if found.name != name if found.name else is_taken:
                raise Refused(f"the name {name!r:.64} is {'not the invited one' if found.name else 'in use'}")
            book[number] = replace(found, uses_left=found.uses_left - 1)
            self._write(list(book.values()))

    def _read(self) -> list[Invitation]:
        if not self._path.exists():
            return []
        try:
            return [Invitation(**entry) for entry in json.loads(read_secret(self._path))]
        except (ValueError, TypeError):
            raise IdentityError(f"{self._path} is no list of invitations; remove it") from None

    def _write(self, book: list[Invitation]) -> None:
        write_secret(self._path, json.dumps([asdict(entry) for entry in book]).encode(), replaces=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time: the command adds while the node redeems."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self._path.with_name(f".{self._path.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise IdentityError(f"{self._path} can't be written: {error.strerror}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)
