"""Patterns that may match something in a directory which a task makes as a whole."""

from __future__ import annotations

import pytest

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


@pytest.mark.parametrize("pattern", ["src/", "src/**", "**/*.txt", "src/*/x.txt", "*/*/[xy].txt", "s*/**"])
@pytest.mark.parametrize("output", ["src/gen/", "src/{x}/"])
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
