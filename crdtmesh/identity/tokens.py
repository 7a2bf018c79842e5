"""Tokens that clients show at an endpoint beyond loopback: made once, kept as hashes.

A token has 256 random bits, so a plain hash is enough: there is nothing to guess. Revoking takes it out of the file,
which a node that runs reads again.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from crdtmesh.identity.errors import IdentityError
from crdtmesh.identity.files import read_secret, write_secret
from crdtmesh.identity.names import ROLES

__all__ = ["TOKEN_SIZE_BYTES", "TokenEntry", "hash_of", "read_tokens", "token_text", "write_tokens"]

TOKEN_SIZE_BYTES: Final = 32
TOKENS_MAX: Final = 1_024

_PREFIX: Final = "crdtmesh-token-1."


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEntry:
    """What is kept of one token.

    Attributes:
        name: of its holder.
        role: what the holder may do.
        hash: SHA-256 of the token's text, in hexadecimal.
        expires_s: when it ends, in seconds since 1970.
    """

    name: str
    role: str
    hash: str
    expires_s: int


def token_text(random_bytes: bytes) -> str:
    """The text that the holder gets."""
    return _PREFIX + base64.urlsafe_b64encode(random_bytes).decode().rstrip("=")


def hash_of(text: str) -> str:
    """What the file keeps of it."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def read_tokens(path: Path) -> dict[str, TokenEntry]:
    """The tokens of a file, by hash; none if it does not exist.

    Raises:
        IdentityError: it is no list of tokens.
    """
    if not path.exists():
        return {}
    try:
        entries = [_entry(item) for item in json.loads(read_secret(path))]
    except (ValueError, TypeError, KeyError):
        raise IdentityError(f"{path} is no list of tokens; write it by crdtmesh tokens") from None
    return {entry.hash: entry for entry in entries}


def write_tokens(path: Path, entries: Mapping[str, TokenEntry]) -> None:
    """Replaces the file.

    Raises:
        IdentityError: too many, or it can't be written.
    """
    if len(entries) > TOKENS_MAX:
        raise IdentityError(f"at most {TOKENS_MAX} tokens expected; revoke some")
    write_secret(path, json.dumps([asdict(entry) for entry in entries.values()]).encode(), replaces=True)


def _entry(item: dict[str, Any]) -> TokenEntry:
    entry = TokenEntry(**item)
    if entry.role not in ROLES or entry.role == "node" or not isinstance(entry.expires_s, int):
        raise ValueError
    return entry
