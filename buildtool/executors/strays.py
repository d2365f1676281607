"""What commands leave running in sessions of their own: it becomes a child of this process, and is known by a mark.

Linux only: elsewhere nothing is found. Knows neither works nor how they end; one table serves all of this process.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from itertools import count

from buildtool.executors import processes
from buildtool.executors.processes import Process
from buildtool.executors.protocol import JOB, MARK

_PR_SET_CHILD_SUBREAPER = 36  # of Linux's <sys/prctl.h>
_PIECE = 65_536  # bytes in one read of the list of children; the system gives a page at most
_OF_SHELLS = (b"PWD", b"OLDPWD", b"SHLVL", b"_")  # variables that a shell changes on the way


class Strays:
    """Who loses its parent below this process becomes its child, from the first `adopt` to the last `leave`.

    `adopts`: whether it does so now, which not every system can; `has_adopted`: whether it ever did.
    """

    def __init__(self) -> None:
        self.adopts = self.has_adopted = False
        self._holders = 0
        self._list: int | None = None  # the file in which the system lists our children
        self._running: set[str] = set()  # the marks of works that have not ended
        self._own: set[int] = (
            set()
        )  # children that whatever else runs in this process has started, and waits for
        self._left_alone: set[int] = set()  # those that are no work's, or that nobody can end
        self._name = ""
        self._numbers = count(1)

    def adopt(self) -> None:
        """Begin, unless that was done: for one who says `leave` later."""
        self._holders += 1
        if self._holders > 1 or not _adopt(yes=True):
            return
        self.adopts = self.has_adopted = True
        self._name = f"{os.getpid()}-{time.time_ns():x}"
        self._own = self._children()  # a shell may have had some before it became `bt`

    def leave(self) -> None:
        """End it, unless others still rely on it."""
        self._holders -= 1
        if self._holders or not self.adopts:
            return
        self._adopted()  # takes the status of those that have ended
        _adopt(yes=False)
        self.adopts = False
        if self._list is not None:
            os.close(self._list)
            self._list = None

    def begin(self) -> str:
        """The mark of a work that is about to start; `end` is said of it later."""
        mark = f"{self._name}.{next(self._numbers)}"
        self._running.add(mark)
        return mark

    def end(self, mark: str) -> None:
        """Note that a work has ended, or was not started."""
        self._running.discard(mark)

    def marked(self, env: Mapping[str, str], mark: str) -> Mapping[str, str]:
        """The environment with the mark, behind that of the job in which `bt` runs itself: what is left is of both."""
        return {**env, JOB: f"{os.environ.get(JOB, '')} {mark}".lstrip()} if self.adopts else env

    def none_left(self, mark: str, session: int) -> bool:
        """Whether nothing runs because of a work whose process has ended, but in this session, which that has led.

        Next to nothing is done where it left nothing, as every work is asked this.
        """
        adopted = self._adopted()
        if not adopted:
            return True
        found, unsure = self._left(adopted, mark, session)
        return not (found or unsure)

    def signal(self, mark: str, session: int, number: signal.Signals) -> int:
        """Signal what is left of this work outside of this session; returns how many ran."""
        found, _ = self._left(self._adopted(), mark, session)
        processes.signal_all(found, number)
        return len(found)

    def give_up(self, mark: str, session: int) -> None:
        """Ask no more about what is left: it cannot be ended."""
        found, unsure = self._left(self._adopted(), mark, session)
        self._left_alone.update(unsure, (process.pid for process in found))

    def _left(self, adopted: set[int], mark: str, session: int) -> tuple[list[Process], set[int]]:
        """What is left outside of the session; and those of which nobody knows, as they are just ending."""
        owners = {pid: self._is_of(pid, mark) for pid in adopted}
        mine = {pid for pid, is_mine in owners.items() if is_mine}
        found = processes.below(mine) if mine else []
        unsure = {pid for pid, is_mine in owners.items() if is_mine is None}
        unsure |= mine - {process.pid for process in found}
        return [process for process in found if process.session != session], unsure

    def _adopted(self) -> set[int]:
        """The children that nobody here has started. Takes the status of those that have ended.

        All that are left of them have run at one and the same moment: else one might have started another and ended
        between two looks.
        """
        if not self.adopts:
            return set()
        while True:
            listed = self._children()
            self._own &= listed
            self._left_alone &= listed
            strange = listed - processes.started - self._own
            some_ended = False
            for pid in strange:
                if pid not in self._left_alone and processes.session_of(pid) == os.getsid(0):
                    self._own.add(pid)
                else:
                    some_ended |= _has_ended(pid)
            if not some_ended:
                return strange - self._own - self._left_alone

    def _children(self) -> set[int]:
        try:
            if self._list is None:
                self._list = os.open(f"/proc/self/task/{os.getpid()}/children", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # a kernel without it
            return processes.children_of(os.getpid())
        except OSError:  # too many files are open: before the first job, as it stays open from then on
            return set()
        found = b""
        while piece := os.pread(self._list, _PIECE, len(found)):
            found += piece
        return set(map(int, found.split()))

    def _is_of(self, pid: int, mark: str) -> bool | None:
        """Whether a work has started it: it says so, or says nothing, and there is nobody else who may have."""
        told = processes.environment(pid)
        if not told and processes.is_ending(pid):  # what it has started becomes ours next
            return None
        if told is not None and (marks := told.get(os.fsencode(JOB))) is not None:
            return os.fsencode(mark) in marks.split()
        if told is None or os.fsencode(MARK) in told or _is_ours(told):
            self._left_alone.add(pid)
            return False
        return self._running == {mark} and os.getpid() != 1  # the first process is given everybody's


STRAYS = Strays()


def _is_ours(told: Mapping[bytes, bytes]) -> bool:
    """Whether this process has handed on its own environment, as to `git`; those of works are given another one."""
    names = (*_OF_SHELLS, os.fsencode(JOB))
    return all(told.get(name) == value for name, value in os.environb.items() if name not in names)


def _has_ended(pid: int) -> bool:
    """Whether this child has ended; its status is taken then."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:  # somebody else was faster
        return True


def _adopt(*, yes: bool) -> bool:
    """Say whether this process takes in who loses its parent; whether the system has heard it."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        import _ctypes  # `ctypes` takes 3 ms, and a build of one command has no time for it

        prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]  # this program
        return bool(_ctypes.call_function(prctl, (_PR_SET_CHILD_SUBREAPER, int(yes), 0, 0, 0)) == 0)
    except (ImportError, AttributeError, OSError):  # this Python was built without it
        return False
