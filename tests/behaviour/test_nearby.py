"""Patterns that may match something in a directory which a task makes as a whole."""

from __future__ import annotations

import itertools
import shutil

import pytest

from support.effort import some
from support.project import Project

GENERATED = """
    [tasks.gen]
    inputs = "seed"
    outputs = "src/gen/"
    run = "mkdir -p {{output}}; cp seed {{output}}/x.txt; cp seed {{output}}/.hidden"
    [tasks.read]
    inputs = "{pattern}"
    outputs = "r"
    run = "find . -name '*.txt' | sort > r"
"""


@pytest.mark.parametrize(
    ("output", "pattern"),
    some(
        itertools.product(
            ["src/gen/", "src/{x}/"], ["src/", "src/**", "**/*.txt", "src/*/x.txt", "*/*/[xy].txt", "s*/**"]
        ),
        6,
    ),
)
def test_who_may_read_in_it_waits_for_it(project: Project, pattern: str, output: str) -> None:
    foreach = '"\n    foreach = {{ x = ["gen"] }}'
    text = GENERATED if "{" not in output else GENERATED.replace('src/gen/"', "src/{{x}}/" + foreach)
    project.taskfile(text.format(pattern=pattern))
    project.write("seed", "1\n")
    project.write("src/a.txt", "1\n")
    run = project.build("read")
    assert len(run.ran) == 2
    assert project.read("r") == "./src/a.txt\n./src/gen/x.txt\n"
    assert project.build().ran == []
    project.look("build", "-n", "--check")
    project.write("seed", "2\n")
    run = project.look("build", "-n")
    assert "will run  gen" in run.out
    assert "may run   read" in run.out
    assert len(project.build().ran) == 2
    assert project.build().ran == []


def test_where_nothing_else_matches_it_is_waited_for(project: Project) -> None:
    project.taskfile(GENERATED.format(pattern="**/x.txt"))
    project.write("seed", "1\n")
    assert project.build().ran == ["gen", "read"]
    project.remove("src/gen/x.txt")
    assert project.build().ran == ["gen"]
    assert project.build().ran == []


@pytest.mark.parametrize("pattern", ["*.txt", "*/x.txt", "src/*", "other/**"])
def test_who_cannot_read_in_it_does_not_wait(project: Project, pattern: str) -> None:
    project.taskfile(GENERATED.format(pattern=pattern))
    for path in ("seed", "a.txt", "d/x.txt", "src/a.txt", ".hidden/a", "other/a"):
        project.write(path, "1\n")
    assert project.build("read").ran == ["read"]


def test_a_directory_with_a_dot_is_passed_over(project: Project) -> None:
    project.taskfile(GENERATED.format(pattern="**/*.txt").replace("src/gen/", ".venv/"))
    project.write("seed", "1\n")
    project.write("a.txt", "1\n")
    assert project.build("read").ran == ["read"]
    project.build()
    assert project.build().ran == []


def test_what_is_made_of_it_is_left_out(project: Project) -> None:
    project.taskfile("""
        [tasks.sum]
        inputs = "**/*.txt"
        outputs = "sum.md"
        run = "cat {inputs} > sum.md"
        [tasks.pack]
        inputs = "sum.md"
        outputs = "dist/"
        run = "cp a.txt sum.md dist/"
        [tasks.copy]
        inputs = "**/*.txt"
        outputs = "copy/"
        run = "cat {inputs} > copy/all.txt"
    """)
    project.write("a.txt", "1\n")
    assert project.build().ran == ["copy", "pack", "sum"]
    assert project.build().ran == []
    project.write("a.txt", "2\n")
    assert project.build().ran == ["copy", "pack", "sum"]
    assert project.read("sum.md") == "2\n"
    assert project.build().ran == []
    project.look("status", "--check")


@pytest.mark.parametrize("first", ["one", "two"])
def test_of_two_that_may_read_in_each_other_the_later_one_does(project: Project, first: str) -> None:
    project.taskfile("""
        [tasks.one]
        inputs = "**/*.txt"
        outputs = "d1/"
        run = "echo {inputs} > d1/list.txt"
        [tasks.two]
        inputs = "**/*.txt"
        outputs = "d2/"
        run = "echo {inputs} > d2/list.txt"
    """)
    project.write("a.txt", "1\n")
    project.build(first)
    project.build()
    assert project.read("d1/list.txt") == "a.txt\n"
    assert project.read("d2/list.txt") == "a.txt d1/list.txt\n"
    for asked in (["one"], ["two"], []):
        assert project.build(*asked).ran == []


def test_a_circle_through_files_that_are_named_is_one(project: Project) -> None:
    project.taskfile("""
        [tasks.sum]
        inputs = "dist/*"
        outputs = "sum"
        run = "cat {inputs} > sum"
        [tasks.pack]
        inputs = "sum"
        outputs = "dist/"
        run = "cp sum dist/"
    """)
    run = project.bt("build")
    assert run.code == 3
    assert "wait for each other: sum → dist/ → sum" in run.err


def test_wildcards_take_their_values_from_in_there(project: Project) -> None:
    project.taskfile("""
        [tasks.gen]
        inputs = "seed"
        outputs = "gen/"
        run = "for name in $(cat seed); do echo $name > gen/$name.md; done"
        [tasks.page]
        inputs = "{path:**}.md"
        outputs = "site/{path}.html"
        run = "cp {input} {output}"
        [tasks.site]
        inputs = "site/**"
        outputs = "all"
        run = "cat {inputs} > all"
    """)
    project.write("seed", "a b\n")
    project.write("top.md", "top\n")
    assert project.build("all").ran == ["gen", "page gen/a", "page gen/b", "page top", "site"]
    assert project.read("all") == "a\nb\ntop\n"
    assert project.build().ran == []
    project.write("seed", "b c\n")
    run = project.build()
    assert run.ran == ["gen", "page gen/c", "site"]
    assert any("site/gen/a.html" in warning for warning in run.warnings)
    assert project.read("all") == "b\nc\ntop\n"
    assert project.build().ran == []


def test_a_group_of_them_waits_for_no_directory_that_needs_it(project: Project) -> None:
    project.taskfile("""
        [tasks.page]
        inputs = "{path:**}.md"
        outputs = "html/{path}.html"
        run = "cp {input} {output}"
        [tasks.site]
        needs = ["page"]
        inputs = "html/**"
        outputs = "out/"
        run = "cp top.md out/"
    """)
    project.write("top.md", "top\n")
    assert "page top" in project.build("out/").ran
    project.build()
    assert project.build().ran == []


def test_a_list_turns_out_to_name_what_is_made_of_it(project: Project) -> None:
    project.taskfile("""
        [tasks.sum]
        inputs = "**/*.txt"
        outputs = "sum"
        run = "cat {inputs} > sum"
        [tasks.names]
        inputs = "seed"
        outputs = "names"
        run = "cp seed names"
        [tasks.pack]
        inputs = "@names"
        outputs = "dist/"
        run = "cp {inputs} a.txt dist/"
    """)
    project.write("a.txt", "1\n")
    project.write("seed", "sum\n")
    assert project.build().ran == ["names", "pack", "sum"]
    assert project.build().ran == []
    project.write("a.txt", "2\n")
    assert project.build().ran == ["pack", "sum"]
    assert project.read("sum") == "2\n"
    project.write("seed", "b.txt\n")
    project.write("b.txt", "3\n")
    assert project.build().ran == ["names", "pack", "sum"]
    assert project.read("sum") == "2\n3\n2\n3\n"
    assert project.build().ran == []


# -- in two levels, and what makes it ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "pattern"),
    some(
        itertools.product(
            ["x/{x}/1", "x/{x}/", "x/{x}/*", "x/"],
            ["x/*/*", "x/?/*", "*/*/*", "x/*/?*", "x/{y}/*", "x/*/1", "x/**"],
        ),
        6,
    ),
)
def test_both_levels_of_a_path_may_be_patterns(project: Project, pattern: str, output: str) -> None:
    each = "{x}" in output
    copy = "for i in {input}; do n=$(basename $i); mkdir -p x/$n; cp $i x/$n/1; done"
    project.taskfile(f"""
        [tasks.mk]
        inputs = "src/{"{x}" if each else "*"}"
        outputs = "{output}"
        run = "{copy}"
        [tasks.up]
        inputs = "{pattern}"
        outputs = "up{"/{y}" if "{y}" in pattern else ""}"
        run = "cat {{input}} > {{output}}"
        [tasks.all]
        inputs = ["head", "up{"/*" if "{y}" in pattern else ""}"]
        outputs = "all"
        run = "cat {{input}} > {{output}}"
    """)
    project.write("head", "0\n")
    project.write("src/a", "1\n")
    project.build()
    assert project.read("all") == "0\n1\n"
    assert project.build().ran == []
    project.write("src/b", "2\n")
    project.build()
    assert project.read("all") == "0\n1\n2\n"
    assert project.build().ran == []
    project.bt("clean")
    project.build()
    assert project.read("all") == "0\n1\n2\n"


# -- a directory that is not there ---------------------------------------------------------------------------

MADE = """
    [tasks.mk]
    outputs = "{output}"
    temp = {temp}
    run = "mkdir -p d; echo a > d/a.dat"
    [tasks.part]
    inputs = ["z", "{part}"]
    outputs = "part"
    run = "find {{inputs}} -type f | xargs cat > part"
    [tasks.whole]
    inputs = ["z", "d/"]
    outputs = "whole"
    run = "cat z d/* > whole"
"""


@pytest.mark.parametrize(
    ("output", "part", "temp"),
    some(
        itertools.product(
            ["d/", "d/*.dat", "d/a.dat"], ["d/*", "d/**", "*/a.dat", "**/*.dat", "d/", "*/"], [False, True]
        ),
        8,
    ),
)
def test_nobody_runs_without_what_lies_in_it(project: Project, output: str, part: str, temp: bool) -> None:
    project.taskfile(MADE.format(output=output, part=part, temp=str(temp).lower()))
    project.write("z", "z\n")
    project.build()
    for edit in ("nothing", "z", "clean"):
        if edit == "clean":
            project.bt("clean")
        else:
            shutil.rmtree(project.folder / "d", ignore_errors=True)
            project.write("z", f"{edit}\n")
        project.build()
        assert project.read("part").split() == [edit if edit != "clean" else "z", "a"]
        assert project.build().ran == []
        project.look("build", "-n", "--check")


@pytest.mark.parametrize(
    ("output", "part"), some(itertools.product(["d/", "d/*.dat"], ["d/*", "**/*.dat", "d/"]), 3)
)
def test_only_takes_nobody_without_it(project: Project, output: str, part: str) -> None:
    project.taskfile(MADE.format(output=output, part=part, temp="false"))
    project.write("z", "z\n")
    project.build()
    shutil.rmtree(project.folder / "d")
    project.write("z", "y\n")
    run = project.bt("build", "--only", "part")
    assert run.code == 3
    assert "is not there, and `--only` does not make it" in run.out or "no such file" in run.out
    assert project.read("part") == "z\na\n"


def test_a_change_of_what_others_make_in_it_is_foreseen(project: Project) -> None:
    project.taskfile("""
        [tasks.mk]
        inputs = "src"
        outputs = "d/*.dat"
        run = "cp src d/a.dat"
        [tasks.read]
        inputs = "d/"
        outputs = "r"
        run = "cat d/* > r"
    """)
    project.write("src", "1\n")
    project.build()
    project.write("src", "2\n")
    assert "may run   read" in project.look("build", "-n").out
    project.build()
    project.write("d/a.dat", "mine\n")
    assert "may run   read" in project.look("build", "-n").out
    assert project.build().ran == ["mk"]


# -- outputs whose task comes back ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "output"),
    some(itertools.product(["clean", "delete", "accept"], ["d/*.dat", "d/**/*.dat", "d/", "d/a.dat"]), 6),
)
def test_orphans_that_went_are_made_again_when_their_task_comes_back(
    project: Project, output: str, how: str
) -> None:
    kept = """
        [bt]
        orphans = "%s"
        [tasks.other]
        inputs = "z"
        outputs = "o"
        run = "cp z o"
    """ % ("delete" if how == "delete" else "report")
    made = f"""
        [tasks.mk]
        inputs = "z"
        outputs = "{output}"
        run = "mkdir -p d; cp z d/a.dat"
    """
    project.write("z", "z\n")
    project.taskfile(kept + made)
    project.build()
    project.taskfile(kept)
    project.build()
    if how == "clean":
        project.bt("clean", "--orphans")
    elif how == "accept":
        project.bt("accept", output if "*" not in output else "d/a.dat")
    assert project.exists("d/a.dat") == (how == "accept")
    project.taskfile(kept + made)
    assert project.build().ran == ["mk"]
    assert project.read("d/a.dat") == "z\n"
    assert project.build().ran == []


@pytest.mark.parametrize("word", ["d/", "d/a"])
def test_an_orphan_directory_in_which_something_was_changed_can_be_accepted(
    project: Project, word: str
) -> None:
    project.taskfile("""
        [tasks.mk]
        outputs = "d/"
        run = "echo a > d/a; echo b > d/b"
    """)
    project.build()
    project.write("d/a", "mine\n")
    project.taskfile("[tasks]")
    assert word in project.bt("accept", word).out
    project.bt("clean", "--orphans")
    assert project.read("d/a") == "mine\n"
    assert project.exists("d/b") == (word == "d/")
    assert project.build().warnings == []


# -- directories that a pattern matches ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "output"),
    some(
        itertools.product(
            ["d/*/", "d/{y}/", "*/*/"], ["d/{x}/1.dat", "d/{x}/*.dat", "d/{x}/", "d/*/*.dat", "d/"]
        ),
        6,
    ),
)
def test_a_pattern_of_directories_sees_what_is_made_in_them(
    project: Project, output: str, pattern: str
) -> None:
    each = "{x}" in output
    project.taskfile(f"""
        [tasks.mk]
        inputs = "src/{"{x}" if each else "*"}"
        outputs = "{output}"
        run = "for i in {{input}}; do n=$(basename $i); mkdir -p d/$n; cp $i d/$n/1.dat; done"
        [tasks.read]
        inputs = ["{pattern}", "z"]
        outputs = "r/{"{y}" if "{y}" in pattern else "all"}"
        run = "find {{inputs}} | sort > {{output}}"
        [tasks.top]
        inputs = "r/*"
        outputs = "top"
        run = "cat {{inputs}} | sort -u > top"
    """)
    for path in ("src/a", "src/b", "z"):
        project.write(path, f"{path}\n")
    project.build()
    both = ["d/a/", "d/a/1.dat", "d/b/", "d/b/1.dat", "z"]
    for _ in range(2):
        assert project.read("top").split() == both
        assert project.build().ran == []
        shutil.rmtree(project.folder / "d", ignore_errors=True)
        project.build()
    project.remove("src/b")
    project.build()
    project.bt("clean", "--orphans")
    project.build()
    assert project.read("top").split() == ["d/a/", "d/a/1.dat", "z"]
    assert project.build().ran == []


# -- a person's directory in the way -------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", some(["m/**", "m/*/*", "**/q", "m/{p:**}"], 2))
def test_what_lies_in_a_directory_in_the_place_of_an_output_is_no_source(
    project: Project, pattern: str
) -> None:
    project.taskfile(f"""
        [tasks.mk]
        inputs = "src/{{x}}"
        outputs = "m/{{x}}"
        run = "cp {{input}} {{output}}"
        [tasks.read]
        inputs = ["src/a", "{pattern}"]
        outputs = "r{"/{p}" if "{p" in pattern else ""}"
        run = "cat {{inputs}} > {{output}}"
    """)
    project.write("src/a", "1\n")
    project.build()
    project.remove("m/a")
    project.write("m/a/q", "mine\n")
    run = project.build()
    assert any("m/a" in warning and ".bt/kept/" in warning for warning in run.warnings)
    assert project.read("m/a") == "1\n"
    [kept] = (project.folder / ".bt/kept").rglob("q")
    assert kept.read_text() == "mine\n"
    assert project.build().ran == []


# -- what a job makes itself ---------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["sub/o", "sub/d/", "sub/d/*.txt"])
def test_a_directory_in_which_a_job_makes_something_is_no_input_of_it(project: Project, output: str) -> None:
    project.taskfile(f"""
        [tasks.mk]
        inputs = "sub/"
        outputs = "{output}"
        run = "true"
    """)
    project.write("sub/a", "1\n")
    run = project.bt("build")
    assert run.code == 3
    assert f"`mk` waits for itself: {output} → sub/" in run.err
    assert "Taskfile.toml:2:10" in run.err


@pytest.mark.parametrize("keep", [False, True])
def test_what_a_job_made_in_its_own_directory_is_no_input_of_it(project: Project, keep: bool) -> None:
    project.taskfile(f"""
        [tasks.mk]
        inputs = ["seed", "d/*", "*/"]
        outputs = "d/"
        keep = {str(keep).lower()}
        run = "echo {{inputs}} > d/list"
    """)
    project.write("seed", "1\n")
    project.write("e/x", "1\n")
    project.build()
    assert project.read("d/list") == "seed e/\n"
    assert project.build().ran == []
    project.write("d/mine", "1\n")
    project.build()
    assert project.read("d/list") == ("seed d/mine e/\n" if keep else "seed e/\n")
    assert project.build().ran == []


@pytest.mark.parametrize(("orphans", "read"), [("delete", "d/s/"), ("report", "d/s/a")])
def test_an_orphan_directory_in_which_something_is_named_stays(
    project: Project, orphans: str, read: str
) -> None:
    kept = f"""
        [bt]
        orphans = "{orphans}"
        [tasks.read]
        inputs = ["z", "{read}"]
        outputs = "r"
        run = "find {{inputs}} > r"
    """
    made = """
        [tasks.mk]
        outputs = "d/"
        run = "mkdir d/s; echo 1 > d/s/a"
    """
    project.write("z", "1\n")
    project.taskfile(kept + made)
    project.build()
    project.taskfile(kept)
    [warning] = project.build().warnings
    assert f"no task makes {read} any more, and it is still read" in warning
    project.bt("accept", read)
    project.build()
    assert project.exists("d/s/a")
    assert project.build().warnings == []


# -- what is tracked -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("temp", "output", "tracked"),
    some(
        itertools.product(
            [False, True], ["d/a.txt", "d/", "d/*.txt"], ["d/a.txt", "d/*.txt", "*/a.txt", "d/"]
        ),
        6,
    ),
)
def test_who_tracks_a_file_that_is_made_waits_for_it(
    project: Project, output: str, tracked: str, temp: bool
) -> None:
    project.taskfile(f"""
        [tasks.read]
        inputs = "n"
        track = {{ files = ["{tracked}", "none"] }}
        outputs = "r"
        run = "cat d/a.txt > r"
        [tasks.mk]
        inputs = "n"
        outputs = "{output}"
        temp = {str(temp).lower()}
        run = "mkdir -p d; cp n d/a.txt"
    """)
    for text in ("1\n", "2\n"):
        project.write("n", text)
        assert project.build().ran == ["mk", "read"]
        assert project.read("r") == text
        assert project.build().ran == []
        project.look("status", "--check")
    shutil.rmtree(project.folder / "d")
    project.remove("r")
    project.build()
    assert project.read("r") == "2\n"


# -- what is first seen when its directory is there ----------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "pattern"),
    some(itertools.product(["true", "touch d/s/.a", "mkdir d/s/t"], ["*/*/", "d*/s/", "*/s/", "d/*/"]), 4),
)
def test_directories_without_visible_files_are_seen(project: Project, pattern: str, content: str) -> None:
    project.taskfile(f"""
        [tasks.mk]
        inputs = "n"
        outputs = "d/"
        run = "mkdir -p d/s; touch d/k; {content}"
        [tasks.read]
        inputs = ["n", "{pattern}"]
        outputs = "r"
        run = "echo {{inputs}} > r"
    """)
    project.write("n", "1\n")
    project.build()
    assert project.read("r") == "n d/s/\n"
    assert project.build().ran == []


@pytest.mark.parametrize("pattern", some(["*/*/*.txt", "*/lnk/*", "d*/l*/a.txt", "*/lnk/"], 2))
def test_links_to_directories_are_seen(project: Project, pattern: str) -> None:
    project.taskfile(f"""
        [tasks.mk]
        inputs = "n"
        outputs = "d/"
        run = "ln -s ../real d/lnk"
        [tasks.read]
        inputs = ["n", "{pattern}"]
        outputs = "r"
        run = "echo {{inputs}} > r"
    """)
    project.write("n", "1\n")
    project.write("real/a.txt", "1\n")
    project.build()
    assert project.read("r") == ("n d/lnk/\n" if pattern.endswith("/") else "n d/lnk/a.txt\n")
    assert project.build().ran == []


# -- a pattern of outputs above the directory of another task ------------------------------------------------


@pytest.mark.parametrize("output", ["p/d/", "p/{x}/"])
def test_a_pattern_of_outputs_leaves_the_directories_of_others_alone(project: Project, output: str) -> None:
    project.taskfile(f"""
        [tasks.dir]
        inputs = "n"
        outputs = "{output}"
        {'foreach = { x = ["d"] }' if "{" in output else ""}
        run = "cp n p/d/a.txt"
        [tasks.glob]
        inputs = "m"
        outputs = "p/**/*.txt"
        run = "mkdir -p p; cp m p/b.txt"
    """)
    project.write("n", "1\n")
    for text in ("1\n", "2\n"):
        project.write("m", text)
        run = project.build("-j1")
        assert "glob" in run.ran
        assert run.warnings == []
        assert project.read("p/d/a.txt") == "1\n"
        assert project.read("p/b.txt") == text
        assert project.build().ran == []


@pytest.mark.parametrize(
    ("output", "keep"), some(itertools.product(["d/*.dat", "d/*/*.dat", "d/**/*.dat"], [False, True]), 4)
)
def test_a_persons_directory_in_the_place_of_what_a_pattern_brought_gives_way(
    project: Project, output: str, keep: bool
) -> None:
    name = "d/c.dat" if output == "d/*.dat" else "d/s/c.dat"
    project.taskfile(f"""
        [tasks.mk]
        inputs = "n"
        outputs = "{output}"
        keep = {str(keep).lower()}
        run = "mkdir -p $(dirname {name}); cp n {name}"
    """)
    project.write("n", "1\n")
    project.build()
    project.remove(name)
    project.write(f"{name}/q.dat", "mine\n")
    project.build()
    assert project.read(name) == "1\n"
    assert "mine\n" in [kept.read_text() for kept in (project.folder / ".bt/kept").rglob("q.dat")]
    assert project.build().ran == []


# -- targets and forecasts -----------------------------------------------------------------------------------

GROWN = """
    [tasks.d]
    inputs = "n"
    outputs = "d/"
    run = "for i in $(cat n); do echo 1 > d/$i.txt; done"
    [tasks.x]
    inputs = "d/{x}.txt"
    outputs = "x/{x}/"
    run = "mkdir -p {output}/s; cp {input} {output}/s/a"
    [tasks.r]
    inputs = ["n", "x/*/s/a"]
    outputs = "o"
    run = "echo {inputs} > o"
"""


def test_a_forecast_for_a_target_knows_what_grows(project: Project) -> None:
    project.taskfile(GROWN)
    project.write("n", "c\n")
    project.build()
    project.look("build", "-n", "--check", "o")
    project.look("status", "--check", "o")
    assert "r is fresh" in project.look("why", "o").out
    project.write("o", "hand\n")
    assert "accepted r" in project.bt("accept", "o").out
    assert project.build().ran == []


@pytest.mark.parametrize("word", some(["x/*/s/a", "x/*/", "x/**", "*/", "*/*/"], 3))
def test_a_glob_of_what_grows_can_be_asked_for(project: Project, word: str) -> None:
    project.taskfile(GROWN)
    project.write("n", "c e\n")
    assert {"d", "x c", "x e"} <= {*project.build(word).ran}
    project.look("build", "-n", word)
    assert project.build(word).ran == []
    project.look("status", word)


def test_a_directory_below_a_pattern_of_outputs_is_foreseen(project: Project) -> None:
    project.taskfile("""
        [tasks.m]
        inputs = "n"
        outputs = "d/**/*.txt"
        run = "for i in $(cat n); do mkdir -p d/$(dirname $i); echo $i > d/$i; done"
        [tasks.r]
        inputs = "d/s/"
        outputs = "o"
        run = "ls -R d/s > o"
    """)
    project.write("n", "s/b.txt\n")
    project.build()
    project.write("n", "s/c.txt\n")
    assert "may run   r" in project.look("build", "-n").out
    assert project.build().ran == ["m", "r"]


def test_a_persons_file_where_a_pattern_brought_one_is_no_orphan(project: Project) -> None:
    project.taskfile("""
        [tasks.mk]
        inputs = "names"
        outputs = "d/*.dat"
        run = "mkdir -p d; for i in $(cat names); do echo $i > d/$i.dat; done"
    """)
    project.write("names", "a b\n")
    project.build()
    project.write("names", "a\n")
    project.build()
    project.write("d/b.dat", "mine\n")
    assert project.build().warnings == []
    project.bt("clean", "--orphans")
    assert project.read("d/b.dat") == "mine\n"


@pytest.mark.parametrize("kind", ["inputs", "needs"])
@pytest.mark.parametrize("read", ["d/a.txt", "d/a/"])
def test_what_a_directory_holds_no_more_is_missed(project: Project, read: str, kind: str) -> None:
    make = "mkdir d/$i; echo $i > d/$i/x" if read.endswith("/") else "echo $i > d/$i.txt"
    project.taskfile(f"""
        [tasks.mk]
        inputs = "src"
        outputs = "d/"
        run = "for i in $(cat src); do {make}; done"
        [tasks.x]
        {kind} = ["{read}"]
        outputs = "o"
        run = "find {read} > o"
        [tasks.r]
        inputs = ["z", "o"]
        outputs = "r"
        run = "cat {{inputs}} > r"
    """)
    project.write("src", "a c\n")
    project.write("z", "1\n")
    project.build()
    project.write("src", "c\n")
    for _ in range(2):
        run = project.bt("build")
        assert run.code == 1
        assert f"`{read}` is not among what `mk` made" in run.out


@pytest.mark.parametrize(
    ("hidden", "kind"),
    some(itertools.product(["x/.env", "x/.c/", "x/.c/a", "x/{n}.txt"], ["inputs", "needs", "after"]), 4),
)
def test_hidden_files_in_a_directory_that_is_read_are_waited_for(
    project: Project, hidden: str, kind: str
) -> None:
    project.taskfile(f"""
        [tasks.r]
        {kind} = ["x/"]
        outputs = "r"
        run = "find x | sort > r"
        [tasks.x]
        {'foreach = { n = [".h"] }' if "{" in hidden else ""}
        outputs = "{hidden}"
        run = "sleep 0.1; {"echo 1 > x/.c/a" if hidden == "x/.c/" else "echo 1 > {output}"}"
    """)
    project.write("x/a", "1\n")
    project.build("r")
    assert any(line.startswith("x/.") for line in project.read("r").split())
    assert project.build().ran == []


@pytest.mark.parametrize("word", ["x/*", "x/", "x/**"])
def test_after_waits_for_what_grows(project: Project, word: str) -> None:
    project.taskfile(f"""
        [tasks.a]
        after = ["{word}"]
        outputs = "a.out"
        run = "ls x > a.out || echo nothing > a.out"
        [tasks.d]
        inputs = "n"
        outputs = "d/"
        run = "cp n d/1.txt"
        [tasks.x]
        inputs = "d/{{x}}.txt"
        outputs = "x/{{x}}.txt"
        run = "cp {{input}} {{output}}"
    """)
    project.write("n", "1\n")
    assert project.build("a").ran == ["a", "d", "x 1"]
    assert project.read("a.out") == "1.txt\n"
    project.write("n", "2\n")
    assert project.build().ran == ["d", "x 1"]


def test_what_a_task_makes_is_not_tracked_by_it(project: Project) -> None:
    project.taskfile("""
        [tasks.a]
        inputs = "s"
        track = { files = ["conf/*.yml"] }
        outputs = "conf/gen.yml"
        run = "cp s {output}"
    """)
    project.write("s", "1\n")
    project.write("conf/u.yml", "1\n")
    assert project.build().ran == ["a"]
    assert project.build().ran == []
    project.write("conf/u.yml", "2\n")
    assert project.build().ran == ["a"]


@pytest.mark.parametrize("table", ["", "@names"])
def test_a_tracked_file_that_could_be_made_need_not_be_there(project: Project, table: str) -> None:
    project.taskfile(f"""
        [tasks.x]
        inputs = "md/{{n}}.md"
        outputs = "html/{{n}}.html"
        {f'foreach = {{ n = "{table}" }}' if table else ""}
        run = "cp {{input}} {{output}}"
        [tasks.r]
        track = {{ files = ["html/extra.html"] }}
        outputs = "r"
        run = "cat html/extra.html > r || echo none > r"
        [tasks.names]
        inputs = "n"
        outputs = "names"
        run = "cp n names"
    """)
    project.write("n", "a\n")
    project.write("md/a.md", "1\n")
    project.build()
    assert project.read("r") == "none\n"
    assert project.build().ran == []
    project.write("md/extra.md", "2\n")
    project.write("n", "a\nextra\n")
    project.build()
    assert project.read("r") == "2\n"
    assert project.build().ran == []


@pytest.mark.parametrize("output", ["g.txt", "d/", "d/*.txt"])
def test_a_change_of_what_is_tracked_is_foreseen(project: Project, output: str) -> None:
    path = "g.txt" if output == "g.txt" else "d/a.txt"
    project.taskfile(f"""
        [tasks.mk]
        inputs = "src"
        outputs = "{output}"
        run = "mkdir -p d; cp src {path}"
        [tasks.r]
        track = {{ files = ["{path if output == "g.txt" else "d/*"}"] }}
        outputs = "r"
        run = "cat {path} > r"
    """)
    project.write("src", "1\n")
    project.build()
    project.write("src", "2\n")
    assert "may run   r" in project.look("build", "-n").out
    assert project.build().ran == ["mk", "r"]
    project.write(path, "mine\n")
    assert "may run   r" in project.look("build", "-n").out
    assert project.build().ran == ["mk"]


def test_a_tracked_orphan_counts_while_it_lies_there(project: Project) -> None:
    project.taskfile("""
        [tasks.mk]
        foreach = { n = "@names" }
        outputs = "conf/{n}.yml"
        run = "echo {n} > {output}"
        [tasks.r]
        track = { files = ["conf/*.yml"] }
        outputs = "r"
        run = "cat conf/*.yml > r"
    """)
    project.write("names", "a\nb\n")
    project.build()
    project.write("names", "b\n")
    assert project.build().ran == []
    project.bt("clean", "--orphans")
    assert project.build().ran == ["r"]
    assert project.read("r") == "b\n"


def test_a_result_that_its_own_pattern_matches_is_made_again(project: Project) -> None:
    project.taskfile("""
        [tasks.sum]
        inputs = "**/*.txt"
        outputs = "sum.txt"
        run = "cat {inputs} > {output}"
    """)
    project.write("a.txt", "1\n")
    project.build()
    project.remove("sum.txt")
    assert project.build().ran == ["sum"]
    assert project.read("sum.txt") == "1\n"


def test_an_orphan_directory_in_which_a_file_is_gone_stays_an_orphan(project: Project) -> None:
    project.taskfile("""
        [tasks.out]
        foreach = { id = "@ids" }
        outputs = "out/{id}/"
        run = "echo 1 > {output}/m; echo 1 > {output}/x"
        [tasks.res]
        inputs = "out/{id}/"
        outputs = "res/{id}.txt"
        run = "ls {input} > {output}"
        [tasks.tot]
        inputs = "res/*.txt"
        outputs = "tot.txt"
        run = "ls {input} > {output}"
    """)
    project.write("ids", "q\nr\n")
    project.build()
    project.write("ids", "r\n")
    project.build()
    project.remove("out/q/x")
    assert project.build().ran == []
    assert project.read("tot.txt") == "res/r.txt\n"
    project.write("out/q/mine", "1\n")
    project.build()
    assert project.read("tot.txt") == "res/q.txt\nres/r.txt\n"


def test_a_directory_that_is_gone_and_tracked_is_no_certain_reason(project: Project) -> None:
    project.taskfile("""
        [tasks.site]
        inputs = "n"
        outputs = "site/"
        run = "cp n site/i.html"
        [tasks.trk]
        inputs = "n"
        outputs = "trk.txt"
        track = { files = ["site/*.html"] }
        run = "cp n trk.txt"
    """)
    project.write("n", "1\n")
    project.build()
    shutil.rmtree(project.folder / "site")
    assert "may run   trk  (if site changes something)" in project.look("build", "-n").out
    assert project.build().ran == ["site"]


@pytest.mark.parametrize("tasks", ["", "x.outputs = 'o/y'\nx.run = 'echo 1 > o/y'"])
def test_directories_of_sources_can_be_asked_for(project: Project, tasks: str) -> None:
    project.write("Taskfile.toml", f"[tasks]\n{tasks}\n")
    project.write("d/a", "1\n")
    assert project.build("d*/").ran == []
    assert project.build("*/").ran == (["x"] if tasks else [])
