import struct
from collections.abc import Iterator
from pathlib import Path

from tests.hosts import pcap
from tests.hosts.pcap import SNAP_SIZE_BYTES, Capture
from tests.hosts.raw_ip import datagram


def blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    """Kind and body of each block; checks that both sizes agree."""
    data = path.read_bytes()
    while data:
        kind, size = struct.unpack_from("<II", data)
        assert size % 4 == 0
        assert size == struct.unpack_from("<I", data, size - 4)[0]
        yield kind, data[8 : size - 4]
        data = data[size:]


def test_a_capture_is_a_section_an_interface_and_a_block_for_each_frame(tmp_path: Path) -> None:
    capture = Capture(tmp_path / "c.pcapng")
    capture.add(b"frame", "0 > 1: lost", wall_ns=(7 << 32) + 9)
    capture.close()

    section, interface, packet = blocks(tmp_path / "c.pcapng")

    assert 0x1A2B3C4D == struct.unpack_from("<I", section[1])[0]
    assert (1, 1) == (interface[0], struct.unpack_from("<H", interface[1])[0])
    assert 6 == packet[0]
    assert (0, 7, 9, 5, 5) == struct.unpack_from("<IIIII", packet[1])
    assert b"frame\0\0\0" == packet[1][20:28]
    assert (1, 11) == struct.unpack_from("<HH", packet[1], 28)
    assert b"0 > 1: lost" == packet[1][32:43]


def test_long_frames_are_cut_and_their_size_is_kept(tmp_path: Path) -> None:
    capture = Capture(tmp_path / "c.pcapng")
    capture.add(bytes(1_500), "", wall_ns=0)
    capture.close()

    *_, (_, body) = blocks(tmp_path / "c.pcapng")
    assert (SNAP_SIZE_BYTES, 1_500) == struct.unpack_from("<II", body, 12)


def test_a_capture_stops_at_its_size(tmp_path: Path) -> None:
    capture = Capture(tmp_path / "c.pcapng")
    capture._size_bytes = pcap.CAPTURE_SIZE_BYTES_MAX
    capture.add(b"frame", "", wall_ns=0)
    capture.close()

    assert 0 == capture.frames
    assert 2 == len(list(blocks(tmp_path / "c.pcapng")))


def test_what_proxies_carry_is_shown_as_a_datagram() -> None:
    packet = datagram("127.78.1.1", "127.78.1.2", b"data", port=7946)

    assert (0x45, 32) == (packet[0], struct.unpack_from(">H", packet, 2)[0])
    assert bytes([127, 78, 1, 1, 127, 78, 1, 2]) == packet[12:20]
    assert (7946, 7946, 12) == struct.unpack_from(">HHH", packet, 20)
    assert b"data" == packet[28:]
