import pytest

from gossip.errors import ConfigError, DecodeError, RejectReason
from gossip.security import KEYS_MAX, Keyring, add_label, strip_label

KEY, OTHER = bytes(range(32)), bytes(range(16))
NONCE = bytes(12)


def reason(keyring: Keyring, sealed: bytes, label: bytes = b"") -> RejectReason:
    with pytest.raises(DecodeError) as caught:
        keyring.open(sealed, associated=label)
    return caught.value.reason


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17])
def test_what_was_sealed_opens(version: int, size: int) -> None:
    plain = bytes(range(size))
    sealed = Keyring([KEY]).seal(plain, nonce=NONCE, associated=b"lab", version=version)

    assert plain == Keyring([OTHER, KEY]).open(sealed, associated=b"lab")


def test_another_key_another_label_or_a_flipped_bit_does_not_open() -> None:
    sealed = Keyring([KEY]).seal(b"plain", nonce=NONCE, associated=b"lab")
    flipped = sealed[:-1] + bytes([sealed[-1] ^ 1])

    assert RejectReason.DECRYPTION is reason(Keyring([OTHER]), sealed, b"lab")
    assert RejectReason.DECRYPTION is reason(Keyring([KEY]), sealed, b"other")
    assert RejectReason.DECRYPTION is reason(Keyring([KEY]), flipped, b"lab")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x02" + bytes(40), b"\x01" + bytes(27)])
def test_what_is_no_sealed_packet_does_not_open(sealed: bytes) -> None:
    assert RejectReason.DECRYPTION is reason(Keyring([KEY]), sealed)


def test_keys_rotate_while_running() -> None:
    ring = Keyring([KEY])
    ring.install(OTHER)
    ring.use(OTHER)
    ring.remove(KEY)

    assert (OTHER,) == ring.keys
    with pytest.raises(ConfigError, match="primary"):
        ring.remove(OTHER)
    with pytest.raises(ConfigError, match="install it first"):
        ring.use(KEY)


def test_a_keyring_is_bounded_and_never_empty() -> None:
    ring = Keyring([bytes([i]) * 16 for i in range(KEYS_MAX)])

    with pytest.raises(ConfigError, match="at most"):
        ring.install(KEY)
    with pytest.raises(ConfigError, match="at least one"):
        Keyring([])
    with pytest.raises(ConfigError, match="16, 24 or 32"):
        Keyring([b"short"])


def test_a_keyring_shows_no_keys() -> None:
    assert "Keyring(1 keys)" == repr(Keyring([KEY]))


def test_labels_come_off_as_they_went_on() -> None:
    assert (b"lab", b"data") == strip_label(add_label(b"data", b"lab"))
    assert (b"", b"data") == strip_label(add_label(b"data", b""))


@pytest.mark.parametrize("data", [b"\xf4", b"\xf4\x00data", b"\xf4\x05lab"])
def test_a_broken_label_header_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        strip_label(data)
