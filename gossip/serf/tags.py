"""Tags: how a Serf cluster reads the metadata of a member."""

from collections.abc import Mapping

import msgpack

from gossip.codec import CONTAINER_LENGTH_MAX, pack
from gossip.errors import ConfigError
from gossip.identity import META_SIZE_BYTES_MAX

TAGS_MARK = 0xFF
ROLE_TAG = "role"


def encode_tags(tags: Mapping[str, str]) -> bytes:
    """The metadata that shows as these tags; sorted, so equal tags are equal bytes.

    Raises:
        ConfigError: they need more than 512 bytes.
    """
    meta = bytes((TAGS_MARK,)) + pack({key: tags[key] for key in sorted(tags)})
    if len(meta) > META_SIZE_BYTES_MAX:
        raise ConfigError(f"tags take {len(meta)} bytes, at most {META_SIZE_BYTES_MAX} fit; shorten or drop some")
    return meta


def decode_tags(meta: bytes) -> dict[str, str]:
    """The tags in metadata. Never fails: bytes that are no tags become the tag `role`, as Serf reads them."""
    if not meta:
        return {}
    if meta[0] == TAGS_MARK:
        try:
            tags = msgpack.unpackb(meta[1:], raw=True, strict_map_key=True, max_map_len=CONTAINER_LENGTH_MAX)
        except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
            return {}
        if not isinstance(tags, dict):
            return {}
        return {_text(key): _text(value) for key, value in tags.items() if isinstance(value, bytes)}
    return {ROLE_TAG: _text(meta)}


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
