import pytest

from gossip.config import Versions
from gossip.errors import ConfigError
from gossip.versions import are_compatible, are_sane, protocol_max

SERF = Versions().wire


def test_we_announce_what_a_serf_cluster_can_live_with() -> None:
    assert bytes([1, 5, 2, 2, 5, 4]) == SERF


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        (bytes([1, 5, 2, 2, 5, 5]), True),
        (bytes([1, 5, 2, 2, 5, 4]), True),
        (bytes([1, 5, 2, 0, 0, 0]), False),  # a plain application: would break every push/pull among agents
        (bytes([3, 5, 3, 2, 5, 4]), False),  # does not accept our protocol
        (bytes([1, 5, 2, 5, 5, 5]), False),  # does not accept our application version
        (bytes([1, 5]), True),  # too short to tell
        (b"", True),
    ],
)
def test_members_are_compatible_when_each_accepts_the_others_current_versions(theirs: bytes, expected: bool) -> None:
    assert expected == are_compatible(SERF, theirs)


@pytest.mark.parametrize(
    ("versions", "expected"), [(SERF, True), (bytes([0, 5, 2]), False), (bytes([5, 1, 2]), False), (b"", True)]
)
def test_a_vector_without_a_protocol_range_makes_no_sense(versions: bytes, expected: bool) -> None:
    assert expected == are_sane(versions)


def test_a_short_vector_counts_as_the_oldest_protocol() -> None:
    assert (5, 1) == (protocol_max(SERF), protocol_max(b"\x01\x05"))


def test_a_current_version_outside_its_range_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="application_min"):
        Versions(application_min=5, application=4)
