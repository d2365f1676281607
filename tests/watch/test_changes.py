"""A day's habits: files saved, made, deleted, brought back, while `bt watch` runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from support.project import Project
from support.watching import PATIENCE, Watching

UPPER = """
[tasks.up]
inputs = "in/{n}.txt"
outputs = "out/{n}.txt"
run = "tr a-z A-Z < {input} > {output}"

[tasks.all]
inputs = "out/*.txt"
outputs = "all.txt"
run = "cat {input} > {output}"
"""


@pytest.fixture
def letters(project: Project) -> Project:
    """Two small files, each made large, and all of them in one."""
    project.taskfile(UPPER)
    project.write("in/a.txt", "a\n")
    project.write("in/b.txt", "b\n")
    return project


def settled(project: Project) -> None:
    """What watching left is what a build would have made."""
    run = project.build()
    assert run.ran == []


def test_a_saved_file_builds_what_is_made_from_it_and_nothing_else(letters: Project) -> None:
    with Watching(letters) as watch:
        assert watch.first().ran == ["all", "up a", "up b"]
        letters.write("in/a.txt", "new\n")
        run = watch.round()
        assert run.ran == ["all", "up a"]
        assert [e["paths"] for e in run.events if e["event"] == "changed"] == [["in/a.txt"]]
        assert run.summary["fresh"] == 0  # the rest was not even looked at
        assert letters.read("all.txt") == "NEW\nB\n"
        assert watch.end() == 130
    settled(letters)


def by_rename(path: Path) -> None:
    (path.parent / ".new").write_text("saved\n")
    os.replace(path.parent / ".new", path)


def as_vim(path: Path) -> None:
    """It tries whether it may make files, keeps the old one under another name, and writes a new one."""
    (path.parent / "4913").write_text("")
    (path.parent / "4913").unlink()
    os.rename(path, f"{path}~")
    path.write_text("saved\n")
    os.unlink(f"{path}~")


def deleted_first(path: Path) -> None:
    path.unlink()
    path.write_text("saved\n")


def in_two_writes(path: Path) -> None:
    with path.open("w") as file:
        file.write("sav")
        file.flush()
        file.write("ed\n")


@pytest.mark.parametrize("save", [by_rename, as_vim, deleted_first, in_two_writes])
def test_every_way_to_save(letters: Project, save: object) -> None:
    with Watching(letters) as watch:
        watch.first()
        assert callable(save)
        save(letters.folder / "in/a.txt")
        assert watch.round().ran == ["all", "up a"]
        assert letters.read("all.txt") == "SAVED\nB\n"


def test_new_and_deleted_files_of_a_wildcard(letters: Project) -> None:
    with Watching(letters) as watch:
        watch.first()
        letters.write("in/c.txt", "c\n")
        assert watch.round().ran == ["all", "up c"]
        letters.remove("in/b.txt")
        assert watch.round().ran == ["all"]
        assert letters.read("all.txt") == "A\nC\n"
        letters.write("in/b.txt", "back\n")
        assert watch.round().ran == ["all", "up b"]
    settled(letters)


def test_new_directories_below_a_deep_pattern(project: Project) -> None:
    project.taskfile('[tasks.t]\ninputs = "src/**/*.c"\noutputs = "list"\nrun = "cat {input} > {output}"\n')
    project.write("src/a.c", "a\n")
    with Watching(project) as watch:
        assert watch.first().ran == ["t"]
        project.write("src/x/y/b.c", "b\n")
        assert watch.round().ran == ["t"]
        project.write("src/x/y/b.c", "bb\n")  # in a directory that is new itself
        assert watch.round().ran == ["t"]
        made = project.folder.parent / "made"
        (made / "z").mkdir(parents=True)
        (made / "z/c.c").write_text("c\n")
        os.rename(made, project.folder / "src/moved")
        assert watch.round().ran == ["t"]
        assert project.read("list") == "a\nc\nbb\n"
        shutil.rmtree(project.folder / "src/moved")
        assert watch.round().ran == ["t"]
        assert project.read("list") == "a\nbb\n"
    settled(project)


def test_a_directory_as_input(project: Project) -> None:
    project.taskfile('[tasks.t]\ninputs = "data/"\noutputs = "n"\nrun = "ls -R data > {output}"\n')
    project.write("data/x/1", "1")
    with Watching(project) as watch:
        assert watch.first().ran == ["t"]
        project.write("data/x/2", "2")
        assert watch.round().ran == ["t"]
        project.write("data/x/1", "one")
        assert watch.round().ran == ["t"]


def test_a_file_behind_a_link(project: Project) -> None:
    project.taskfile('[tasks.t]\ninputs = "in"\noutputs = "out"\nrun = "cp {input} {output}"\n')
    far = project.folder.parent / "far"
    far.mkdir()
    (far / "real").write_text("1")
    (project.folder / "in").symlink_to(far / "real")
    with Watching(project) as watch:
        assert watch.first().ran == ["t"]
        (far / "real").write_text("2")
        assert watch.round().ran == ["t"]
        assert project.read("out") == "2"


def test_what_is_in_a_directory_behind_a_link(project: Project) -> None:
    project.taskfile(
        '[tasks.t]\ninputs = "data/"\noutputs = "out"\nrun = "cat data/link/*/f > {output}"\n'
        '[tasks.u]\ninputs = "link"\noutputs = "n"\nrun = "ls {input}/* > {output}"\n'
    )
    far = project.folder.parent / "far"
    (far / "deep").mkdir(parents=True)
    (far / "deep/f").write_text("1")
    (project.folder / "data").mkdir()
    for name in ("data/link", "link"):
        (project.folder / name).symlink_to(far)
    with Watching(project) as watch:
        assert watch.first().ran == ["t", "u"]
        (far / "deep/f").write_text("22")
        assert watch.round().ran == ["t", "u"]
        assert project.read("out") == "22"
        (far / "new").mkdir()
        assert watch.round().ran == ["t", "u"]
        (far / "new/f").write_text("3")
        assert watch.round().ran == ["t", "u"]
        assert project.read("out") == "223"
    settled(project)


@pytest.mark.parametrize("twin", ["in/b", "src/b"])
def test_a_file_that_is_written_to_by_another_name(project: Project, twin: str) -> None:
    project.taskfile(
        '[tasks.t]\ninputs = "in/a"\noutputs = "o"\nrun = "cp {input} {output}"\n'
        '[tasks.u]\ninputs = "src/c"\noutputs = "p"\nrun = "cp {input} {output}"\n'
    )
    project.write("in/a", "1")
    project.write("src/c", "1")
    os.link(project.folder / "in/a", project.folder / twin)
    with Watching(project) as watch:
        assert watch.first().ran == ["t", "u"]
        for text in ("22", "33"):
            project.write(twin, text)
            assert watch.round().ran == ["t"]
            assert project.read("o") == text


def test_found_headers_count(project: Project) -> None:
    project.taskfile("""
        [tasks.cc]
        inputs = "main.c"
        outputs = "main.o"
        depfile = "main.d"
        run = "cat main.c sub/inc.h > main.o; echo 'main.o: main.c sub/inc.h' > {depfile}"
    """)
    project.write("main.c", "c\n")
    project.write("sub/inc.h", "1\n")
    with Watching(project) as watch:
        assert watch.first().ran == ["cc"]
        project.write("sub/inc.h", "2\n")
        assert watch.round().ran == ["cc"]
        assert project.read("main.o") == "c\n2\n"


def test_an_edit_of_a_helper_runs_the_functions_that_reach_it(project: Project) -> None:
    project.taskfile("""
        [tasks.one]
        outputs = "one"
        call = "steps:one"
        [tasks.two]
        outputs = "two"
        call = "steps:two"
    """)
    project.write("helper.py", "def word(): return 'a'\n")
    project.write(
        "steps.py",
        "import helper\ndef one(output): output.write_text(helper.word())\ndef two(output): output.write_text('2')\n",
    )
    with Watching(project) as watch:
        assert watch.first().ran == ["one", "two"]
        project.write("helper.py", "def word(): return 'b'\n")
        assert watch.round().ran == ["one"]
        assert project.read("one") == "b"
        project.write("helper.py", "# nothing else\ndef word(): return 'b'\n")
        project.write("helper.py", "# nothing else\ndef word(): return 'c'\n")
        assert watch.round().ran == ["one"]
        assert project.read("one") == "c"
    settled(project)


def test_each_function_is_followed_though_another_was_edited_before(project: Project) -> None:
    project.taskfile('[tasks.f]\ncall = "m:f"\noutputs = "f"\n[tasks.g]\ncall = "k:f"\noutputs = "g"\n')
    text = "def f(output): output.write_text('{}')\n"
    project.write("m.py", text.format(0))
    project.write("k.py", text.format(0))
    with Watching(project) as watch:
        watch.first()
        for version in (1, 2):
            for module, job in (("m", "f"), ("k", "g")):
                project.write(f"{module}.py", text.format(version))
                assert watch.round().ran == [job]


def test_tracked_files_of_a_pattern(project: Project) -> None:
    project.taskfile(
        '[tasks.t]\ntrack = { files = ["tools/*.sh"] }\noutputs = "o"\nrun = "sh tools/x.sh > {output}"\n'
    )
    project.write("tools/x.sh", "echo 1")
    with Watching(project) as watch:
        watch.first()
        project.write("tools/x.sh", "echo 2")
        assert watch.round().ran == ["t"]
        project.write("tools/y.sh", "")
        assert watch.round().ran == ["t"]


def test_source_that_is_broken_is_mended(project: Project) -> None:
    """Also where the break is in what was not read before, or is that something is missing."""
    project.taskfile('[tasks.t]\ncall = "m:f"\noutputs = "o"\n')
    with Watching(project) as watch:
        assert "there is no module `m`" in str(watch.first().events)
        project.write("m.py", "import q\ndef f(output): output.write_text(q.v)\n")
        project.write("q.py", "v = '1'\n")
        assert watch.round().ran == ["t"]
        for name, broken, good in (
            ("m.py", "def f(output)\n", "import q, r\ndef f(output): output.write_text(q.v + r.v)\n"),
            ("r.py", "v =\n", "v = '2'\n"),
            ("q.py", "v =\n", "v = '3'\n"),
        ):
            project.write(name, broken)
            assert watch.round().failed == ["t"]
            project.write(name, good)
            run = watch.round()
        assert run.ran == ["t"]
        assert project.read("o") == "32"


def test_a_package_that_is_replaced(project: Project) -> None:
    """As when a release is put in its place: for a moment it is not there."""
    project.taskfile('[tasks.t]\ncall = "pack.m:f"\noutputs = "o"\n')
    for folder, value in (("pack", 1), ("next", 2)):
        project.write(f"{folder}/m.py", "from .n import v\ndef f(output): output.write_text(str(v))\n")
        project.write(f"{folder}/n.py", f"v = {value}\n")
    with Watching(project) as watch:
        watch.first()
        os.rename(project.folder / "pack", project.folder / "old")
        assert watch.round().failed == ["t"]
        os.rename(project.folder / "next", project.folder / "pack")
        assert watch.round().ran == ["t"]
        assert project.read("o") == "2"


def test_a_module_that_comes_from_elsewhere_now(project: Project) -> None:
    """A warm worker has the other one of that name."""
    project.taskfile('[bt]\npython_path = ["src"]\n[tasks.t]\ncall = "m:f"\noutputs = "o"\n')
    project.write("m.py", "import n\ndef f(output): output.write_text(n.v)\n")
    project.write("src/n.py", "v = '1'\n")
    with Watching(project) as watch:
        assert watch.first().ran == ["t"]
        project.write("n.py", "v = '2'\n")
        assert watch.round().ran == ["t"]
        assert project.read("o") == "2"
        (project.folder / "n.py").unlink()
        assert watch.round().ran == ["t"]
        assert project.read("o") == "1"


@pytest.mark.parametrize("above", ["", "data/"])
def test_a_directory_that_is_another_one_now(project: Project, above: str) -> None:
    """A switch of releases: what is watched has another name then."""
    project.taskfile(
        f'[tasks.t]\ninputs = "{above}in/a.txt"\noutputs = "o"\nrun = "cat {{input}} > {{output}}"\n'
    )
    top = (above or "in").rstrip("/")
    project.write(f"{above}in/a.txt", "a")
    project.write(f"next/{'in/' if above else ''}a.txt", "b")
    with Watching(project) as watch:
        watch.first()
        os.rename(project.folder / top, project.folder / "old")
        os.rename(project.folder / "next", project.folder / top)
        assert watch.round().ran == ["t"]
        assert project.read("o") == "b"
        project.write(f"old/{'in/' if above else ''}a.txt", "nothing of this counts")
        project.write(f"{above}in/a.txt", "c")
        assert watch.round().ran == ["t"]
        assert project.read("o") == "c"


def test_what_jobs_make_is_no_reason_to_build(letters: Project) -> None:
    with Watching(letters) as watch:
        watch.first()
        letters.write("out/a.txt", "mine\n")
        letters.write("unrelated", "x")
        letters.write("in/a.txt", "x\n")
        run = watch.round()
        assert run.ran == ["all", "up a"]
        changed = [path for told in watch.seen if told["event"] == "changed" for path in told["paths"]]
        assert changed == ["in/a.txt"]


def test_a_touched_file_is_looked_at_and_runs_nothing(letters: Project) -> None:
    with Watching(letters) as watch:
        watch.first()
        os.utime(letters.folder / "in/a.txt")
        watch.until("changed", paths=["in/a.txt"])
        assert watch.until("summary")[-1]["fresh"] == 2


def test_many_changes_at_once_are_one_build(project: Project) -> None:
    project.taskfile(UPPER)
    for number in range(50):
        project.write(f"in/{number}.txt", "a\n")
    with Watching(project, "--debounce", "300") as watch:
        assert len(watch.first().ran) == 51
        for number in range(50):
            project.write(f"in/{number}.txt", "b\n")
        assert len(watch.round().ran) == 51
        assert sum(told["event"] == "changed" for told in watch.seen) == 1


TELL_OF_LOOKS = """
from buildtool.watch.git import Repository

look = Repository.busy_with

def busy_with(self):
    found = look(self)
    if found is not None:
        with open({path!r}, "a") as file:
            file.write(".")
    return found

Repository.busy_with = busy_with
"""


def test_while_git_holds_its_lock_nothing_is_built(letters: Project) -> None:
    subprocess.run(["git", "init", "-q"], cwd=letters.folder, check=True)
    lock = letters.folder / ".git/index.lock"
    looks, telling = letters.folder.parent / "looks", letters.folder.parent / "telling"
    telling.mkdir()
    (telling / "sitecustomize.py").write_text(TELL_OF_LOOKS.format(path=str(looks)))
    where = os.pathsep.join([str(telling), str(Path(__file__).parents[2])])
    with Watching(letters, "--debounce", "0", env={"PYTHONPATH": where}) as watch:
        watch.first()
        lock.touch()
        letters.write("in/a.txt", "half\n")
        until = time.monotonic() + PATIENCE
        while not looks.exists() or looks.stat().st_size < 3:  # it has seen the lock, and waits
            assert time.monotonic() < until
            time.sleep(0.01)
        letters.write("in/b.txt", "done\n")
        letters.write("in/a.txt", "done\n")
        lock.unlink()
        run = watch.round()
        assert run.ran == ["all", "up a", "up b"]
        assert letters.read("all.txt") == "DONE\nDONE\n"
        assert sum(told["event"] == "changed" for told in watch.seen) == 1


def test_a_lock_of_git_that_was_forgotten_is_waited_for_once(letters: Project) -> None:
    subprocess.run(["git", "init", "-q"], cwd=letters.folder, check=True)
    hasty = letters.folder.parent / "hasty"
    hasty.mkdir()
    (hasty / "sitecustomize.py").write_text("import buildtool.watch.loop as loop\nloop._GIT_PATIENCE = 0.2\n")
    where = os.pathsep.join([str(hasty), str(Path(__file__).parents[2])])
    with Watching(letters, env={"PYTHONPATH": where}) as watch:
        watch.first()
        (letters.folder / ".git/index.lock").touch()
        letters.write("in/a.txt", "one\n")
        assert watch.round().ran == ["all", "up a"]
        letters.write("in/a.txt", "two\n")
        assert watch.round().ran == ["all", "up a"]
        told = [e for e in watch.seen if e["event"] == "warning" and "git has held the lock" in e["text"]]
        assert len(told) == 1


def test_a_switch_of_branches(letters: Project) -> None:
    def git(*words: str) -> None:
        command = ["git", "-c", "user.name=x", "-c", "user.email=x@y", *words]
        subprocess.run(command, cwd=letters.folder, check=True, capture_output=True)

    letters.write(".gitignore", "/out/\n/all.txt\n/.bt/\n")
    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "1")
    git("switch", "-qc", "other")
    letters.write("in/a.txt", "other\n")
    letters.write("in/c.txt", "c\n")
    letters.remove("in/b.txt")
    git("add", ".")
    git("commit", "-qm", "2")
    git("switch", "-q", "main")
    with Watching(letters) as watch:
        watch.first()
        git("switch", "-q", "other")
        assert watch.round().ran == ["all", "up a", "up c"]
        assert letters.read("all.txt") == "OTHER\nC\n"
        git("switch", "-q", "main")
        assert watch.round().ran == ["all", "up a"]  # out/b.txt is there yet, and right
        assert letters.read("all.txt") == "A\nB\n"
    settled(letters)


CODE = """
[tasks.one]
outputs = "one"
call = "first:make"
[tasks.two]
outputs = "two"
call = "second:make"
"""


@pytest.mark.parametrize("words", [(), ("--poll",)])
def test_an_edit_of_one_module_leaves_the_others_under_watch(
    project: Project, words: tuple[str, ...]
) -> None:
    project.taskfile(CODE)
    project.write("first.py", "def make(output): output.write_text('1')\n")
    project.write("second.py", "def make(output): output.write_text('1')\n")
    with Watching(project, *words) as watch:
        watch.first()
        project.write("first.py", "def make(output): output.write_text('22')\n")
        assert watch.round().ran == ["one"]
        project.write("second.py", "def make(output): output.write_text('22')\n")
        assert watch.round().ran == ["two"]
    settled(project)


def test_a_module_that_was_deleted_and_comes_back(project: Project) -> None:
    project.taskfile(CODE)
    project.write("first.py", "def make(output): output.write_text('1')\n")
    project.write("second.py", "def make(output): output.write_text('1')\n")
    with Watching(project) as watch:
        watch.first()
        project.remove("first.py")
        assert watch.round().failed == ["one"]
        project.write("first.py", "def make(output): output.write_text('2')\n")
        assert watch.round().ran == ["one"]
    settled(project)


def test_a_module_that_is_no_python_from_the_start(project: Project) -> None:
    project.taskfile('[bt]\npython_path = ["src"]\n[tasks.t]\noutputs = "t"\ncall = "pack.mod:make"\n')
    project.write("src/pack/mod.py", "def make(output) output.write_text('1')\n")
    with Watching(project) as watch:
        assert "is not valid Python" in next(e["text"] for e in watch.first().events if e["event"] == "error")
        project.write("src/pack/mod.py", "def make(output): output.write_text('1')\n")
        assert watch.round().ran == ["t"]
    settled(project)


def test_an_edit_finds_every_warm_worker_with_older_code(project: Project) -> None:
    project.taskfile("""
        [tasks.many]
        foreach = { n = [1, 2, 3, 4, 5] }
        outputs = "many/{n}"
        call = "steps:many"
        [tasks.one]
        outputs = "one"
        call = "steps:one"
    """)
    steps = "import os\ndef many(n, output):\n    while len(os.listdir('begun')) < 5: pass\n    output.write_text('')\n"
    steps = steps.replace("    while", "    open(f'begun/{n}', 'w').close()\n    while")
    (project.folder / "begun").mkdir()
    project.write("steps.py", steps + "def one(output): output.write_text('1')\n")
    with Watching(project, "-j5") as watch:
        watch.first()
        project.write("steps.py", steps + "def one(output): output.write_text('2')\n")
        run = watch.round()
        assert run.ran == ["one"]
        assert run.warnings == []
        assert project.read("one") == "2"


def test_a_module_that_another_hides_and_gives_free_again(project: Project) -> None:
    project.taskfile('[bt]\npython_path = ["src"]\n[tasks.t]\noutputs = "t"\ncall = "steps:make"\n')
    project.write("steps.py", "import word\ndef make(output): output.write_text(word.TEXT)\n")
    project.write("src/word.py", "TEXT = 'behind'\n")
    with Watching(project) as watch:
        watch.first()
        project.write("word.py", "TEXT = 'before'\n")
        watch.round()
        assert project.read("t") == "before"
        project.remove("word.py")
        watch.round()
        assert project.read("t") == "behind"
    settled(project)


def test_a_folder_of_modules_inside_a_package(project: Project) -> None:
    project.taskfile('[tasks.t]\noutputs = "t"\ncall = "pack.mod:make"\n')
    project.write("pack/__init__.py", "")
    project.write("pack/mod.py", "from .inner.word import TEXT\ndef make(output): output.write_text(TEXT)\n")
    project.write("pack/inner/word.py", "TEXT = '1'\n")
    with Watching(project, "-e", "processes") as watch:
        watch.first()
        project.write("pack/inner/word.py", "TEXT = '2'\n")
        assert watch.round().ran == ["t"]
        assert project.read("t") == "2"


IN = '[tasks.t]\ninputs = "a/b/in"\noutputs = "out"\nrun = "cp {input} {output}"\n'


def test_a_directory_above_an_input_is_changed_for_another_one(project: Project) -> None:
    project.taskfile(IN)
    project.write("a/b/in", "1")
    with Watching(project) as watch:
        watch.first()
        project.write("new/b/in", "2")
        os.rename(project.folder / "a", project.folder / "old")
        os.rename(project.folder / "new", project.folder / "a")
        watch.until("finished", job="t", status="ran")
        project.write("a/b/in", "3")
        while project.read("out") != "3":
            watch.until("finished", job="t")
        watch.until("waiting")
    settled(project)


def test_a_linked_directory_that_leads_elsewhere_now(project: Project) -> None:
    project.taskfile(IN)
    project.write("one/in", "1")
    project.write("two/in", "2")
    (project.folder / "a").mkdir()
    (project.folder / "a/b").symlink_to("../one")
    with Watching(project) as watch:
        watch.first()
        (project.folder / "a/new").symlink_to("../two")
        os.replace(project.folder / "a/new", project.folder / "a/b")
        assert watch.round().ran == ["t"]
        project.write("two/in", "3")
        assert watch.round().ran == ["t"]
        assert project.read("out") == "3"
    settled(project)


def test_a_file_that_is_read_by_its_name_and_through_links(project: Project) -> None:
    project.taskfile(
        """
        [tasks.t]
        foreach = { n = ["data/real", "link", "chain"] }
        inputs = "{n:**}"
        outputs = "out/{n:**}"
        run = "cp {input} {output}"
        """
    )
    project.write("data/real", "1")
    project.write("other", "2")
    (project.folder / "link").symlink_to("data/real")
    (project.folder / "data/middle").symlink_to("real")
    (project.folder / "chain").symlink_to("data/middle")
    with Watching(project) as watch:
        watch.first()
        project.write("data/real", "22")
        assert watch.round().ran == ["t chain", "t data/real", "t link"]
        (project.folder / "data/new").symlink_to("../other")
        os.replace(project.folder / "data/new", project.folder / "data/middle")
        assert watch.round().ran == ["t chain"]
    settled(project)


@pytest.mark.parametrize("words", [(), ("--poll",)])
def test_new_directories_in_one_that_is_read_as_a_whole(project: Project, words: tuple[str, ...]) -> None:
    project.taskfile(
        '[tasks.t]\ninputs = "data/"\noutputs = "n"\nrun = "cat data/*/* data/*/*/* > {output} || true"\n'
    )
    project.write("data/x/1", "1")
    with Watching(project, *words) as watch:
        watch.first()
        project.write("data/new/deep/f", "1")
        assert watch.round().ran == ["t"]
        project.write("data/new/deep/f", "22")
        assert watch.round().ran == ["t"]
        shutil.rmtree(project.folder / "data/new")
        assert watch.round().ran == ["t"]
    settled(project)


def test_what_waits_for_a_check_that_fails_now_is_no_ground_to_build_on(project: Project) -> None:
    project.taskfile(
        """
        [tasks.check]
        inputs = "text"
        outputs = "checked"
        run = "! grep bad {input} && touch {output}"

        [tasks.base]
        inputs = "other"
        outputs = "made"
        after = ["check"]
        run = "cp {input} {output}"

        [tasks.end]
        inputs = ["made", "text"]
        outputs = "end"
        run = "cat {inputs} > {output}"
        """
    )
    project.write("text", "good\n")
    project.write("other", "other\n")
    with Watching(project) as watch:
        assert watch.first().ran == ["base", "check", "end"]
        project.write("text", "bad\n")
        run = watch.round()
        assert run.ran == []
        assert run.summary["failed"] == 1
        assert run.summary["skipped"] == 2
        assert project.read("end") == "other\ngood\n"
        project.write("text", "well\n")
        assert watch.round().ran == ["check", "end"]
