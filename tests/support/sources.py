"""A folder of Python files, and what a function in it reaches before and after an edit."""

from __future__ import annotations

from pathlib import Path

from buildtool.pycode.code import Code
from buildtool.pycode.model import Function, Reach

Texts = dict[str, str]


class Bench:
    """A project of Python files. Names of files are paths; `steps` stands for `steps.py`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, files: Texts) -> None:
        for name, text in files.items():
            path = self.root / (name if "." in name.rpartition("/")[2] else name + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def code(self, *python_path: str) -> Code:
        return Code(str(self.root), python_path)

    def function(self, target: str) -> Function:
        return self.code().function(target)

    def reach(self, target: str = "steps:main", *python_path: str) -> Reach:
        code = self.code(*python_path)
        return code.reach_script(target) if target.endswith(".py") else code.reach(target)

    def names(self, target: str = "steps:main", *python_path: str) -> set[str]:
        return {piece.name for piece in self.reach(target, *python_path).pieces}

    def changed(self, before: Texts, after: Texts, target: str = "steps:main") -> set[str]:
        """The names of the pieces that differ after an edit."""
        self.write(before)
        old = {piece[:3] for piece in self.reach(target).pieces}
        self.write(after)
        new = {piece[:3] for piece in self.reach(target).pieces}
        return {name for _, name, _ in old ^ new}
