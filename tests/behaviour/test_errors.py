"""Wrong Taskfiles and wrong use: a clear error with its place and the right exit code, and nothing is changed."""

from __future__ import annotations

import os
import subprocess

import pytest

from support.project import BT, Project

RULE = '[tasks.t]\ninputs = "in"\noutputs = "out"\nrun = "cp {input} {output}"\n'

WRONG = {
    "broken TOML": ("[tasks.t\n", 2, ["Taskfile.toml:1:"]),
    "unknown key": (
        RULE + 'ouputs = "x"\n',
        2,
        ["Taskfile.toml:5:1", "`ouputs`", "did you mean `outputs`", "^^^^^^"],
    ),
    "wrong type": ("[tasks.t]\nrun = 3\n", 2, ["Taskfile.toml:2:", "`run`"]),
    "cycle of files": (
        '[tasks.a]\ninputs = "y"\noutputs = "x"\nrun = "cp y x"\n'
        '[tasks.b]\ninputs = "x"\noutputs = "y"\nrun = "cp x y"\n',
        3,
        ["x → y → x", "Taskfile.toml:1", "Taskfile.toml:5"],
    ),
    "cycle of needs": (
        '[tasks.a]\nneeds = ["b"]\n[tasks.b]\nneeds = ["a"]\n[bt]\ndefault = ["a"]\n',
        3,
        ["a → b → a"],
    ),
    "own input": ('[tasks.a]\ninputs = "x"\noutputs = "x"\nrun = "true"\n', 3, ["x"]),
    "cycle through wildcards": (
        '[tasks.a]\ninputs = "{n}.b"\noutputs = "{n}.a"\nrun = "true"\n'
        '[tasks.b]\ninputs = "{n}.a"\noutputs = "{n}.b"\nrun = "true"\n'
        '[tasks.c]\ninputs = "q.a"\noutputs = "c"\nrun = "true"\n',
        3,
        ["q.a → q.b → q.a"],
    ),
    "missing input": (
        RULE.replace('"in"', '"inn"'),
        3,
        ["`inn`: no such file", "needed by", "did you mean `in`", ":2:"],
    ),
    "two rules": (RULE + RULE.replace("tasks.t", "tasks.u"), 2, ["`t` and `u`", "`out`", ":3", ":7"]),
    "two wildcard rules": (
        '[tasks.a]\ninputs = "{n}.x"\noutputs = "{n}.o"\nrun = "true"\n'
        '[tasks.b]\ninputs = "{n}.y"\noutputs = "{n}.o"\nrun = "true"\n',
        2,
        ["`a` and `b`", "`f.o`"],
    ),
    "unbound wildcard": (RULE.replace('"out"', '"{n}.out"').replace("{output}", "{m}"), 2, ["unknown `{m}`"]),
    "wildcard not in outputs": (RULE.replace('"in"', '"{n}.x"'), 2, ["`{n}`", "write `*` to gather"]),
    "unknown placeholder": (
        RULE.replace("{input}", "{inptu}"),
        2,
        ["unknown `{inptu}`", "did you mean `input`"],
    ),
    "feeds itself": (
        '[tasks.t]\ninputs = "{n}.x.x"\noutputs = "{n}.x"\nrun = "true"\n[tasks.u]\ninputs = "q.x"\nrun = "true"\n',
        3,
        ["feeds itself for ever"],
    ),
    "reads what it writes": (
        '[tasks.t]\ninputs = "o/{n}.x"\noutputs = "o/{n}.x"\nrun = "true"\n',
        2,
        [":3:", "task `t` would feed itself: it reads and writes `o/{n}.x`"],
    ),
    "one output twice": (
        '[tasks.t]\noutputs = ["x", "x"]\nrun = "true"\n',
        2,
        [":2:17", "task `t` makes `x` twice"],
    ),
    "tables as placeholders": (
        '[tasks.t]\nrun = "true {vars} {params}"\n',
        2,
        ["`{vars}` is a table", "`{params}` is a table", "write `{vars.NAME}`"],
    ),
    "too few inputs": (
        RULE.replace("{input}", "{input[1]}"),
        2,
        ["`{input[1]}`: there is only one, `{input[0]}`"],
    ),
    "variables in a circle": (
        '[vars]\na = "{vars.b}"\nb = "{vars.a}"\n[tasks.t]\nrun = "true {vars.b} {vars.a}"\n',
        2,
        ["Taskfile.toml:2:1: error: variables that need each other: a → b → a\n"],
    ),
    "an open text": ('x-a = "abc\n', 2, ["1:11", "no closing quote", "close the text"]),
    "a short row": (
        RULE.replace("{input}", "{vars.c}") + '[vars]\nc = { csv = "short.csv", column = "a" }\n',
        2,
        ["line 2 of `short.csv` has 1 cell, not 2"],
    ),
    "output outside": (RULE.replace('"out"', '"../out"'), 2, ["outside the project", "allow"]),
    "output absolute": (RULE.replace('"out"', '"/tmp/x/out"'), 2, ["outside the project"]),
    "no need": ('[tasks.t]\nneeds = ["nothing"]\n[bt]\ndefault = ["t"]\n', 3, ["`nothing`"]),
    "unknown variable": (RULE.replace('"in"', '"{vars.x}"'), 2, ["no variable `x`"]),
    "nothing matches": (RULE.replace('"in"', '"*.zip"'), 3, ["`*.zip` matches nothing"]),
    "escape by foreach": (
        '[tasks.t]\nforeach = { n = ["../../x"] }\noutputs = "o/{n}"\nrun = "touch {output}"\n',
        2,
        ["cannot be a value of `{n}`"],
    ),
    "directory as file": (RULE.replace('"in"', '"dir"'), 1, []),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_taskfile(project: Project, name: str) -> None:
    text, code, fragments = WRONG[name]
    project.write("in", "x")
    project.write("f.x", "x")
    project.write("f.y", "x")
    project.write("short.csv", "a,b\nc\n")
    project.write("dir/inner", "x")
    project.write("Taskfile.toml", text)
    before = project.files()
    run = project.bt("build")
    assert run.code == code, run.out + run.err
    assert "Traceback" not in run.err
    for fragment in fragments:
        assert fragment in run.err, run.err
    assert project.files() == before
    if code != 1:
        assert project.bt("check").code == code


def test_all_errors_at_once(project: Project) -> None:
    project.taskfile("""
        [tasks.a]
        outputs = "{n}.x"
        inputs = "y"
        run = "echo {unknown}"
        [tasks.b]
        inputs = "{vars.none}"
        run = "true"
        [tasks.c]
        ouputs = "z"
        run = "echo {input}"
    """)
    run = project.bt("build")
    assert run.code == 2
    assert "`ouputs`" in run.err
    project.taskfile(project.read("Taskfile.toml").replace("ouputs", "outputs"))
    run = project.bt("build")
    assert "3 errors" in run.err
    assert run.err.index(":4:") < run.err.index(":6:") < run.err.index(":10:")


@pytest.mark.parametrize(
    ("words", "code", "fragment"),
    [
        (["buidl"], 2, "error: no such command `buidl`\n  hint: did you mean `build`?"),
        (["build", "--froce"], 2, "error: no such option `--froce`\n  hint: did you mean `--force`?"),
        (["build", "--zzz"], 2, "hint: `bt build --help` tells what there is"),
        (["build", "-j", "0"], 2, "error: invalid value for `-j` / `--jobs`: 0 is not a number from 1 on\n"),
        (["build", "-j", "many"], 2, "`many` is not a whole number\n"),
        (["graph", "--format", "pdf"], 2, "`pdf` is not one of `text`, `dot`, `mermaid`, `json`, `html`\n"),
        (["why"], 2, "error: missing argument `TARGETS...`\n"),
        (["build", "ot"], 3, "did you mean `out`"),
        (["build", "-s"], 2, "hint: `bt build --help` tells what there is"),
        (["graph", "-o"], 2, "hint: `bt graph --help` tells what there is"),
        (["-C"], 2, "hint: `bt --help` tells what there is"),
        (["build", "--", "x"], 2, "{args}"),
        (["-C", "nowhere", "build"], 2, "not a directory"),
        (["-f", "nowhere.toml", "build"], 2, "nowhere.toml"),
        (["-f", ".", "build"], 2, "`.` is a directory"),
        (["build", "--check"], 2, "--dry-run"),
        (["build", "-s", "x"], 2, "NAME=VALUE"),
    ],
)
def test_wrong_use(project: Project, words: list[str], code: int, fragment: str) -> None:
    project.write("Taskfile.toml", RULE)
    project.write("in", "x")
    run = project.bt(*words)
    assert run.code == code
    assert fragment in run.err
    assert "Traceback" not in run.err


@pytest.mark.parametrize("words", [["--color", "always"], ["--color=always"], ["--color", "never"], []])
def test_the_colours_of_an_error_are_chosen(project: Project, words: list[str]) -> None:
    for wrong in ("build", "--nonsense"):
        run = project.bt_plainly(*words, wrong)
        assert run.code == 2
        assert ("\x1b[31merror:" in run.err) is (words[-1:] in (["always"], ["--color=always"]))


def test_no_is_an_answer(project: Project) -> None:
    project.write("Taskfile.toml", RULE)
    project.write("in", "x")
    project.build()
    terminal, inside = os.openpty()
    os.write(terminal, b"n\n")
    asked = [*BT, "clean", "--state"]
    run = subprocess.run(asked, cwd=project.folder, stdin=inside, capture_output=True, text=True, check=False)
    os.close(inside)
    os.close(terminal)
    assert run.returncode == 0
    assert run.stdout.endswith("nothing removed\n")
    assert project.exists(".bt/state.db")


def test_no_taskfile(project: Project) -> None:
    run = project.bt("build")
    assert run.code == 2
    assert "bt init" in run.err


def test_output_that_is_a_directory(project: Project) -> None:
    project.write("Taskfile.toml", '[tasks.t]\noutputs = "out"\nrun = "mkdir out"\n')
    run = project.bt("build")
    assert run.code == 1
    assert "it is a directory: declare it as `out/`" in run.finished["t"]["details"][0]
    assert not project.exists("out")


def test_exit_0_without_outputs_names_what_was_written(project: Project) -> None:
    project.write("Taskfile.toml", '[tasks.t]\noutputs = ["o/a.txt", "o/b.txt"]\nrun = "echo > o/a.text"\n')
    run = project.bt("build")
    assert run.code == 1
    assert run.finished["t"]["details"] == [
        "missing: o/a.txt",
        "missing: o/b.txt",
        "it wrote instead: o/a.text",
        "did you mean `o/a.text`?",
    ]


def test_an_input_that_changes_each_time(project: Project) -> None:
    project.write(
        "Taskfile.toml", '[tasks.t]\ninputs = "in"\noutputs = "out"\nrun = "echo x >> in; cp in out"\n'
    )
    project.write("in", "")
    run = project.bt("build")
    assert run.code == 1
    assert "changed while it ran, twice" in run.finished["t"]["error"]
    assert not project.exists("out")


def test_killed_by_a_signal(project: Project) -> None:
    project.write("Taskfile.toml", '[tasks.t]\noutputs = "out"\nrun = "echo x > out; kill -SEGV $$"\n')
    run = project.bt("build")
    assert run.code == 1
    assert run.finished["t"]["error"] == "killed by SIGSEGV"
    assert not project.exists("out")


def test_a_background_process_is_ended_and_told(project: Project) -> None:
    project.write("Taskfile.toml", '[tasks.t]\noutputs = "out"\nrun = "sleep 1000 & echo x > out"\n')
    run = project.build()
    assert run.ran == ["t"]
    assert any("1 background process" in warning for warning in run.warnings)


def test_a_log_of_a_gigabyte(project: Project) -> None:
    project.write(
        "Taskfile.toml",
        '[tasks.t]\noutputs = "out"\nrun = "head -c 1G /dev/zero | tr -c y y; echo end; echo > out"\n',
    )
    process = project.start("build", "-q")
    process.communicate()
    assert process.returncode == 0
    [log] = (project.folder / ".bt/log").iterdir()
    assert log.stat().st_size < 70_000_000
    assert log.read_bytes().endswith(b"end\n")


NAMES = [
    "a b",
    "it's",
    'say "x"',
    "$(touch canary)",
    "`touch canary`",
    "new\nline",
    "-rf",
    "~",
    "a;touch canary",
    "*",
    "{x}",
    "é",
    "x" * 255,
    "#c",
    "a&b|c",
    "!h",
    "\t",
    os.fsdecode(b"\xff\xfe"),
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name_is_data(project: Project, name: str) -> None:
    project.taskfile("""
        [tasks.t]
        inputs = "in/{n}"
        outputs = "out/{n}"
        run = '''
        cp -- {input} {output}
        echo "{n}" '{n}' {n} >> {output}
        '''
        [tasks.all]
        inputs = "out/*"
        outputs = "all"
        run = "cat {input} > {output}"
    """)
    (project.folder / "in").mkdir()
    (project.folder / "in" / name).write_text("x\n")
    run = project.build()
    assert len(run.ran) == 2
    expected = b"x\n" + b" ".join([os.fsencode(name)] * 3) + b"\n"
    assert (project.folder / "out" / name).read_bytes() == expected
    assert (project.folder / "all").read_bytes() == expected
    assert not list(project.folder.rglob("canary"))
    assert project.build().ran == []
    assert project.bt("clean").code == 0
    assert not (project.folder / "out").exists()


def test_a_name_that_begins_with_a_dash_is_no_option(project: Project) -> None:
    project.write(
        "Taskfile.toml", '[tasks.t]\ninputs = "-n"\noutputs = "out"\nrun = "cat {input} > {output}"\n'
    )
    project.write("-n", "x\n")
    project.build()
    assert project.read("out") == "x\n"


@pytest.mark.parametrize("kind", ["fifo", "loop", "dangling"])
def test_strange_inputs(project: Project, kind: str) -> None:
    project.write("Taskfile.toml", RULE)
    path = project.folder / "in"
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("in" if kind == "loop" else "nowhere")
    run = project.bt("build")
    assert run.code in (1, 3)
    assert "Traceback" not in run.err


def test_a_link_counts_as_its_text_and_its_target(project: Project) -> None:
    project.write("Taskfile.toml", RULE)
    project.write("one", "x\n")
    project.write("two", "x\n")
    (project.folder / "in").symlink_to("one")
    assert project.build().ran == ["t"]
    assert project.build().ran == []
    project.write("one", "y\n")
    assert project.build().ran == ["t"]
    project.remove("in")
    (project.folder / "in").symlink_to("two")
    assert project.build().ran == ["t"]


def test_the_executable_bit_counts(project: Project) -> None:
    project.write("Taskfile.toml", RULE)
    project.write("in", "x\n")
    project.build()
    (project.folder / "in").chmod(0o755)
    assert project.build().ran == ["t"]


def test_looking_runs_nothing(project: Project) -> None:
    project.taskfile("""
        [vars]
        v = { sh = "touch canary; echo x" }
        [tasks.t]
        outputs = "{vars.v}.out"
        track = { cmd = ["touch canary"] }
        run = "echo > {output}"
    """)
    for words in (
        ["list"],
        ["status"],
        ["build", "-n"],
        ["graph"],
        ["check"],
        ["why", "t"],
        ["log"],
        ["history"],
    ):
        project.bt(*words)
        assert project.files(state=True) == ["Taskfile.toml"], words


def test_secrets_are_masked(project: Project) -> None:
    project.taskfile("""
        [bt]
        secrets = ["TOKEN"]
        [tasks.t]
        outputs = "out"
        track = { env = ["TOKEN"] }
        params = { k = "" }
        run = "echo token is $TOKEN; echo > {output}; : {params.k} {args}"
    """)
    secret = {"TOKEN": "hunter2-hunter2"}
    run = project.build("t", "-s", "k=hunter2-hunter2", "--", "hunter2-hunter2", env=secret)
    assert "token is ***" in run.out
    found = subprocess.run(["grep", "-r", "hunter2", project.folder], capture_output=True, check=False)
    assert found.returncode == 1
    project.build(env=secret)
    assert project.build(env=secret).ran == []
    assert project.build(env={"TOKEN": "other"}).ran == ["t"]


def test_a_read_only_project_can_be_looked_at(project: Project) -> None:
    project.write("Taskfile.toml", RULE)
    project.write("in", "x\n")
    project.build()
    before = listing(project)
    for words in (
        ["list"],
        ["status"],
        ["build", "-n"],
        ["graph"],
        ["check"],
        ["why", "t"],
        ["log"],
        ["history"],
    ):
        assert project.bt(*words).code == 0, words
        assert listing(project) == before, words


def listing(project: Project) -> list[tuple[str, int]]:
    return sorted((str(p), p.lstat().st_mtime_ns) for p in [project.folder, *project.folder.rglob("*")])


def test_clean_keeps_what_was_changed_and_follows_no_link(project: Project) -> None:
    project.taskfile("""
        [tasks.t]
        foreach = { n = ["1", "2", "3"] }
        outputs = "o/{n}"
        run = "echo {n} > {output}"
        [tasks.link]
        outputs = "l"
        run = "ln -s ../precious l"
    """)
    (project.folder.parent / "precious").write_text("x")
    project.build()
    project.write("o/2", "mine")
    run = project.bt("clean")
    assert "kept o/2: it was changed since" in run.out
    assert project.files() == ["Taskfile.toml", "o/2"]
    assert (project.folder.parent / "precious").exists()
    project.build()
    (project.folder / "o").rename(project.folder.parent / "elsewhere")
    (project.folder / "o").symlink_to(project.folder.parent / "elsewhere")
    run = project.bt("clean")
    assert "a link leads out of the project" in run.out
    assert (project.folder.parent / "elsewhere/1").exists()


def test_a_file_that_bt_did_not_make_is_kept(project: Project) -> None:
    project.write("Taskfile.toml", RULE)
    project.write("in", "x\n")
    project.write("out", "mine\n")
    [note] = project.build().warnings
    assert "`out` was not made by bt: kept as `.bt/kept/" in note
    assert project.read(note.split("`")[-2]) == "mine\n"


def test_a_newer_state_is_refused(project: Project) -> None:
    import sqlite3

    project.write("Taskfile.toml", RULE)
    project.write("in", "x\n")
    project.build()
    (project.folder / ".bt/state.sum").unlink()
    with sqlite3.connect(project.folder / ".bt/state.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert project.bt("build").code == 5


def test_a_misspelt_file_that_a_wildcard_or_foreach_task_makes(project: Project) -> None:
    project.taskfile(
        """
        [tasks.count]
        inputs = "in/{name}.txt"
        outputs = "build/{name}.count"
        run = "wc {input} > {output}"
        [tasks.plot]
        foreach = { kind = ["line", "bar"] }
        outputs = "plots/{kind}.svg"
        run = "echo {kind} > {output}"
        """
    )
    project.write("in/alpha.txt", "a")
    assert "hint: did you mean `build/alpha.count`?" in project.look("why", "build/alpha.coutn", code=3).err
    assert "hint: did you mean `plots/bar.svg`?" in project.look("build", "-n", "plots/bra.svg", code=3).err
    assert "hint: `bt list` shows the tasks" in project.look("why", "something/else", code=3).err


def test_a_cut_by_an_old_depfile_is_no_cycle(project: Project) -> None:
    project.taskfile("""
        [tasks.a]
        inputs = "s"
        outputs = "a"
        depfile = "d"
        run = "cp s a; echo a: extra > d"
        [tasks.b]
        inputs = "a"
        outputs = "b"
        run = "cp a b"
    """)
    project.write("s", "x\n")
    project.write("extra", "x\n")
    project.build()
    project.remove("extra")
    project.taskfile(
        project.read("Taskfile.toml") + '[tasks.c]\ninputs = "b"\noutputs = "extra"\nrun = "cp b extra"\n'
    )
    assert project.bt("build").code == 0


def test_the_failure_says_all_that_helps(project: Project) -> None:
    project.taskfile("""
        [tasks.t]
        inputs = "in/{n}"
        outputs = "out/{n}"
        run = '''
        for i in $(seq 30); do echo line $i; done
        exit 3
        '''
    """)
    project.write("in/A", "x")
    process = project.start("build")
    out, _ = process.communicate()
    assert process.returncode == 1
    for fragment in (
        "t A: exit code 3",
        "n=A",
        "Taskfile.toml:4",
        ".bt/log/t_A",
        "bt build out/A",
        "line 30",
        "line 11",
    ):
        assert fragment in out
    assert "line 10\n" not in out
    assert "1 failed in" in out.splitlines()[-1]


def test_a_missing_source_does_not_stop_a_look_at_the_rest(project: Project) -> None:
    project.write("Taskfile.toml", RULE + '[tasks.u]\ninputs = "gone"\noutputs = "u"\nrun = "touch u"\n')
    project.write("in", "x")
    run = project.look("status")
    assert run.out.startswith("t  1 stale\nu  1 stale\n")
    assert run.err == "warning: `gone`: no such file, and no task makes it\n"
    assert project.look("why", "out").out == "t will run:\n  never built here\n"
    assert "it will fail: `gone`: no such file" in project.look("why", "u").out
    assert project.look("build", "-n", code=3).err.count("error") == 1


def test_a_task_that_nobody_asks_for_anything(project: Project) -> None:
    project.write("Taskfile.toml", RULE + '[tasks.u]\noutputs = "u/{n}"\nrun = "touch {output}"\n')
    project.write("in", "x")
    [told] = project.build().warnings
    assert told.startswith("task `u` has nothing to do: it makes files only when they are asked for")
    assert project.build("u/1").warnings == []


def test_names_that_look_the_same(project: Project) -> None:
    project.write("Taskfile.toml", RULE.replace('"out"', '"K\u00f6ln.out"'))
    project.write("in", "x")
    told = project.bt("build", "Ko\u0308ln.out").err
    assert "did you mean `K\u00f6ln.out`? It looks the same and is written 'K\\xf6ln.out'." in told


REFUSED = {
    "there is only one": """
        [tasks.ok]
        outputs = "ok"
        run = "touch ok"
        [tasks.bad]
        inputs = "ok"
        outputs = "bad"
        run = "cp {input[4]} bad"
    """,
    "only a number can stand": """
        [vars]
        k = "a b"
        [tasks.ok]
        outputs = "ok"
        run = "touch ok"
        [tasks.bad]
        inputs = "ok"
        outputs = "bad"
        run = "echo $(( {vars.k} )) > bad"
    """,
    "can both make `p/r.o`": """
        [tasks.ok]
        foreach = { x = ["r", "s"] }
        outputs = "p/{x}.o"
        run = "touch {output}"
        [tasks.bad]
        foreach = { y = ["r", "t"] }
        outputs = "p/{y}.o"
        run = "touch {output}"
    """,
    "lie in one output directory": """
        [tasks.ok]
        outputs = "p/"
        run = "touch p/x"
        [tasks.bad]
        outputs = "p/q.o"
        run = "touch p/q.o"
    """,
}


@pytest.mark.parametrize("words", [("build",), ("build", "bad"), ("build", "-n"), ("check",)])
@pytest.mark.parametrize("fragment", sorted(REFUSED))
def test_a_wrong_taskfile_is_refused_as_a_whole(
    project: Project, fragment: str, words: tuple[str, ...]
) -> None:
    project.taskfile(REFUSED[fragment])
    run = project.bt(*words)
    assert run.code == 2, run.out + run.err
    assert fragment in run.err
    assert project.files() == ["Taskfile.toml"]


@pytest.mark.parametrize("words", [("build",), ("build", "a"), ("build", "c"), ("check",)])
def test_groups_and_commands_that_need_each_other(project: Project, words: tuple[str, ...]) -> None:
    project.taskfile("""
        [tasks.a]
        needs = ["b"]
        [tasks.b]
        needs = ["c"]
        run = "true"
        [tasks.c]
        needs = ["a"]
        [tasks.ok]
        outputs = "ok"
        run = "touch ok"
    """)
    run = project.bt(*words)
    assert run.code == 3
    assert "wait for each other" in run.err
    assert project.files() == ["Taskfile.toml"]


def test_missing_inputs_when_going_on(project: Project) -> None:
    project.taskfile("""
        [tasks.lacking]
        inputs = ["gone", "lost"]
        outputs = "a"
        run = "cat {input} > {output}"
        [tasks.behind]
        inputs = "a"
        outputs = "b"
        run = "cp a b"
        [tasks.fine]
        outputs = "c"
        run = "echo > c"
    """)
    out = project.look("build", "-n", "-k").out
    assert "will run  fine" in out
    assert "it will fail: `gone`" in out
    run = project.bt("build", "-k")
    assert (run.code, run.ran, run.failed) == (3, ["fine"], ["lacking"])
    assert "`gone`" in run.out
    assert "`lost`" in run.out
    project.taskfile(project.read("Taskfile.toml").replace("echo > c", "false"))
    assert project.bt("build", "-k").code == 1
    assert project.bt("build").code == 3


def test_a_target_whose_name_looks_like_a_glob(project: Project) -> None:
    project.taskfile("""
        [tasks.up]
        inputs = "src/{n}.in"
        outputs = "out/{n}.up"
        run = "tr a-z A-Z < {input} > {output}"
    """)
    project.write("src/br[a]ck.in", "x")
    project.write("src/brack.in", "y")
    for _ in range(2):
        project.build("out/br[a]ck.up")
        assert project.read("out/br[a]ck.up") == "X"
        assert not project.exists("out/brack.up")
    for words in (("why",), ("log",), ("status",)):
        assert project.look(*words, "out/br[a]ck.up").code == 0
    assert project.build("out/*.up").ran == ["up brack"]


@pytest.mark.parametrize("name", ["build", "clean", "accept", "why"])
def test_an_empty_target(project: Project, name: str) -> None:
    project.taskfile('[tasks.a]\noutputs = "a"\nrun = "touch a"\n')
    assert project.bt(name, "").code == 2


def test_a_looping_link_in_a_globbed_folder_stops_nothing(project: Project) -> None:
    project.taskfile('[tasks.a]\ninputs = "d/*"\noutputs = "a"\nrun = "cat {input} > a"\n')
    project.write("d/x", "x")
    (project.folder / "d/loop").symlink_to("loop")
    assert project.build().ran == ["a"]
    assert project.read("a") == "x"


def test_a_file_of_old_gives_way_to_a_directory(project: Project) -> None:
    project.taskfile('[tasks.a]\noutputs = "p"\nrun = "touch p"\n')
    project.build()
    project.taskfile('[tasks.a]\noutputs = "p/f"\nrun = "touch p/f"\n')
    [note] = project.build().warnings
    assert "`p` was in the way" in note
    assert project.build().ran == []


def test_without_a_command_there_is_help(project: Project) -> None:
    run = project.bt()
    assert run.code == 2
    assert run.err.startswith("Usage: bt [OPTIONS] COMMAND [ARGS]...")
    assert "Traceback" not in run.err
