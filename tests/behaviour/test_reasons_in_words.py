"""Reasons for people: `bt why` by words and by how often, and dry runs of many jobs."""

from __future__ import annotations

import json
import os
import re
import shutil

from buildtool.state.store import StateReader
from support.project import Project

TASKS = """
[tasks.count]
inputs = ["config.toml", "a.txt"]
outputs = "out"
run = '''
wc -w < a.txt > {output}
true'''
"""


def counting(project: Project) -> Project:
    project.taskfile(TASKS)
    project.write("a.txt", "a\n")
    for number in range(3):
        project.write("config.toml", f"{number}\n")
        project.build()
    return project


def test_a_command_is_compared_by_words(project: Project) -> None:
    counting(project)
    project.taskfile(TASKS.replace("wc -w <", "wc -l -c <").replace("true", "true\nfalse"))
    lines = project.look("why", "out").out.splitlines()
    at = lines.index("  the command changed")
    assert lines[at + 1 : at + 3] == ["    wc [--w-]{+-l -c+} < a.txt > out", "    true{+"]
    assert lines[at + 3].strip() == "false+}"


def test_what_it_ran_for_most_often(project: Project) -> None:
    counting(project)
    assert "  ran        3 times, 2 because input config.toml changed" in project.look("why", "out").out
    project.write("a.txt", "b\n")
    assert "  ran 3 times, 2 because input config.toml changed" in project.look("why", "out").out


def test_a_mode_and_a_tracked_command_are_told_as_what_they_are(project: Project) -> None:
    text = """
        [tasks.t]
        inputs = "bin"
        outputs = "out"
        track = { cmd = ["echo v1"] }
        run = "cp bin out"
        """
    project.taskfile(text)
    project.write("bin", "b")
    project.build()
    (project.folder / "bin").chmod(0o755)
    assert "  input bin is executable now\n" in project.look("why", "out").out
    project.build()
    (project.folder / "bin").chmod(0o644)
    assert "  input bin is not executable any more\n" in project.look("why", "out").out
    project.taskfile(text.replace("v1", "v2"))
    assert project.build().reasons["t"] == [
        "input bin is not executable any more",
        "new tracked command echo v2",
        "tracked command echo v1 is gone",
    ]


def test_runs_that_failed_count_as_runs(project: Project) -> None:
    project.taskfile('[tasks.picky]\ninputs = "in"\noutputs = "out"\nrun = "grep -q good in; cp in out"')
    project.write("in", "bad")
    for _ in range(3):
        assert project.bt("build").code == 1
    project.write("in", "good")
    project.build()
    assert "  ran        4 times, 4 because never built here" in project.look("why", "out").out


MANY = """
[tasks.slow]
foreach = { n = "{range}" }
outputs = "out/{n}"
params = { level = 1 }
run = "echo {params.level} {n} > {output}"

[tasks.all]
inputs = "out/*"
outputs = "all"
run = "cat {inputs} > {output}"
"""


def test_many_jobs_are_told_by_task(project: Project) -> None:
    text = MANY.replace('"{range}"', str(list(range(40))))
    project.taskfile(text)
    lines = project.look("build", "-n").out.splitlines()
    assert lines == [
        "task  will run  may run  fresh  because",
        "slow        40        0      0  never built here (40)",
        "all          1        0      0  never built here (1)",
        "41 will run",
    ]
    project.build()
    project.remove("out/7")
    project.taskfile(text.replace("level = 1", "level = 2"))
    lines = project.look("build", "-n").out.splitlines()
    assert lines[1].startswith("slow        40        0      0  the command changed (")
    assert lines[2].startswith("all          0        1      0  if slow 0 changes something (1)")
    verbose = project.look("build", "-n", "-v").out.splitlines()
    assert len(verbose) == 42


def test_how_long_it_will_take_is_learnt(project: Project) -> None:
    text = """
        [tasks.slow]
        foreach = { n = [1, 2, 3, 4] }
        inputs = "level"
        outputs = "out/{n}"
        run = "sleep 0.6; cat {input} > {output}"

        [tasks.all]
        inputs = "out/*"
        outputs = "all"
        run = "sleep 0.6; cat {inputs} > {output}"
        """
    project.taskfile(text)
    project.write("level", "1\n")
    assert "about" not in project.look("build", "-n").out
    project.build("-j4")
    project.write("level", "2\n")
    told = project.look("build", "-n", "-j2").out.splitlines()[-1]
    found = re.fullmatch(r"about (\d\.\d) s to (\d\.\d) s with 2 jobs at a time, as earlier runs took", told)
    assert found is not None, told
    will, most = map(float, found.groups())
    assert 1.1 < will < most
    assert (
        project.look("build", "-n", "-j1")
        .out.splitlines()[-1]
        .endswith("1 job at a time, as earlier runs took")
    )


def test_of_a_directory_it_is_told_what_has_changed_in_it(project: Project) -> None:
    project.taskfile("""
        [tasks.site]
        inputs = "pages/"
        outputs = "site"
        run = "find pages -type f | sort | xargs cat > {output}"

        [tasks.size]
        inputs = { pages = "pages/" }
        outputs = "size"
        run = "du pages > {output}"
    """)
    for name in ("a.txt", "a/b/deep.txt", "a/z.txt", "b"):
        project.write(f"pages/{name}", f"{name}\n")
    (project.folder / "pages/link").symlink_to("a/b/deep.txt")
    (project.folder / "pages/empty").mkdir()
    project.build()

    def told() -> list[str]:
        run = project.build("-j1")
        assert run.reasons["site"] == run.reasons["size"]
        return list(run.reasons["site"])

    project.write("pages/a/z.txt", "other\n")
    assert "input pages/a/z.txt changed" in project.look("why", "site").out
    assert told() == ["input pages/a/z.txt changed"]
    project.remove("pages/b")
    project.write("pages/new", "new\n")
    assert told() == ["new input pages/new", "input pages/b is gone"]
    (project.folder / "pages/a.txt").chmod(0o755)
    project.write("pages/empty/one", "one\n")
    assert told() == ["input pages/ changed"]  # of a directory that was empty nothing is known
    project.write("pages/empty/two", "two\n")
    (project.folder / "pages/a.txt").chmod(0o644)
    assert "input pages/a.txt is not executable any more" in project.look("build", "-n").out
    assert told() == ["input pages/a.txt is not executable any more", "new input pages/empty/two"]
    assert project.build().ran == []


def test_of_a_directory_of_which_not_all_is_known_it_is_told_that_it_changed(project: Project) -> None:
    project.taskfile('[tasks.a]\ninputs = "d/"\noutputs = "a"\nrun = "ls d > a"\n')
    project.write("d/one", "1\n")
    (project.folder / "d/empty").mkdir()
    project.build()
    (project.folder / "d/empty").rmdir()
    assert project.build().reasons == {"a": ["input d/ changed"]}


COPY = """
[bt]
secrets = ["TOKEN"]

[tasks.copy]
inputs = ["config.toml", "made"]
outputs = "out"
run = "cat {inputs} > {output}"

[tasks.made]
inputs = "other.bin"
outputs = "made"
run = "cp {input} {output}"
"""


def copying(project: Project, text: str = "a = 1\nb = 2\nc = 3\n") -> Project:
    project.taskfile(COPY)
    project.write("config.toml", text)
    project.write("other.bin", b"\x00\xff")
    project.build(env={"TOKEN": "tell-nobody"})
    return project


def test_small_texts_are_compared_by_lines(project: Project) -> None:
    copying(project)
    project.write("config.toml", "a = 1\nb = 20\nc = 3\nd = 4\n")
    lines = project.look("why", "out").out.splitlines()
    at = lines.index("  input config.toml changed")
    assert lines[at + 2 : at + 7] == [
        "      a = 1",
        "    - b = 2",
        "    + b = 20",
        "      c = 3",
        "    + d = 4",
    ]
    told = json.loads(project.look("why", "out", "--json").out)
    assert told["reasons"][0]["old"] == "a = 1\nb = 2\nc = 3\n"
    assert told["reasons"][0]["new"].endswith("d = 4\n")
    project.build()
    project.write("config.toml", "a = 1\nb = 2\nc = 3\n")  # as before, and against the last one
    assert "    - d = 4" in project.look("why", "out").out


def test_what_is_no_text_or_private_is_not_kept(project: Project) -> None:
    copying(project)
    project.write("other.bin", b"\x00\xfe")
    assert project.look("why", "made").out.splitlines()[1:] == ["  input other.bin changed"]
    project.write("config.toml", "private\n").chmod(0o600)
    project.build()
    project.write("config.toml", "changed\n")
    assert project.look("why", "out").out.splitlines()[1] == "  input config.toml changed"
    assert "private" not in project.look("why", "out").out


def test_secrets_in_kept_texts_are_masked(project: Project) -> None:
    copying(project, "token = tell-nobody\n")
    assert b"tell-nobody" not in b"".join(
        path.read_bytes() for path in (project.folder / ".bt").rglob("*") if path.is_file()
    )
    with StateReader.open(str(project.folder / ".bt")) as reader:
        record = reader.job("out")
        assert record is not None
        (digest,) = (
            item.digest
            for item in record.fingerprint.items
            if item.name == "config.toml" and item.digest is not None
        )
        assert reader.content(digest) == "token = ***\n"


def test_a_text_that_is_gone_or_too_long(project: Project) -> None:
    copying(project)
    project.write("config.toml", "x\n" * 20_000)
    assert project.look("why", "out").out.splitlines()[1:] == ["  input config.toml changed"]
    project.remove("config.toml")
    assert "Traceback" not in project.bt_plainly("why", "out").err


def test_what_will_run_anyway_is_not_said_to_depend_on_others(project: Project) -> None:
    text = (
        "[tasks.a]\ninputs = 'in/{i}'\noutputs = 'mid/{i}'\nrun = 'cp {input} {output}'\n"
        "[tasks.b]\ninputs = 'mid/{i}'\noutputs = 'out/{i}'\nrun = 'cat {input} > {output}'\n"
    )
    project.taskfile(text)
    project.write("in/x", "1")
    assert project.bt("build").code == 0
    project.write("in/x", "2")
    project.taskfile(text.replace("cat", "cat -u"))
    told = project.bt("build", "-n").out
    assert "will run  a x  (input in/x changed)" in told
    assert "will run  b x  (the command changed" in told


def installed(project: Project, distribution: str, version: str, module: str) -> None:
    """A distribution as an installer puts it there, in the place of another version of it."""
    site = "venv/lib/site-packages"
    for old in (project.folder / site).glob(f"{distribution}-*.dist-info"):
        shutil.rmtree(old)
    info = f"{site}/{distribution}-{version}.dist-info"
    project.write(f"{site}/{module}/__init__.py", f"VERSION = {version!r}\n")
    project.write(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    project.write(f"{info}/top_level.txt", f"{module}\n")
    project.write(f"{info}/RECORD", f"{module}/__init__.py,,\n{info}/RECORD,,\n")


def test_a_package_of_another_version(project: Project) -> None:
    """Also where it is called otherwise than what is imported, and is imported by a module between."""
    project.taskfile(
        '[tasks.f]\noutputs = "out"\ncall = "steps:f"\n[tasks.g]\noutputs = "else"\ncall = "steps:g"\n'
    )
    project.write(
        "steps.py",
        "import helpers\ndef f(output): output.write_text(helpers.told())\n"
        "def g(output): output.write_text('')\n",
    )
    project.write(
        "helpers.py", "import numlib, yamllib\ndef told(): return numlib.VERSION + yamllib.VERSION\n"
    )
    path = [str(project.folder / "venv/lib/site-packages"), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {"PYTHONPATH": os.pathsep.join(path)}
    installed(project, "numlib", "1.2.0", "numlib")
    installed(project, "Py_Yaml", "6.0", "yamllib")
    assert project.build(env=env).ran == ["f", "g"]
    assert project.read("out") == "1.2.06.0"
    assert "packages   Py_Yaml 6.0, numlib 1.2.0" in project.bt("why", "out", env=env).out

    installed(project, "numlib", "2.0.10", "numlib")
    installed(project, "Py_Yaml", "5.4.1", "yamllib")
    lines = project.bt("why", "out", env=env).out.splitlines()
    assert lines[0] == "f will run:"
    assert sorted(lines[1:]) == [
        "  package Py_Yaml changed from 6.0 to 5.4.1",
        "  package numlib changed from 1.2.0 to 2.0.10",
    ]
    told = json.loads(project.bt("why", "--json", "out", env=env).out)["reasons"]
    assert {(reason["name"], reason["old"], reason["new"]) for reason in told} == {
        ("Py_Yaml", "6.0", "5.4.1"),
        ("numlib", "1.2.0", "2.0.10"),
    }
    assert project.bt("why", "else", env=env).out.startswith("g is fresh")
    run = project.build(env=env)
    assert run.ran == ["f"]
    assert project.read("out") == "2.0.105.4.1"

    shutil.rmtree(project.folder / "venv/lib/site-packages/numlib")
    shutil.rmtree(project.folder / "venv/lib/site-packages/numlib-2.0.10.dist-info")
    assert "package numlib changed from 2.0.10 to not installed" in project.bt("why", "out", env=env).out


def test_what_is_needed_only_if_another_job_runs_is_told_as_that(project: Project) -> None:
    project.taskfile("""
        [tasks.mk]
        inputs = "src/{x}"
        outputs = "m/{x}"
        temp = true
        run = "cp {input} {output}"
        [tasks.read]
        inputs = "m/*"
        outputs = "r"
        run = "cat {inputs} > r"
    """)
    project.write("src/a", "1\n")
    project.write("src/b", "1\n")
    project.build()
    project.write("src/a", "2\n")
    lines = project.look("build", "-n").out.splitlines()
    assert lines[1:3] == ["may run   mk b  (if read runs)", "may run   read  (if mk a changes something)"]
    assert project.build().ran == ["mk a", "mk b", "read"]
