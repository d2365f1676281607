"""The texts of small files that people write and jobs read, kept so that it can be told what changed in them.

Does not know what they mean, nor what is made from them.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable

from buildtool.files import Disk
from buildtool.fingerprint import FILE_KINDS, Item
from buildtool.state.store import StateReader

LONGEST = 1 << 14  # bytes
MOST = 1000  # texts that one build keeps


class Texts:
    """Keeps what jobs read in one build. `masked` makes secrets unreadable.

    What not everybody on this machine may read is not kept: the state may be read by more.
    """

    def __init__(self, disk: Disk, reader: StateReader, masked: Callable[[str], str]) -> None:
        self.fresh: dict[str, str] = {}  # by digest: what is to be written to the state
        self._disk = disk
        self._reader = reader
        self._masked = masked
        self._seen: set[str] | None = None
        self._left = MOST

    def keep(self, items: Iterable[Item], is_source: Callable[[str], bool]) -> None:
        """Keep the texts of those of a job's items that are small sources, as they were when they were looked at."""
        for item in items:
            if item.kind not in FILE_KINDS or item.digest is None:
                continue
            if self._seen is None:
                self._seen = self._reader.kept_contents()
            if item.digest in self._seen:
                continue
            stamp = self._disk.memory.get(item.name)
            if stamp is None or stamp[0] > LONGEST or stamp[5] != item.digest or not stamp[4] & stat.S_IROTH:
                continue
            if not self._left:
                return
            if not is_source(item.name):
                continue
            self._seen.add(item.digest)
            text = self._disk.text(item.name, item.digest)
            if text is not None:
                self.fresh[item.digest] = self._masked(text)
                self._left -= 1
