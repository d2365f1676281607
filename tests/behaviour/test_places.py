"""An error points at what is wrong: file, line and column."""

from __future__ import annotations

import re

import pytest

from support.project import Project

# `^` stands before what an error must point at.
EXACT = {
    "basic": '[tasks.t]\nrun = "echo é ^{nope} b"\n',
    "literal": "[tasks.t]\nrun = 'echo ^{nope} b'\n",
    "basic with escapes": '[tasks.t]\nrun = "echo \\t \\u00e9 \\\\ \\"x\\" ^{nope}"\n',
    "many lines": '[tasks.t]\nrun = """\necho a\n  echo \\\\ ^{nope}\n"""\n',
    "many lines, first": '[tasks.t]\nrun = """echo ^{nope}\n"""\n',
    "a broken line": '[tasks.t]\nrun = """\necho a \\\n    b \\\n   ^{nope}\n"""\n',
    "many literal lines": "[tasks.t]\nrun = '''\necho \\n\n  echo ^{nope}\n'''\n",
    "a list": "[tasks.t]\nrun = [\n  'echo a',\n  \"echo \\t ^{nope}\",\n  'echo b',\n]\n",
    "lines in a list": "[tasks.t]\nrun = ['''\necho a\n''', '''\necho a\necho ^{nope}''']\n",
    "no such input": "[tasks.t]\nrun = '''\necho ^{input}\n'''\n",
    "no such parameter": "[tasks.t]\nrun = '''\necho ^{params.x}\n'''\n",
    "no such variable": "[tasks.t]\nrun = '''\necho ^{vars.x}\n'''\n",
    "where no value is safe": "[vars]\nx = 'a'\n[tasks.t]\nrun = '''\necho \\^{vars.x}\n'''\n",
    "too few": "[tasks.t]\nneeds = 'in'\ninputs = 'in'\nrun = '''\necho ^{input[1]}\n'''\n",
    "needs": "[tasks.t]\nneeds = ['in', ^'tt']\nrun = 'true'\n",
    "after": "[tasks.t]\nafter = ['in', ^'tt']\nrun = 'true'\n",
    "foreach": "[tasks.t]\nforeach = { from = ^'no.csv' }\noutputs = '{n}'\nrun = 'true'\n",
}


@pytest.mark.parametrize("name", EXACT)
def test_exact(project: Project, name: str) -> None:
    text = EXACT[name]
    before = text[: text.index("^")]
    project.write("in", "")
    project.write("Taskfile.toml", text.replace("^", "", 1))
    err = project.bt("check").err
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    assert err.startswith(f"Taskfile.toml:{line}:{column}: error: "), err
    assert "error" not in err[err.index("error: ") + 6 :]


def test_a_line_of_a_list(project: Project) -> None:
    project.write("all.txt", "in\n\n  nope\n")
    project.write("in", "")
    project.taskfile("[tasks.t]\ninputs = '@all.txt'\nrun = 'true'\n")
    assert project.bt("build").err.startswith("all.txt:3:3: error: `nope`: no such file")
    project.write("all.txt", "in\na\0b\n")
    assert project.bt("build").err.startswith("all.txt:2:1: error: a line of `all.txt` holds a NUL")


def test_a_variable_whose_command_fails(project: Project) -> None:
    project.taskfile("[vars]\nx = { sh = 'exit 3' }\n[tasks.t]\nrun = 'echo {vars.x}'\n")
    err = project.bt("build").err
    assert err.startswith("Taskfile.toml:2:1: error: `vars.x`: the command failed with exit code 3")
    assert "it said" not in err


def test_suggestions(project: Project) -> None:
    project.taskfile("""
        [tasks.report]
        params = { kind = 1 }
        run = "true"
        [tasks.all]
        needs = ["rport"]
    """)
    assert "did you mean `report`?" in project.bt("check").err
    project.taskfile(re.sub("rport", "report", project.read("Taskfile.toml")))
    assert "did you mean `report.kind`?" in project.bt("build", "--set", "repotr.kind=2").err
    assert "did you mean `kind`?" in project.bt("build", "--set", "knd=2").err
