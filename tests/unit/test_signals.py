"""Signals wake up who waits, wherever they strike."""

from __future__ import annotations

import select
import signal
import threading

from buildtool.errors import ExitCode
from buildtool.signals import Signals


def test_a_signal_that_strikes_another_thread_wakes_the_one_that_waits() -> None:
    about_to_wait = threading.Event()

    def strike() -> None:
        about_to_wait.wait()
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    with Signals() as signals:
        thread = threading.Thread(target=strike)
        thread.start()
        about_to_wait.set()
        ready, _, _ = select.select([signals.fileno()], [], [], 40)
        assert ready
        thread.join()
        assert signals.take() == 1
        assert signals.code is ExitCode.TERMINATED
        assert select.select([signals.fileno()], [], [], 0)[0] == []


def test_what_was_before_is_there_again() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Signals():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
    assert signal.set_wakeup_fd(-1) == -1
