"""Stories about the cloud cannot leave this machine."""

from __future__ import annotations

import socket

import pytest

from support.network import loopback_alone


def test_nobody_else_can_be_reached() -> None:
    with loopback_alone() as alone:
        if not alone:
            pytest.skip("the system gives no network of one's own")
        with socket.socket() as wire:
            wire.settimeout(5)
            with pytest.raises(OSError, match="Network is unreachable"):
                wire.connect(("192.0.2.1", 80))
