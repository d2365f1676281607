"""Imported by the process from which those of a pool are forked, so that it ends with the one that started it.

By itself it would live as long as any of its children, and these wait for work.
"""

from __future__ import annotations

from buildtool.runtime.parent import end_with_parent

end_with_parent()
