"""Imported by the process from which those of a pool are forked, so that it ends with the one that started it.

By itself it would live as long as any of its children, and these wait for work.
"""

from __future__ import annotations

import os

from buildtool.runtime.parent import end_with

PARENT = "BT_PARENT"  # the variable that tells which process that is

_told = os.environ.pop(PARENT, "")
if _told:
    end_with(int(_told))
