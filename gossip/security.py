"""The two outermost layers: the label that names a cluster, and sealing with a key ring.

Sealing is AES-GCM. The label is the associated data, so a packet sealed for one label does not open under another.
There is no replay protection on this wire: `swim` must stay harmless under replays, and does so by comparing
incarnations.
"""

from collections.abc import Sequence

from gossip.errors import ConfigError, DecodeError, RejectReason
from gossip.messages import MessageType

LABEL_SIZE_BYTES_MAX = 255
"""Its length is one byte on the wire."""

KEYS_MAX = 16
"""Every key is tried on every packet that does not open; a rotation needs two, a slow one perhaps three."""

NONCE_SIZE_BYTES = 12
_TAG_SIZE_BYTES = 16
_BLOCK_SIZE_BYTES = 16
PADDING_SIZE_BYTES_MAX = _BLOCK_SIZE_BYTES
SEALED_OVERHEAD_BYTES = 1 + NONCE_SIZE_BYTES + _TAG_SIZE_BYTES

VERSION_PADDED = 0
VERSION_PLAIN = 1


def add_label(data: bytes, label: bytes) -> bytes:
    """Puts the label header in front; no label, no header."""
    if not label:
        return data
    return bytes((MessageType.LABEL, len(label))) + label + data


def strip_label(data: bytes) -> tuple[bytes, bytes]:
    """Splits `data` into its label, empty if it has none, and the rest.

    Raises:
        DecodeError: `malformed`: a header that ends early or holds an empty label.
    """
    if not data or data[0] != MessageType.LABEL:
        return b"", data
    size = data[1] if len(data) > 1 else 0
    if not size or len(data) < 2 + size:
        raise DecodeError(RejectReason.MALFORMED, "a label header that is empty or ends early")
    return data[2 : 2 + size], data[2 + size :]


class Keyring:
    """The keys of a cluster: the first one seals, every one may open.

    Raises:
        ConfigError: a key that is not 16, 24 or 32 bytes long, too many keys, or none.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ConfigError("a keyring needs at least one key; leave it out for a cluster without encryption")
        self._ciphers: dict[bytes, _Aead] = {}
        for key in keys:
            self.install(key)

    def __repr__(self) -> str:
        return f"Keyring({len(self._ciphers)} keys)"

    @property
    def keys(self) -> tuple[bytes, ...]:
        """All keys, the primary first."""
        return tuple(self._ciphers)

    def install(self, key: bytes) -> None:
        """Adds a key that may open; one that is already there stays as it is.

        Raises:
            ConfigError: wrong length, or the ring is full; the ring is unchanged.
        """
        if key in self._ciphers:
            return
        if len(self._ciphers) >= KEYS_MAX:
            raise ConfigError(f"a keyring holds at most {KEYS_MAX} keys; remove one first")
        self._ciphers[key] = _Aead(key)

    def use(self, key: bytes) -> None:
        """Makes an installed key the one that seals.

        Raises:
            ConfigError: it is not installed; the ring is unchanged.
        """
        if key not in self._ciphers:
            raise ConfigError("that key is not in the keyring; install it first")
        rest = {k: c for k, c in self._ciphers.items() if k != key}
        self._ciphers = {key: self._ciphers[key], **rest}

    def remove(self, key: bytes) -> None:
        """Forgets a key; an unknown one is no error.

        Raises:
            ConfigError: it is the one that seals; the ring is unchanged.
        """
        if key == self.keys[0]:
            raise ConfigError("the primary key can't be removed; make another one primary first")
        self._ciphers.pop(key, None)

    def seal(self, plain: bytes, *, nonce: bytes, associated: bytes, version: int = VERSION_PLAIN) -> bytes:
        """Seals with the primary key.

        Args:
            plain: what to hide.
            nonce: 12 bytes that are never used twice with one key.
            associated: what is bound to the packet without being in it.
            version: 1, or 0 for peers of protocol version 1, which want padding.
        """
        if version == VERSION_PADDED:
            padding = _BLOCK_SIZE_BYTES - len(plain) % _BLOCK_SIZE_BYTES
            plain += bytes((padding,)) * padding
        cipher = next(iter(self._ciphers.values()))
        return bytes((version,)) + nonce + cipher.seal(nonce, plain, associated)

    @staticmethod
    def sealed_size_bytes(plain_size_bytes: int, *, version: int) -> int:
        """What so many bytes take when they are sealed."""
        padding = _BLOCK_SIZE_BYTES - plain_size_bytes % _BLOCK_SIZE_BYTES if version == VERSION_PADDED else 0
        return SEALED_OVERHEAD_BYTES + plain_size_bytes + padding

    def open(self, sealed: bytes, *, associated: bytes) -> bytes:
        """Opens with whichever key fits.

        Raises:
            DecodeError: `decryption`: no key does, or it is no sealed packet.
        """
        if len(sealed) < SEALED_OVERHEAD_BYTES or sealed[0] > VERSION_PLAIN:
            raise DecodeError(RejectReason.DECRYPTION, "expected a sealed packet")
        nonce, body = sealed[1 : 1 + NONCE_SIZE_BYTES], sealed[1 + NONCE_SIZE_BYTES :]
        for cipher in self._ciphers.values():
            plain = cipher.open(nonce, body, associated)
            if plain is not None:
                return plain if sealed[0] == VERSION_PLAIN else _unpad(plain)
        raise DecodeError(RejectReason.DECRYPTION, "no key of the ring opens the packet")


def _unpad(plain: bytes) -> bytes:
    padding = plain[-1] if plain else 0
    if not 1 <= padding <= _BLOCK_SIZE_BYTES or len(plain) % _BLOCK_SIZE_BYTES:
        raise DecodeError(RejectReason.DECRYPTION, "sealed with version 0 but not padded")
    return plain[:-padding]


class _Aead:
    """AES-GCM of the `cryptography` package, imported only where a key is used."""

    __slots__ = ("_aes", "_invalid")

    def __init__(self, key: bytes) -> None:
        if len(key) not in (16, 24, 32):
            raise ConfigError(f"expected a key of 16, 24 or 32 bytes, got {len(key)}")
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._aes = AESGCM(key)
        self._invalid = InvalidTag

    def seal(self, nonce: bytes, plain: bytes, associated: bytes) -> bytes:
        return self._aes.encrypt(nonce, plain, associated)

    def open(self, nonce: bytes, sealed: bytes, associated: bytes) -> bytes | None:
        try:
            return self._aes.decrypt(nonce, sealed, associated)
        except self._invalid:
            return None
