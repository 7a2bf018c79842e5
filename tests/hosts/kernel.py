"""The few kernel interfaces that hosts need and Python has no function for: namespaces, TAP devices, addresses.

No program is called, so an image without `ip` will do.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

CLONE_NEWNET: Final = 0x40000000

# linux/if_tun.h, linux/sockios.h, net/if.h
_TUNSETIFF: Final = 0x400454CA
_IFF_TAP: Final = 0x0002
_IFF_NO_PI: Final = 0x1000
_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_SIOCSIFADDR: Final = 0x8916
_SIOCSIFNETMASK: Final = 0x891C
_SIOCSIFHWADDR: Final = 0x8924
_IFF_UP: Final = 0x1
_ARPHRD_ETHER: Final = 1

_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def new_network() -> Iterator[int]:
    """The body runs in a new network namespace; the process is back in its own afterwards.

    Yields:
        A file descriptor of the namespace, which lives as long as that is open or a process is in it.

    Raises:
        OSError: this process may not make one.
    """
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        _check(_libc.unshare(CLONE_NEWNET), "unshare")
        try:
            yield os.open("/proc/self/ns/net", os.O_RDONLY)
        finally:
            _check(_libc.setns(own, CLONE_NEWNET), "setns")
    finally:
        os.close(own)


def open_tap(name: str) -> int:
    """A TAP device in this network namespace; it goes when the descriptor is closed.

    Raises:
        OSError: there is no /dev/net/tun, or this process may not use it.
    """
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    except OSError:
        os.close(tap)
        raise
    return tap


def silence_ipv6() -> None:
    """No IPv6 in this network namespace: its own chatter would be among what is counted."""
    with contextlib.suppress(OSError):
        Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
        Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")


def set_hardware_address(name: str, address: bytes) -> None:
    """Before the device is up."""
    _configure(_SIOCSIFHWADDR, name, struct.pack("=H6s8x", _ARPHRD_ETHER, address))


def set_address(name: str, address: str, mask: str) -> None:
    """An IPv4 address."""
    for request, value in ((_SIOCSIFADDR, address), (_SIOCSIFNETMASK, mask)):
        _configure(request, name, struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(value)))


def bring_up(name: str) -> None:
    """Starts a device of this network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        found = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("=16sH22x", name.encode(), 0))
        flags = struct.unpack_from("=H", found, 16)[0] | _IFF_UP
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("=16sH22x", name.encode(), flags))


def _configure(request: int, name: str, value: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, request, struct.pack("=16s", name.encode()) + value + bytes(8))


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
