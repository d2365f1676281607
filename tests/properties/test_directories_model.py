"""Tasks that make directories as a whole, and tasks whose patterns look into them, edited at random.

What a build makes is what a build from nothing makes, the build that follows it runs nothing, and a dry run that says
that there is nothing to do is right.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from support.forked import forked, forked_build
from support.project import Project, Run

OUTPUTS = ("d{n}/", "sub/d{n}/", "sub/{{x}}/d{n}/", "o{n}.txt", "sub/o{n}.txt", "sub/{{x}}/a{n}")
READ = (
    *("**/*.txt", "**/a.txt", "*/a.txt", "*/*.txt", "sub/*.txt", "sub/", "sub/**", "sub/*/[ab].txt", "**/a*"),
    *("d0/*", "d1/*.txt", "sub/d0/", "sub/d1/**", "o0.txt", "sub/o1.txt", "sub/x/*/b.txt", "sub/?/**/*.txt"),
)
SOURCES = ("s0", "s1", "sub/s.txt", "sub/x/c.txt")


class Made(NamedTuple):
    """One task: what it makes, what it reads beside a source, and which source that is."""

    output: str
    reads: tuple[str, ...]
    source: str


tasks = st.lists(
    st.builds(
        Made,
        st.sampled_from(OUTPUTS),
        st.lists(st.sampled_from(READ), min_size=1, max_size=2).map(tuple),
        st.sampled_from(SOURCES[:2]),
    ),
    min_size=2,
    max_size=4,
)
words = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map(" ".join)
places = st.integers(0, 1000)


def text_of(number: int, made: Made) -> str:
    """The task in a Taskfile; what it makes shows the names and contents of all that it reads."""
    output = made.output.format(n=number)
    lines = [f"[tasks.t{number}]", f"inputs = {[made.source, *made.reads]}", f"outputs = '{output}'"]
    if "{x}" in output:
        lines.append("foreach = { x = ['x', 'y'] }")
    lines.append("run = '''\nshow() { find {inputs} -type f -exec echo {} ';' -exec cat {} ';' | sort -u; }")
    if output.endswith("/"):
        lines.append(
            f'shown=$(show); for name in $(cat {made.source}); do echo "$shown" > {{output}}/$name.txt; done'
        )
    else:
        lines.append('shown=$(show); echo "$shown" > {output}')
    return "\n".join([*lines, "'''", ""])


class Directories(RuleBasedStateMachine):
    """One project; beside it, each time, one that is made from nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="bt-directories-")).resolve()
        self.project = Project(self.folder / "project")
        self.project.folder.mkdir(exist_ok=True)
        self.tasks: list[Made] = []
        self.left_out: set[int] = set()
        self.contents = dict.fromkeys(SOURCES, "a b")
        self.deleted: set[str] = set()  # by hand; they may stay away if others, that are fresh, read them

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @initialize(made=tasks)
    def begin(self, made: list[Made]) -> None:
        self.tasks = made

    @rule(source=st.sampled_from(SOURCES), text=words)
    def edit(self, source: str, text: str) -> None:
        self.contents[source] = text
        self.build()

    @rule(place=places)
    def take_out_or_back(self, place: int) -> None:
        self.left_out ^= {place % len(self.tasks)}
        if len(self.left_out) == len(self.tasks):
            self.left_out.clear()
        self.build()

    @rule(place=places)
    def delete(self, place: int) -> None:
        made = sorted(set(self.project.files()) - {"Taskfile.toml", *SOURCES})
        if made:
            self.deleted.add(made[place % len(made)])
            self.project.remove(made[place % len(made)])
        self.build()

    @rule(place=places, count=st.sampled_from([1, 3]))
    def ask(self, place: int, count: int) -> None:
        asked = f"t{place % len(self.tasks)}"
        if place % len(self.tasks) not in self.left_out:
            self.build(f"-j{count}", asked)
        self.build(f"-j{count}")

    def write(self, folder: Path) -> None:
        project = Project(folder)
        kept = [(n, made) for n, made in enumerate(self.tasks) if n not in self.left_out]
        project.write("Taskfile.toml", "[bt]\nshell = 'sh'\n" + "".join(text_of(n, made) for n, made in kept))
        for name, text in self.contents.items():
            project.write(name, text + "\n")

    def build(self, *asked: str) -> None:
        self.write(self.project.folder)
        run = forked_build(self.project.folder, *asked)
        assert run.code in (0, 2, 3), self.told(run)
        clean = self.folder / "clean"
        clean.mkdir()
        try:
            self.write(clean)
            other = forked_build(clean, *asked)
            assert run.code == other.code, self.told(run) + self.told(other)
            if run.code:
                return
            again = forked_build(self.project.folder, *asked)
            assert again.code == 0, self.told(again)
            assert again.ran == [], self.told(run) + self.told(again)
            code, out, _ = forked(self.project.folder, "build", "-n", "--check", *asked)
            assert code == 0, out
            if not asked:
                forked(self.project.folder, "clean", "--orphans")
                made, expected = self.files(self.project.folder), self.files(clean)
                self.deleted -= {*made}
                missing = self.deleted & {*expected}
                assert made == {n: text for n, text in expected.items() if n not in missing}, self.told(run)
        finally:
            shutil.rmtree(clean)

    def files(self, folder: Path) -> dict[str, str]:
        project = Project(folder)
        return {name: project.read(name) for name in project.files()}

    def told(self, run: Run) -> str:
        return f"\n{self.project.read('Taskfile.toml')}\n{run.reasons}\n{run.out}{run.err}"


Directories.TestCase.settings = settings(
    max_examples=max(1, settings().max_examples // 30), stateful_step_count=5
)
TestDirectories = Directories.TestCase
