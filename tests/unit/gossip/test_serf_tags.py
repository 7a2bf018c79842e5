import pytest

from gossip.errors import ConfigError
from gossip.serf import decode_tags, encode_tags


def test_tags_are_a_marked_map_in_the_old_raw_family_with_sorted_keys() -> None:
    assert bytes.fromhex("ff82a4726f6c65a6707974686f6ea3766572a3302e31") == encode_tags(
        {"ver": "0.1", "role": "python"}
    )


def test_a_value_of_200_bytes_has_a_two_byte_length_and_survives() -> None:
    meta = encode_tags({"mesh": "x" * 200})

    assert b"\xda\x00\xc8" in meta
    assert {"mesh": "x" * 200} == decode_tags(meta)


def test_metadata_that_is_no_map_is_the_role() -> None:
    assert {"role": "web"} == decode_tags(b"web")
    assert {} == decode_tags(b"")


@pytest.mark.parametrize("meta", [b"\xff", b"\xff\xc1", b"\xff\x93\x01\x02\x03", b"\xff\x81\x01\x02", b"\xff\x81\xa1"])
def test_broken_tags_are_no_tags(meta: bytes) -> None:
    assert {} == decode_tags(meta)


def test_tags_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="at most 512"):
        encode_tags({"a": "x" * 512})
