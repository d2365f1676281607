"""Keeps tests from the network: what is not on this machine is not reachable from them."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import os
import socket
import struct
import sys
from collections.abc import Iterator

_CLONE_NEWNET = 0x40000000  # of Linux's <sched.h>
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1  # of <linux/sockios.h> and <linux/if.h>
_REQUEST = "16sH14x"  # `struct ifreq` with flags
_HERE = "/proc/thread-self/ns/net"


@contextlib.contextmanager
def loopback_alone() -> Iterator[bool]:
    """Have a network of its own for this thread, and whatever it starts, where the system allows that; whether it does.

    It is the same one each time.
    """
    networks = _networks()
    if networks is None:
        yield False
        return
    outside, inside = networks
    _enter(inside)
    try:
        yield True
    finally:
        _enter(outside)


def _enter(network: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(network, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@functools.cache
def _networks() -> tuple[int, int] | None:
    """Descriptors of the network that there is and of one with loopback alone."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return None
    outside = os.open(_HERE, os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) != 0:
        os.close(outside)
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        asked = struct.pack(_REQUEST, b"lo", 0)
        _, flags = struct.unpack(_REQUEST, fcntl.ioctl(wire, _SIOCGIFFLAGS, asked))
        fcntl.ioctl(wire, _SIOCSIFFLAGS, struct.pack(_REQUEST, b"lo", flags | _IFF_UP))
    inside = os.open(_HERE, os.O_RDONLY)
    _enter(outside)
    return outside, inside
