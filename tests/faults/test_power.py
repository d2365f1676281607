"""The power goes: what a build did not bring to the disk itself is not there any more.

Files that were not synced lose what was written since; where also names get lost, new files are gone and moved ones are
where they were. Each call gets its turn with `--hypothesis-profile=long`, else some do.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.faulty import CHANGES, RENAME, Fault, Faulty
from support.five import SCENES, afterwards, expected, scene, turns
from support.power import before, cut
from support.project import Project

DURABLE = "[bt]\ndurable = true\n"
ALL = (
    "out/a.up",
    "out/a.n",
    "site/",
    "all.txt",
)  # a lost intermediate is made again only for who asks for it
SOME = 2  # turns that are tried of each
LAST = 10**9  # a turn that never comes: the power goes after the end


@pytest.mark.parametrize("head", ["", DURABLE], ids=["usual", "durable"])
@pytest.mark.parametrize("names", [False, True], ids=["bytes are lost", "names are lost"])
@pytest.mark.parametrize("name", SCENES)
def test_a_power_cut(
    tmp_path: Path, faulty: Faulty, thorough: bool, name: str, names: bool, head: str
) -> None:
    project = scene(tmp_path / "project", faulty, name, head)
    clean = expected(project, faulty)
    wrong: list[str] = []
    lost = 0
    copy, log = Project(tmp_path / "copy"), tmp_path / "log"
    for turn in [*turns(project, faulty, Fault(), None if thorough else SOME), LAST]:
        shutil.copytree(project.folder, copy.folder, symlinks=True)
        old = before(copy.folder)
        first, _ = faulty.bt(copy.folder, "build", "-j1", fault=Fault(turn, CHANGES, log=str(log)))
        copy.end_leftovers()  # as the cut does
        lost += cut(copy.folder, old, log, names=names)
        next_, found = afterwards(copy, faulty, clean, *ALL)
        if head:  # what it makes is removed once it was used, so that it may have to be made again
            found += [f"{job} ran again" for job in {*first.ran} & {*next_.ran} - {"middle"}]
        wrong += [f"cut at call {turn}: {what}" for what in found]
        shutil.rmtree(copy.folder)
        log.unlink(missing_ok=True)
    assert not wrong, "\n".join(wrong)
    assert lost > 0


@pytest.mark.parametrize("names", [False, True], ids=["bytes are lost", "names are lost"])
def test_a_persons_file_that_lies_aside_is_not_lost(tmp_path: Path, faulty: Faulty, names: bool) -> None:
    (tmp_path / "project").mkdir()
    project, log = Project(tmp_path / "project"), tmp_path / "log"
    project.taskfile('[tasks.t]\noutputs = "other"\nrun = "echo made > other"\n')
    assert (
        faulty.bt(project.folder, "build")[0].code == 0
    )  # so that there is a state, which knows nothing of it
    project.taskfile('[tasks.t]\noutputs = "notes"\nrun = "echo made > notes"\n')
    project.write("notes", "mine\n")
    old = before(project.folder)
    run, _ = faulty.bt(project.folder, "build", fault=Fault(2, RENAME, log=str(log)))
    assert run.code < 0
    assert project.read("notes") == "made\n"
    assert cut(project.folder, old, log, names=names)
    run, _ = faulty.bt(project.folder, "build")
    assert (run.code, project.read("notes")) == (0, "made\n")
    assert "mine\n" in [path.read_text() for path in (project.folder / ".bt/kept").rglob("*notes*")]
