"""Queries about keys: an operator rotates the keys of a cluster while it runs."""

import base64
from typing import Any, Final

from gossip.codec import pack, read_bytes, unpack_map
from gossip.errors import ConfigError, DecodeError
from gossip.security import Keyring
from gossip.serf.messages import SerfType

_NO_KEYRING: Final = "this node has no keyring: encryption is off"
_CHANGES: Final = {"_serf_install-key": "install", "_serf_use-key": "use", "_serf_remove-key": "remove"}
_LIST: Final = "_serf_list-keys"

NAMES: Final = frozenset({*_CHANGES, _LIST})
"""The queries that `answer` takes."""


def answer(name: str, payload: bytes, keyring: Keyring | None, *, size_bytes_max: int) -> tuple[bytes, bool]:
    """Does what a query about keys asks for.

    Args:
        name: one of `NAMES`.
        payload: of the query.
        keyring: of this node.
        size_bytes_max: of the answer; a list that does not fit is cut and says so.

    Returns:
        The answer, and whether the keyring was changed.
    """
    if keyring is None:
        return _response(result=False, message=_NO_KEYRING), False
    if name == _LIST:
        return _listing(keyring, size_bytes_max), False
    before = keyring.keys
    try:
        getattr(keyring, _CHANGES[name])(_read_key(payload))
    except (ConfigError, DecodeError) as error:
        return _response(result=False, message=str(error)), False
    return _response(result=True), keyring.keys != before


def _read_key(payload: bytes) -> bytes:
    if not payload or payload[0] != SerfType.KEY_REQUEST:
        raise ConfigError("expected a key in the request")
    return read_bytes(unpack_map(memoryview(payload)[1:]), b"Key", 64)


def _listing(keyring: Keyring, size_bytes_max: int) -> bytes:
    keys = [base64.b64encode(key).decode() for key in keyring.keys]
    message = ""
    for shown in range(len(keys), -1, -1):
        response = _response(result=True, keys=keys[:shown], primary=keys[0], message=message)
        if len(response) <= size_bytes_max:
            return response
        message = f"only the first {shown - 1} of {len(keys)} keys fit the answer"
    return _response(result=False, message="no room for keys")


def _response(*, result: bool, message: str = "", keys: list[str] | None = None, primary: str = "") -> bytes:
    body: dict[str, Any] = {"Keys": keys, "Message": message, "PrimaryKey": primary, "Result": result}
    return bytes((SerfType.KEY_RESPONSE,)) + pack(body)
