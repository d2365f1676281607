"""`hash`: what of an output counts for those who read it."""

from __future__ import annotations

import pytest

from support.project import Project


def two(project: Project, how: str, keys: str = "") -> None:
    """A file made by `a` that counts by `how`, and its reader `b`."""
    project.taskfile(f"""
        [tasks.a]
        inputs = "in"
        outputs = "mid"
        hash = {how!r}
        run = "cat in > mid"
        {keys}
        [tasks.b]
        inputs = "mid"
        outputs = "out"
        run = "cat mid > out"
    """)


CASES = [
    ("text", "a  \nb\n", "a\r\nb\t\r\n\r\n", "a\n b\n"),
    ("json", '{"a": 1, "b": [1, 2]}', '{"b":[1,2],\n"a":1}', '{"a": 1, "b": [2, 1]}'),
    ("grep -v ^##", "##date 1\nx\n", "##date 2\nx\n", "##date 2\ny\n"),
    ("bytes", "x\n", "x\n", "x \n"),
]


@pytest.mark.parametrize(("how", "first", "same", "other"), CASES)
def test_only_what_counts_runs_the_reader(
    project: Project, how: str, first: str, same: str, other: str
) -> None:
    two(project, how)
    project.write("in", first.encode())
    assert project.build().ran == ["a", "b"]
    project.write("in", same.encode())
    assert project.build().ran == (["a"] if first != same else [])
    assert project.read("mid").replace("\r\n", "\n") == same.replace("\r\n", "\n")
    assert project.build().ran == []
    project.look("status", "--check")
    project.write("in", other.encode())
    assert project.build().ran == ["a", "b"]
    assert project.build().ran == []


def test_a_filter_that_leaves_nothing_is_no_failure(project: Project) -> None:
    two(project, "grep -v x")
    project.write("in", "x\n")
    assert project.build().ran == ["a", "b"]
    project.write("in", "xx\n")
    assert project.build().ran == ["a"]


@pytest.mark.parametrize(
    ("how", "words"), [("json", "is no JSON"), ("nonsense-command", "failed with exit code 127")]
)
def test_what_has_no_meaning_fails_the_reader(project: Project, how: str, words: str) -> None:
    two(project, how)
    project.write("in", "{")
    run = project.bt("build")
    assert run.code == 1
    assert run.failed == ["b"]
    assert words in run.finished["b"]["error"]


def test_a_temp_output_counts_after_it_is_gone(project: Project) -> None:
    two(project, "json", "temp = true")
    project.write("in", '{"a": 1}')
    project.build()
    assert not project.exists("mid")
    project.write("in", '{"a":   1}')
    assert project.build().ran == ["a"]
    assert project.build().ran == []


def test_no_filter_runs_when_one_only_looks(project: Project) -> None:
    two(project, "touch filtered; cat")
    project.write("in", "x")
    project.build()
    assert project.exists("filtered")
    project.remove("filtered")
    project.write("in", "y")
    for words in (("why", "out"), ("status",), ("build", "-n")):
        project.look(*words)
    assert not project.exists("filtered")


def test_it_is_for_files(project: Project) -> None:
    project.taskfile("""
        [tasks.a]
        outputs = "d/"
        hash = "text"
        run = "mkdir -p d"
    """)
    assert "is for files" in project.look("check", code=2).err
