"""The key file of gossip: one key a line in base64, the first one seals, all of them open.

A rotation changes the file in three steps, each done on every node before the next: `add` a key at the end, `use` it,
`remove` what is left of the old ones. Nodes that run read the file again by themselves. Serf's keyring files hold the
same keys as a JSON list; that form is read too.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from typing import Final

from crdtmesh.identity.errors import IdentityError

__all__ = ["KEYS_MAX", "KEY_SIZE_BYTES", "encode_keys", "key_id", "parse_keys", "rotated"]

KEY_SIZE_BYTES: Final = 32
# Every key is tried on every packet that does not open. A rotation needs two.
KEYS_MAX: Final = 16

_HEAD: Final = "# Keys that seal gossip: the first one seals, all of them open. See docs/guide/security.md.\n"


def parse_keys(data: bytes) -> list[bytes]:
    """The keys of a file, the first one seals.

    Raises:
        IdentityError: a line is no key of 16, 24 or 32 bytes in base64, or there are none or too many.
    """
    keys = []
    for number, text in enumerate(_texts(data), 1):
        try:
            key = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) not in (16, 24, 32):
            # Never the text itself: it may be a key with a slip in it.
            raise IdentityError(f"key {number} of the file: 16, 24 or 32 bytes in base64 expected")
        keys.append(key)
    if not 1 <= len(keys) <= KEYS_MAX:
        raise IdentityError(f"1 to {KEYS_MAX} keys expected, got {len(keys)}")
    return list(dict.fromkeys(keys))


def encode_keys(keys: Sequence[bytes]) -> bytes:
    """The file that holds these keys."""
    return (_HEAD + "".join(f"{base64.b64encode(key).decode()}\n" for key in keys)).encode()


def key_id(key: bytes) -> str:
    """Eight digits that tell keys apart and give nothing away."""
    return hashlib.blake2b(key, digest_size=4, person=b"crdtmesh-key").hexdigest()


def rotated(keys: Sequence[bytes], step: str, *, new_key: bytes) -> list[bytes]:
    """The keys after one step of a rotation.

    Args:
        keys: as they are.
        step: `add` a key that only opens, `use` the last one for sealing, or `remove` all but the first.
        new_key: what `add` adds.

    Raises:
        IdentityError: the step does not fit the keys.
    """
    if step == "add":
        if len(keys) >= KEYS_MAX:
            raise IdentityError(f"a file holds at most {KEYS_MAX} keys; end the rotation first: keys rotate remove")
        return [*keys, new_key]
    if len(keys) < 2:
        raise IdentityError(f"{step}: two keys expected, got {len(keys)}; begin a rotation first: keys rotate add")
    return [keys[-1], *keys[:-1]] if step == "use" else [keys[0]]


def _texts(data: bytes) -> list[str]:
    try:
        text = data.decode()
        if text.lstrip().startswith("["):
            found = json.loads(text)
            return [item if isinstance(item, str) else "" for item in found]
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise IdentityError("a text file of keys expected") from None
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
