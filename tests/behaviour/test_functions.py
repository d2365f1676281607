"""Functions and scripts as tasks: what runs again after which edit, and what a job is given."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from support.project import Project

STEPS = """
    import functools
    import json
    from pathlib import Path

    import helpers
    from helpers import words

    FACTOR = 3
    UNUSED = 1


    def loud(function):
        @functools.wraps(function)
        def inner(**given):
            return function(**given)
        return inner


    @loud
    def count(reads: Path, output: Path, k: int, extra=FACTOR):
        '''Count words.'''
        from late import scale
        output.write_text(str(len(words(reads)) * k * extra * scale(1)))  # a comment


    def other(inputs, output):
        output.write_text(" ".join(path.read_text() for path in inputs) + helpers.END)
"""
HELPERS = """
    END = "."


    def words(path):
        return split(path.read_text())


    def split(text):
        return text.split()


    def nobody():
        return 1
"""
TASKFILE = """
    [tasks.count]
    inputs = { reads = "raw/{s}.txt" }
    outputs = "build/{s}"
    call = "steps:count"
    params = { k = 2 }

    [tasks.other]
    inputs = "build/*"
    outputs = "all"
    call = "steps:other"
"""


@pytest.fixture
def steps(project: Project) -> Project:
    """A project of two functions and their helpers, built."""
    project.taskfile(TASKFILE)
    project.write("steps.py", STEPS)
    project.write("helpers.py", HELPERS)
    project.write("late.py", "def scale(x):\n    return x\n")
    project.write("raw/a.txt", "one two")
    project.write("raw/b.txt", "three")
    assert project.build().ran == ["count a", "count b", "other"]
    assert project.read("all") == "12 6."
    return project


COUNTS = ["count a", "count b"]
EDITS = {
    "the function": ("steps.py", "* k * extra", "* k * extra * 1", COUNTS),
    "a comment": ("steps.py", "# a comment", "# another", []),
    "a docstring": ("steps.py", "Count words.", "Count all words.", []),
    "the layout": ("steps.py", "str(len(words(reads))", "str( len( words( reads ) )", []),
    "a helper": ("helpers.py", "split(path.read_text())", "split(path.read_text() + '')", COUNTS),
    "a helper of a helper": ("helpers.py", "text.split()", "text.split(None)", COUNTS),
    "a helper of nobody": ("helpers.py", "return 1", "return 2", []),
    "a constant": ("steps.py", "FACTOR = 3", "FACTOR = 4", [*COUNTS, "other"]),
    "a constant of nobody": ("steps.py", "UNUSED = 1", "UNUSED = 2", []),
    "an attribute of a module": ("helpers.py", 'END = "."', 'END = "!"', ["other"]),
    "an import in a body": ("late.py", "return x", "return x + 0", COUNTS),
    "a decorator": ("steps.py", "return function(**given)", "return (function(**given))or None", COUNTS),
    "a default": ("steps.py", "extra=FACTOR", "extra=FACTOR + 0", COUNTS),
    "an unrelated import": ("steps.py", "import json", "import csv", []),
    "a parameter": ("Taskfile.toml", "k = 2", "k = 3", [*COUNTS, "other"]),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_runs_what_reaches_it(steps: Project, edit: str) -> None:
    name, old, new, expected = EDITS[edit]
    text = steps.read(name)
    assert text.count(old) == 1
    before = (steps.folder / name).stat()
    steps.write(name, text.replace(old, new).encode())
    if len(old) == len(new):
        os.utime(steps.folder / name, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert steps.build().ran == expected
    if expected:
        assert steps.build().ran == []


def test_why_names_what_changed_and_shows_it(steps: Project) -> None:
    steps.write("helpers.py", HELPERS.replace("text.split()", "text.split(',')"))
    shown = steps.look("why", "all").out
    assert "code of helpers.split changed" in shown
    assert "-     return text.split()" in shown
    assert "+     return text.split(',')" in shown
    assert steps.build().reasons["count a"] == ["code of helpers.split changed"]
    shown = steps.look("why", "build/a").out
    assert "helpers.split, helpers.words" in shown
    assert "helpers.nobody" not in shown


def test_what_cannot_be_followed_counts_as_a_whole_and_says_so(steps: Project) -> None:
    text = steps.read("steps.py")
    steps.write("steps.py", text.replace("helpers.END", "getattr(helpers, 'E' + 'ND')").encode())
    assert steps.build().ran == ["other"]
    steps.write("helpers.py", HELPERS.replace("return 1", "return 2"))
    assert "helpers counts as a whole" in steps.look("why", "all").out
    assert steps.build().ran == ["other"]


# What one run of `steps:f` writes: a file, an edit of it, and what that leads to.
RESULTS = {
    "an import fails": ("b.py", "K = 1", "K = int('x')", "no"),
    "an import finds no name": ("b.py", "K = 1", "K = nowhere", "no"),
    "a name appears": ("b.py", "K = 1", "K = 1\nJ = 2", "1"),
    "an operator": ("patch.py", "r + 1", "r + 2", "[2, 'x']"),
    "a descriptor": ("patch.py", "x = D()", "y = D()", "[1, 'y']"),
    "annotations are evaluated no more": (
        *("steps.py", "import a", "from __future__ import annotations\nimport a"),
        "{'x': 'int'}",
    ),
    "a docstring": ("steps.py", "Usage: one", "Usage: two", "Usage: two"),
}
SAYS = {
    "an import fails": "try:\n    import b\n    R = 'yes'\nexcept Exception:\n    R = 'no'",
    "an import finds no name": "try:\n    import b\n    R = 'yes'\nexcept Exception:\n    R = 'no'",
    "a name appears": "try:\n    from b import K, J\nexcept ImportError:\n    K = J = 0\nR = K",
    "an operator": "import patch\nR = a.L",
    "a descriptor": "import patch\nR = a.L",
    "annotations are evaluated no more": "def h(x: int): pass\nR = h.__annotations__",
    "a docstring": "R = __doc__",
}


@pytest.mark.parametrize("what", RESULTS)
def test_what_is_no_definition_counts_where_it_is_seen(project: Project, what: str) -> None:
    name, old, new, expected = RESULTS[what]
    files = {
        "a.py": "L = []\nclass D:\n    def __set_name__(self, owner, name): L.append(name)\n"
        "class R:\n    def __add__(self, n): L.append(n)\nr = R()\n",
        "b.py": "K = 1\n",
        "patch.py": "from a import D, r\nX = r + 1\nclass P:\n    x = D()\n",
        "steps.py": f'"""Usage: one"""\nimport a\n{SAYS[what]}\ndef f(output): output.write_text(str(R))\n',
    }
    project.write("Taskfile.toml", '[tasks.t]\noutputs = "out.txt"\ncall = "steps:f"\n')
    for path, text in files.items():
        project.write(path, text)
    assert project.build().ran == ["t"]
    project.write(name, files[name].replace(old, new))
    assert project.build().ran == ["t"]
    assert project.read("out.txt") == expected
    assert project.build().ran == []


def test_what_is_loaded_by_other_means_is_told(project: Project) -> None:
    project.write("Taskfile.toml", '[tasks.t]\noutputs = "out.txt"\ncall = "steps:f"\n')
    text = "import pickle\ndef f(output): output.write_text(str(pickle.loads(b'N.')))\n"
    project.write("steps.py", text)
    assert project.build().ran == ["t"]
    line = "steps: `pickle.loads` in steps.py line 2: what it loads is not followed"
    assert line in project.look("why", "t").out
    project.write("steps.py", text.replace("import", "X = 1\nimport"))
    assert project.build().ran == []
    project.write("steps.py", text.replace("str(", "repr("))
    assert line in project.look("why", "t").out


def test_looking_never_imports(steps: Project) -> None:
    steps.write("helpers.py", HELPERS + "\n    open('imported', 'w').close()\n")
    for words in (
        ("list",),
        ("why", "all"),
        ("status",),
        ("build", "-n"),
        ("check",),
        ("graph",),
        ("log", "all"),
        ("history",),
    ):
        steps.look(*words)
    assert not steps.exists("imported")
    steps.build()
    assert steps.exists("imported")


def test_nothing_changed_runs_nothing(steps: Project) -> None:
    assert steps.build().ran == []


def test_renaming_a_task_runs_nothing(steps: Project) -> None:
    steps.write("Taskfile.toml", steps.read("Taskfile.toml").replace("tasks.count", "tasks.tally").encode())
    assert steps.build().ran == []


# Wrong calls


WRONG = {
    '"nomodule:count"': "no module `nomodule`",
    '"steps:cuont"': "no function `cuont`",
    '"steps:FACTOR"': "FACTOR",
    '"steps"': "module:function",
    '"broken:f"': "broken.py",
}


@pytest.mark.parametrize("target", WRONG)
def test_a_target_that_is_not_there(steps: Project, target: str) -> None:
    steps.write("broken.py", "def f(:\n")
    text = steps.read("Taskfile.toml").replace('"steps:count"', target)
    steps.write("Taskfile.toml", text.encode())
    run = steps.bt("build")
    assert run.code == 2
    assert WRONG[target].replace("`", "") in run.err.replace("`", "")
    assert "Taskfile.toml:4" in run.err
    assert "Traceback" not in run.err
    if target == '"steps:cuont"':
        assert "did you mean `count`?" in run.err


SIGNATURES = {
    "def count(reads, output, kk): ...": ["nothing can fill `kk`", "did you mean `k`?"],
    "def count(reads: list, output: Path): ...": ["`reads` is one file, a `Path`", "wants `list`"],
    "def count(inputs: Path): ...": ["`inputs` is a list of files"],
    "def count(k: str): ...": ["`k` is `int`", "wants `str`"],
    "def count(s: int): ...": ["`s` is text", "convert it in the function"],
    "def count(reads, /): ...": ["takes `reads` by position only"],
    "def count(reads):\n    yield 1": ["is a generator"],
}


@pytest.mark.parametrize("signature", SIGNATURES)
def test_a_signature_that_does_not_fit(steps: Project, signature: str) -> None:
    steps.write("steps.py", "from pathlib import Path\n" + signature + "\ndef other(inputs, output): ...\n")
    run = steps.bt("build")
    assert run.code == 2
    for words in SIGNATURES[signature]:
        assert words in run.err
    assert "Taskfile.toml:4" in run.err
    assert "steps.py:2" in run.err
    assert steps.look("check", code=2).err == run.err


@pytest.mark.parametrize(
    "signature",
    [
        "def count(*args, **kwargs): ...",
        "def count(reads: 'Path', outputs: list[Path], s: str, params: dict, k: float, missing=1): ...",
        "def count(reads: Path | None, input: object, k: int | str, *, output): ...",
        "async def count(reads): ...",
        "count = lambda reads, output: None",
    ],
)
def test_a_signature_that_fits(steps: Project, signature: str) -> None:
    steps.write("steps.py", "from pathlib import Path\n" + signature + "\ndef other(inputs, output): ...\n")
    assert steps.look("check").code == 0


def test_one_name_with_two_meanings(project: Project) -> None:
    project.taskfile("""
        [tasks.a]
        inputs = { ref = "in" }
        outputs = "out"
        params = { ref = 1 }
        call = "steps:a"
    """)
    project.write("in", "")
    for signature, verb in (("ref", "asks for"), ("**all", "is given")):
        project.write("steps.py", f"def a({signature}): ...\n")
        run = project.bt("build")
        assert run.code == 2
        assert f"`ref`, which `steps:a` {verb}, is an input and a parameter" in run.err


# What a job is given, and what it leaves


def test_values_of_foreach_keep_their_types(project: Project) -> None:
    project.taskfile("""
        [tasks.a]
        foreach = [{ name = "x", n = 1, flag = true }, { name = "y", n = 2, flag = false }]
        outputs = "{name}"
        call = "steps:a"
    """)
    project.write("steps.py", "def a(output, n: int, flag: bool): output.write_text(repr((n, flag)))\n")
    assert project.build().ran == ["a x", "a y"]
    assert project.read("x") == "(1, True)"
    text = project.read("Taskfile.toml")
    project.write("Taskfile.toml", text.replace("n = 1", "n = 10").encode())
    assert project.build().reasons == {"a x": ["value of n changed from 1 to 10"]}
    assert project.read("x") == "(10, True)"


def test_the_lines_of_a_made_file_are_values(project: Project) -> None:
    project.taskfile("""
        [tasks.split]
        inputs = "words"
        outputs = "list"
        run = "tr ' ' '\\n' < {input} > {output}"

        [tasks.one]
        foreach = { w = "@list" }
        outputs = "out/{w}"
        call = "steps:one"

        [tasks.all]
        inputs = "out/*"
        outputs = "all"
        run = "cat {input} > {output}"
    """)
    project.write("steps.py", "def one(w, output): output.write_text(w + ' ')\n")
    project.write("words", "b a")
    assert project.build().ran == ["all", "one a", "one b", "split"]
    project.write("words", "a c")
    assert project.build().ran == ["all", "one c", "split"]
    assert project.read("all") == "a c "
    assert project.build().ran == []


def test_a_script_is_told_of_its_job_and_followed(project: Project) -> None:
    project.taskfile("""
        [tasks.plot]
        inputs = { data = "data", more = ["b", "a"] }
        outputs = "plot"
        params = { title = "T" }
        script = "scripts/plot.py"
    """)
    project.write(
        "scripts/plot.py",
        """
        from buildtool import job
        from beside import line
        # a comment
        more = [str(path) for path in job.inputs.more]
        job.output.write_text(line(f"{job.params.title} {job.inputs.data} {more}"))
        """,
    )
    project.write("scripts/beside.py", "def line(text): return text + '\\n'\n")
    for name in ("data", "a", "b"):
        project.write(name, "")
    assert project.build().ran == ["plot"]
    assert project.read("plot") == "T data ['b', 'a']\n"
    project.write("scripts/plot.py", project.read("scripts/plot.py").replace("# a comment", "").encode())
    assert project.build().ran == []
    project.write("scripts/beside.py", "def line(text): return text + '.'\n")
    assert project.build().reasons == {"plot": ["code of beside.line changed"]}


def test_python_path(project: Project) -> None:
    project.taskfile("""
        [bt]
        python_path = ["src"]
        [tasks.a]
        outputs = "out"
        call = "mine.steps:a"
    """)
    project.write("src/mine/__init__.py", "")
    project.write("src/mine/steps.py", "from .deep import text\ndef a(output): output.write_text(text())\n")
    project.write("src/mine/deep.py", "def text(): return 'x'\n")
    assert project.build().ran == ["a"]
    project.write("src/mine/deep.py", "def text(): return 'y'\n")
    assert project.build().ran == ["a"]
    assert project.read("out") == "y"


def one(project: Project, body: str, keys: str = "", target: str = "out") -> None:
    """A project of one function `f`."""
    project.taskfile(f'[tasks.f]\noutputs = "{target}"\ncall = "steps:f"\n{keys}\n')
    project.write("steps.py", f"import os, sys, time\nfrom pathlib import Path\n{body}\n")


def test_jobs_of_one_worker_have_the_variables_of_their_own_task(project: Project) -> None:
    """Most jobs share one table of variables: nobody gets another's, nor what a job has changed in them."""
    project.write(
        "steps.py",
        """
        import os


        def tell(output):
            output.write_text(os.environ.get("X", "-") + os.environ.get("Y", "-"))
            os.environ["X"] = os.environ["Y"] = "left"
        """,
    )
    project.taskfile(
        """
        [tasks.bare]
        foreach  = { n = [1, 4] }
        priority = 4
        outputs  = "bare.{n}"
        call     = "steps:tell"

        [tasks.own]
        foreach  = { n = [2, 3] }
        priority = 3
        outputs  = "own.{n}"
        env      = { X = "x{n}" }
        call     = "steps:tell"

        [tasks.last]
        foreach  = { n = [5, 6] }
        outputs  = "last.{n}"
        call     = "steps:tell"
        """
    )
    run = project.bt("build", "-j1")
    assert run.code == 0, run.err
    names = ("bare.1", "bare.4", "own.2", "own.3", "last.5", "last.6")
    assert [project.read(name) for name in names] == ["--", "--", "x2-", "x3-", "--", "--"]


def test_a_failed_call_is_told_as_a_person_would_write_it(project: Project) -> None:
    """With its inputs and outputs, whether it raises, ends with a code, or makes nothing."""
    project.write(
        "steps.py",
        """
        def bad(input, output):
            raise ValueError("no")


        def end(input, output):
            raise SystemExit(3)


        def lazy(input, output):
            pass
        """,
    )
    project.write("in.txt", "text")
    project.taskfile(
        """
        [tasks]
        bad  = { inputs = "in.txt", outputs = "b.txt", call = "steps:bad" }
        end  = { inputs = "in.txt", outputs = "e.txt", call = "steps:end" }
        lazy = { inputs = "in.txt", outputs = "l.txt", call = "steps:lazy" }
        """
    )
    finished = project.bt("build", "-k").finished
    for name in ("bad", "end", "lazy"):
        assert finished[name]["command"] == f"steps:{name}(in.txt) → {name[0]}.txt"


def test_environment_and_directory(project: Project) -> None:
    one(
        project,
        "def f(output): output.write_text(os.getcwd() + ' ' + os.environ['X'] + str('HIDDEN' in os.environ))",
        'cwd = "deep"\nenv = { X = "1" }\n',
        "deep/out",
    )
    (project.folder / "deep").mkdir()
    project.build(env={"HIDDEN": "1"})
    assert project.read("deep/out") == f"{project.folder}/deep 1False"
    project.write("Taskfile.toml", project.read("Taskfile.toml").replace('X = "1"', 'X = "2"').encode())
    assert project.build().ran == ["f"]


def test_a_failure_tells_where(project: Project) -> None:
    one(
        project,
        "def f(output):\n    output.write_text('half')\n    print('hello')\n    raise ValueError('no good')",
    )
    run = project.bt("build")
    assert run.code == 1
    event = run.finished["f"]
    assert event["error"] == "ValueError: no good"
    assert event["details"] == ["at steps.py:6"]
    assert not project.exists("out")
    shown = project.bt("log", "f").out
    assert shown.startswith("hello\nTraceback")
    assert "buildtool" not in shown
    plain = subprocess.run(
        [sys.executable, "-m", "buildtool", "build"],
        cwd=project.folder,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    for words in ("f: ValueError: no good", "at steps.py:6", "Taskfile.toml:3", "again      bt build out"):
        assert words in plain


def test_an_exit_without_outputs_is_a_failure(project: Project) -> None:
    one(project, "def f(output): Path('uot').write_text('')")
    run = project.bt("build")
    assert run.code == 1
    assert any("uot" in line for line in run.finished["f"]["details"])


def test_retries(project: Project) -> None:
    one(
        project,
        "def f(output):\n"
        "    with open('tries', 'a') as file: file.write('x')\n"
        "    if os.path.getsize('tries') < 3: raise OSError('not yet')\n"
        "    output.write_text('')",
        "retries = 2",
    )
    assert project.build().ran == ["f"]
    assert project.read("tries") == "xxx"


def test_a_time_limit(project: Project) -> None:
    one(project, "def f(output):\n    while True: time.sleep(0.01)", "timeout = 0.5")
    run = project.bt("build")
    assert run.code == 1
    assert run.finished["f"]["error"] == "timed out after 0.5 s"


@pytest.mark.parametrize("executor", ["local", "threads", "processes", "loky"])
def test_a_job_that_kills_its_process_fails_alone(project: Project, executor: str) -> None:
    project.taskfile("""
        [tasks.good]
        foreach = { n = [1, 2, 3, 4] }
        outputs = "good/{n}"
        call = "steps:good"
        [tasks.bad]
        outputs = "bad"
        call = "steps:bad"
        priority = 1
    """)
    project.write(
        "steps.py",
        "import os, time\ndef good(n, output):\n    time.sleep(0.05)\n    output.write_text(str(n))\n"
        "def bad(output):\n    time.sleep(0.05)\n    os._exit(7)\n",
    )
    run = project.bt("build", "-k", "-j2", "-e", executor)
    assert run.code == 1
    assert run.failed == ["bad"], [run.finished[name]["error"] for name in run.failed]
    assert run.ran == [f"good {n}" for n in (1, 2, 3, 4)]
    assert project.bt("build", "-k", "-e", executor).ran == []


def test_a_forked_worker_minds_signals_by_itself(project: Project) -> None:
    """With the handlers of `bt` it would not end, and would tell `bt` to."""
    one(
        project,
        "import signal\ndef f(output):\n    ours = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)\n"
        "    output.write_text(' '.join(signal.getsignal(number).name for number in ours))",
        'executor = "forks"\n[executors.forks]\nbackend = "custom"\nfactory = "pools:forks"\n',
    )
    project.write(
        "pools.py",
        "import multiprocessing\nfrom concurrent.futures import ProcessPoolExecutor\n"
        "def forks(n): return ProcessPoolExecutor(n, mp_context=multiprocessing.get_context('fork'))\n",
    )
    assert project.build().ran == ["f"]
    assert project.read("out") == "SIG_DFL SIG_DFL SIG_IGN"


def test_ctrl_c_lets_a_function_clean_up(project: Project) -> None:
    one(
        project,
        "def f(output):\n    output.write_text('half')\n    try:\n        Path('begun').write_text('x')\n"
        "        time.sleep(60)\n    finally:\n        Path('cleaned').write_text('')",
    )
    os.mkfifo(project.folder / "begun")
    process = project.start("build")
    try:
        project.read("begun")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=40)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130
    assert project.exists("cleaned")
    assert not project.exists("out")


@pytest.mark.parametrize("executor", ["local", "threads", "processes", "loky", "forks"])
def test_a_killed_build_leaves_nobody_who_writes(project: Project, executor: str) -> None:
    """What a dead run had begun must not overwrite what the next one makes."""
    one(
        project,
        "def f(output):\n    if Path('begun').exists():\n        output.write_text('half')\n"
        "        Path('begun').write_text('x')\n        time.sleep(3)\n        Path('late').write_text('')\n"
        "    output.write_text('new')",
        f'executor = "{executor}"\n[executors.forks]\nbackend = "custom"\nfactory = "pools:forks"\n',
    )
    project.write(
        "pools.py",
        "from concurrent.futures import ProcessPoolExecutor\ndef forks(n): return ProcessPoolExecutor(n)\n",
    )
    os.mkfifo(project.folder / "begun")
    process = project.start("build", "--json")
    try:
        project.read("begun")
        assert process.stdout is not None
        while json.loads(process.stdout.readline())["event"] != "started":
            pass
    finally:
        process.kill()
        process.wait()  # its pipes may be held by workers for a moment
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()
    project.remove("begun")
    assert project.build().ran == ["f"]
    assert project.read("out") == "new"
    left = [name for name in os.listdir("/proc") if name.isdigit() and works_in(name, project)]
    for _ in range(100):
        left = [name for name in left if works_in(name, project)]
        if not left:
            break
        time.sleep(0.02)
    assert left == []
    assert not project.exists("late")
    assert project.build().ran == []


def works_in(pid: str, project: Project) -> bool:
    """Whether a process has its working directory in the project."""
    try:
        return os.readlink(f"/proc/{pid}/cwd").startswith(str(project.folder))
    except OSError:
        return False


def test_a_worker_that_was_killed_is_no_fault_of_its_job(project: Project) -> None:
    one(
        project,
        "import signal\ndef f(output):\n    if not Path('once').exists():\n        Path('once').write_text('')\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n    output.write_text('')",
    )
    run = project.build()
    assert run.ran == ["f"]
    assert any("was killed (out of memory?)" in text for text in run.warnings)


def test_a_module_that_becomes_a_package_while_others_know_it(project: Project) -> None:
    project.taskfile("""
        [tasks.f]
        foreach = { n = [1, 2, 3] }
        outputs = "{n}"
        call = "steps:f"
    """)
    project.write(
        "steps.py",
        "from pathlib import Path\ndef f(n, output):\n    import lazy\n    if n == 1 and Path('begun').exists():\n"
        "        Path('begun').write_text('x')\n        Path('go').read_text()\n    output.write_text(str(lazy.K))\n",
    )
    project.write("lazy.py", "K = 1\n")
    for name in ("begun", "go"):
        os.mkfifo(project.folder / name)
    process = project.start("build", "--json", "-j1")
    try:
        project.read("begun")
        project.write("lazy/__init__.py", "K = 2\n")
        (project.folder / "begun").unlink()
        (project.folder / "go").write_text("x")
        out, err = process.communicate(timeout=40)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, out + err
    assert [project.read(name) for name in "123"] == ["2", "2", "2"]
    assert project.build().ran == []


def test_code_that_changes_while_it_runs(project: Project) -> None:
    one(
        project,
        "TEXT = 'old'\ndef f(output):\n    if TEXT == 'old':\n        Path('begun').write_text('x')\n"
        "        Path('go').read_text()\n    output.write_text(TEXT)",
    )
    for name in ("begun", "go"):
        os.mkfifo(project.folder / name)
    process = project.start("build", "--json")
    try:
        project.read("begun")
        project.write("steps.py", project.read("steps.py").replace("'old'\n", "'new'\n", 1).encode())
        (project.folder / "go").write_text("x")
        out, err = process.communicate(timeout=40)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, out + err
    assert project.read("out") == "new"
    assert project.build().ran == []


def test_jobs_that_print_together_have_logs_of_their_own(project: Project) -> None:
    project.taskfile("""
        [tasks.f]
        foreach = { n = ["a", "b", "c"] }
        outputs = "{n}"
        call = "steps:f"
    """)
    project.write(
        "steps.py",
        "import time\ndef f(n, output):\n    for _ in range(100):\n        print(n)\n        time.sleep(0.001)\n"
        "    output.write_text('')\n",
    )
    run = project.build("-j3")
    for name in "abc":
        printed = "".join(e["text"] for e in run.events if e["event"] == "output" and e["job"] == f"f {name}")
        assert printed == f"{name}\n" * 100
        assert project.bt("log", name).out.strip() == "\n".join([name] * 100)


# Executors


def where(project: Project, keys: str, head: str = "") -> None:
    """One function that tells in which process and thread it ran."""
    one(
        project,
        "import threading, multiprocessing\ndef f(output):\n"
        "    output.write_text(f'{threading.current_thread() is threading.main_thread()} {os.getppid()} '"
        "     + str(multiprocessing.parent_process() is not None))",
        keys,
    )
    project.write("Taskfile.toml", (head + project.read("Taskfile.toml")).encode())


@pytest.mark.parametrize(
    ("head", "keys", "words", "name"),
    [
        ("", "", (), "local"),
        ('[bt]\nexecutor = "threads"\n', "", (), "threads"),
        ("", 'executor = "processes"', (), "processes"),
        ('[executors.pool]\nbackend = "loky"\nworkers = 1\n', 'executor = "pool"', (), "pool"),
        ("", 'executor = "processes"', ("-e", "threads"), "threads"),
        ('[executors.mine]\nbackend = "custom"\nfactory = "pools:make"\n', 'executor = "mine"', (), "mine"),
    ],
)
def test_the_executor_is_chosen(
    project: Project, head: str, keys: str, words: tuple[str, ...], name: str
) -> None:
    where(project, keys, head)
    project.write(
        "pools.py",
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def make(workers):\n    open('made', 'w').write(str(workers))\n    return ThreadPoolExecutor(workers)\n",
    )
    run = project.build("-j3", *words)
    assert run.finished["f"]["executor"] == name
    main, _, child = project.read("out").split()
    assert main == str(name not in ("threads", "mine"))
    assert child == str(name in ("processes", "pool"))
    assert project.exists("made") is (name == "mine")
    assert f"on {name}" in project.look("why", "out").out


def test_an_executor_that_is_not_there(project: Project) -> None:
    where(project, 'executor = "porcesses"')
    run = project.bt("build")
    assert run.code == 2
    assert "did you mean `processes`?" in run.err
    where(project, "")
    run = project.bt("build", "-e", "porcesses")
    assert run.code == 2
    assert "did you mean `processes`?" in run.err
    assert not project.exists("out")


def test_a_factory_that_is_not_there(project: Project) -> None:
    where(project, 'executor = "mine"', '[executors.mine]\nbackend = "custom"\nfactory = "pools:maek"\n')
    project.write("pools.py", "def make(workers): ...\n")
    run = project.bt("build")
    assert run.code == 2
    assert "did you mean `make`?" in run.err
    assert project.look("check", code=2).err == run.err


def test_a_thread_that_nobody_can_end_does_not_hold_the_build(project: Project) -> None:
    one(
        project,
        "def f(output): time.sleep(60)",
        'executor = "mine"\ntimeout = 0.3\n[executors.mine]\nbackend = "custom"\n'
        'factory = "concurrent.futures:ThreadPoolExecutor"\n',
    )
    begun = time.monotonic()
    run = project.bt("build")
    assert run.code == 1
    assert run.finished["f"]["error"] == "timed out after 0.3 s"
    assert time.monotonic() - begun < 50  # it would sleep for longer: no measure of speed


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise ValueError('no')", "ValueError: no"),
        ("import sys; sys.exit(0)", "SystemExit: 0"),
        ("return 3", "gives a int, which is no executor"),
        ("return type('Pool', (), {'submit': lambda *a: None})()", "gives a NoneType and no future"),
    ],
)
def test_a_factory_that_makes_nothing(project: Project, body: str, words: str) -> None:
    where(project, 'executor = "mine"', '[executors.mine]\nbackend = "custom"\nfactory = "pools:make"\n')
    project.write("pools.py", f"def make(workers):\n    {body}\n")
    run = project.bt("build")
    assert run.code == 7
    assert words in run.err
    assert "Traceback" not in run.err
    project.write(
        "pools.py",
        "from concurrent.futures import ThreadPoolExecutor\ndef make(n): return ThreadPoolExecutor(n)\n",
    )
    assert project.build().ran == ["f"]


def test_a_pool_that_works_while_it_is_asked(project: Project) -> None:
    where(project, 'executor = "mine"', '[executors.mine]\nbackend = "custom"\nfactory = "pools:make"\n')
    project.write(
        "pools.py",
        """
        from concurrent.futures import Executor, Future
        class Now(Executor):
            def submit(self, f, *a, **k):
                done = Future()
                done.set_result(f(*a, **k))
                return done
        def make(n): return Now()
        """,
    )
    run = project.bt("build")
    assert run.code == 1
    assert "runs jobs in `bt` itself" in run.finished["f"]["error"]


def test_every_executor_makes_the_same_bytes(steps: Project) -> None:
    expected = {name: steps.read(name) for name in ("build/a", "build/b", "all")}
    for executor in ("local", "threads", "processes", "loky"):
        run = steps.build("-B", "-j3", "-e", executor)
        assert run.by_status("unchanged") == [*COUNTS, "other"]
        assert {name: steps.read(name) for name in expected} == expected


@pytest.mark.parametrize("executor", ["local", "threads", "processes", "loky"])
def test_a_later_job_finds_modules_that_none_before_it_used(project: Project, executor: str) -> None:
    tasks = [f'[tasks.t{n}]\noutputs = "{n}"\ncall = "steps{n}:f"\nafter = ["t{n - 1}"]' for n in range(1, 4)]
    project.taskfile("\n".join(tasks).replace('\nafter = ["t0"]', ""))
    for n in range(1, 4):
        project.write(
            f"steps{n}.py", f"def f(output):\n    import late{n}\n    output.write_text(late{n}.X)\n"
        )
        project.write(f"late{n}.py", f"X = '{n}'")
    assert project.build("-j1", "-e", executor).ran == ["t1", "t2", "t3"]
    assert [project.read(str(n)) for n in range(1, 4)] == ["1", "2", "3"]


def test_workers_of_an_executor_are_its_own_limit(project: Project) -> None:
    project.taskfile("""
        [executors.many]
        backend = "threads"
        workers = 4
        [tasks.f]
        foreach = { n = [1, 2, 3, 4] }
        outputs = "{n}"
        call = "steps:f"
        executor = "many"
    """)
    project.write(
        "steps.py",
        "import threading\ntogether = threading.Barrier(4)\n"
        "def f(output):\n    together.wait(40)\n    output.write_text('')\n",
    )
    assert len(project.build("-j1").ran) == 4


def test_json_carries_the_call(steps: Project) -> None:
    record = json.loads(steps.look("why", "build/a", "--json").out)
    kinds = {item[0] for item in record["built_from"]}
    assert {"code", "command", "input", "param", "output"} <= kinds


# What it opens


@pytest.mark.parametrize("executor", ["local", "threads", "processes", "loky"])
def test_an_audit_names_what_is_not_declared(project: Project, executor: str) -> None:
    project.taskfile("""
        [tasks.f]
        inputs = ["in", "folder/"]
        outputs = ["out", "more/"]
        call = "steps:f"
    """)
    project.write(
        "steps.py",
        """
        import os, helpers
        def f(input, output):
            open("in").close(); open("folder/x").close(); open("ref.fa").close(); os.close(os.open("b", os.O_RDONLY))
            open("/etc/hostname").close()
            open("scratch", "w").close(); os.remove("scratch")
            open("left", "w").close()
            os.makedirs("more", exist_ok=True); open("more/y", "w").close()
            output[0].write_text("")
        """,
    )
    for name in ("in", "folder/x", "ref.fa", "b", "helpers.py"):
        project.write(name, "")
    assert project.build("-e", executor).warnings == []
    warnings = project.build("-B", "--audit", "-e", executor).warnings
    assert warnings == [
        '`f`: reads `b`, which is not declared: add "b" to `inputs` of `[tasks.f]`',
        '`f`: writes `left`, which is not declared: add "left" to `outputs` of `[tasks.f]`',
        '`f`: reads `ref.fa`, which is not declared: add "ref.fa" to `inputs` of `[tasks.f]`',
    ]


@pytest.mark.parametrize("executor", ["local", "threads", "processes", "loky"])
def test_what_a_function_has_started_ends_with_an_interrupted_build(project: Project, executor: str) -> None:
    project.taskfile("""
        [tasks.f]
        foreach = { n = ["1", "2"] }
        outputs = "{n}.txt"
        call = "steps:f"
    """)
    project.write(
        "steps.py",
        """
        import subprocess
        def f(output, n):
            words = ["sh", "-c", f"echo $$ > {n}.begun; trap '' TERM; read x < go"]
            subprocess.run(words)
            output.write_text("made")
        """,
    )
    for name in ("go", "1.begun", "2.begun"):
        os.mkfifo(project.folder / name)
    process = project.start("build", "-j2", "-e", executor)
    for name in ("1.begun", "2.begun"):
        project.read(name)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    with pytest.raises(OSError, match="No such device or address"):  # nobody is left to read it
        os.open(project.folder / "go", os.O_WRONLY | os.O_NONBLOCK)
    assert not {*project.files()} & {"1.txt", "2.txt"}


@pytest.mark.parametrize("executor", ["local", "threads", "processes", "loky"])
def test_a_killed_build_lets_go_of_what_it_prints_to(project: Project, executor: str) -> None:
    """Two workers read from a pipe to which nobody writes, and others are idle; who reads the output goes on."""
    project.taskfile("""
        [tasks.f]
        foreach = { n = ["1", "2", "3", "4"] }
        outputs = "{n}.txt"
        call = "steps:f"
    """)
    project.write(
        "steps.py",
        """
        def f(output, n):
            if n in "12":
                open(f"{n}.begun", "w").close()
                open("go").read()
            output.write_text("made")
        """,
    )
    for name in ("go", "1.begun", "2.begun"):
        os.mkfifo(project.folder / name)
    process = project.start("build", "-j4", "-e", executor)
    for name in ("1.begun", "2.begun"):
        project.read(name)
    process.kill()
    process.communicate(timeout=60)
    project.write("steps.py", "def f(output, n):\n    output.write_text('made')\n")
    assert project.build("-e", executor).ran == [f"f {n}" for n in "1234"]
    with pytest.raises(OSError, match="No such device or address"):  # nobody is left to read it
        os.open(project.folder / "go", os.O_WRONLY | os.O_NONBLOCK)


@pytest.mark.parametrize("executor", ["local", "threads", "processes", "loky"])
def test_a_command_behind_a_function_holds_nothing_of_a_killed_build(project: Project, executor: str) -> None:
    """The command goes on until the next build, and the processes of the pool end: who reads the output goes on."""
    project.taskfile("""
        [tasks.f]
        outputs = "made"
        call = "steps:f"
        [tasks.command]
        inputs = "made"
        outputs = "out"
        run = "echo > begun; read x < go; cp made out"
    """)
    project.write("steps.py", "def f(output):\n    output.write_text('made')\n")
    for name in ("go", "begun"):
        os.mkfifo(project.folder / name)
    process = project.start("build", "-j2", "-e", executor)
    try:
        project.read("begun")
        process.kill()
        process.communicate(timeout=60)
    finally:
        project.end_leftovers()
        process.communicate()
    for name in ("go", "begun"):
        project.remove(name)
    project.write("go", "x\n")
    assert project.build("-e", executor).ran == ["command"]


def test_the_order_of_names_in_one_import_is_the_order_in_which_modules_run(project: Project) -> None:
    project.taskfile('[tasks.t]\noutputs = "o"\ncall = "m:f"')
    project.write("c.py", "L = []\n")
    for name in "ab":
        project.write(f"{name}.py", f"import c\nc.L.append({name!r})\n")
    for names in ("a, b", "b, a"):
        project.write("m.py", f"import {names}\nimport c\ndef f(output): output.write_text(', '.join(c.L))\n")
        assert project.build().ran == ["t"]
        assert project.read("o") == names
        project.write("m.py", "# words\n\n" + project.read("m.py"))
        assert project.build().ran == []
