"""The key file of gossip."""

import json

import pytest

from crdtmesh.identity.errors import IdentityError
from crdtmesh.identity.keys import KEYS_MAX, encode_keys, key_id, parse_keys, rotated

ONE, TWO, THREE = bytes(32), b"\1" * 32, b"\2" * 16


def test_keys_survive_their_file() -> None:
    assert [ONE, TWO, THREE] == parse_keys(encode_keys([ONE, TWO, THREE]))


def test_comments_blank_lines_and_repeats_are_skipped() -> None:
    lines = encode_keys([ONE]).splitlines()

    assert [ONE] == parse_keys(b"\n".join([*lines, b"", b"  # more", lines[-1]]))


def test_a_keyring_file_of_serf_is_read() -> None:
    texts = [line for line in encode_keys([ONE, TWO]).decode().splitlines() if not line.startswith("#")]

    assert [ONE, TWO] == parse_keys(json.dumps(texts).encode())


@pytest.mark.parametrize("data", [b"", b"#", b"AAAA", b"!", b"\xff", b"[1]", b"[", b"[]"])
def test_what_is_no_key_file_is_refused_without_quoting_it(data: bytes) -> None:
    with pytest.raises(IdentityError) as refused:
        parse_keys(data)

    assert "AAAA" not in str(refused.value)


def test_too_many_keys_are_refused() -> None:
    with pytest.raises(IdentityError, match=str(KEYS_MAX)):
        parse_keys(encode_keys([bytes([number]) * 32 for number in range(KEYS_MAX + 1)]))


def test_a_rotation_takes_three_steps() -> None:
    added = rotated([ONE], "add", new_key=TWO)
    used = rotated(added, "use", new_key=b"")

    assert [ONE, TWO] == added
    assert [TWO, ONE] == used
    assert [TWO] == rotated(used, "remove", new_key=b"")


@pytest.mark.parametrize("step", ["use", "remove"])
def test_a_step_without_a_rotation_is_refused(step: str) -> None:
    with pytest.raises(IdentityError, match="two keys"):
        rotated([ONE], step, new_key=b"")


def test_a_full_file_takes_no_more() -> None:
    with pytest.raises(IdentityError, match="at most"):
        rotated([bytes([number]) * 32 for number in range(KEYS_MAX)], "add", new_key=TWO)


def test_the_digits_of_a_key_tell_keys_apart() -> None:
    assert 3 == len({key_id(key) for key in (ONE, TWO, THREE)})
