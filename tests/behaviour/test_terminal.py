"""What a person sees in a terminal while a build goes on, and what is left of it."""

from __future__ import annotations

import re

from support.project import BT, Project
from support.terminal import Terminal

WAITING = """
[tasks.wait]
foreach = { n = [1, 2, 3] }
outputs = "out/{n}"
run = '''
echo "first words of {n}"
while [ ! -e go{n} ]; do sleep 0.02; done
touch {output}
'''
"""
COLOUR = re.compile(rb"\x1b\[3\d")


def feet(lines: list[str]) -> list[str]:
    """The lines that tell what goes on."""
    return [line for line in lines if " running" in line or " left" in line]


def test_what_runs_is_seen_and_gone_at_the_end(project: Project) -> None:
    project.taskfile(WAITING)
    with Terminal(project, "build", "-j2") as terminal:
        lines = terminal.until(lambda lines: "words of 2" in "\n".join(lines))
        assert "0 of 3 jobs, 2 running" in lines[0]
        assert re.fullmatch(r"  wait 1  \d\.\d s  first words of 1", lines[1])
        project.write("go1", "")
        lines = terminal.until(lambda lines: "words of 3" in "\n".join(lines))
        assert lines[0].startswith("ran        wait 1  (never built here)")
        assert "1 of 3 jobs, 2 running" in lines[1]
        project.write("go2", "")
        project.write("go3", "")
        lines = terminal.end()
        assert terminal.code == 0
        assert not feet(lines)
        assert len(lines) == 4
        assert lines[3].startswith("3 ran in ")
        assert not terminal.cursor_is_hidden


def test_failures_stand_at_the_end(project: Project) -> None:
    project.taskfile(
        WAITING.replace("touch {output}", "echo 'the cause' >&2; exit 3").replace("[1, 2, 3]", "[1]")
    )
    with Terminal(project, "build") as terminal:
        terminal.until(lambda lines: "words of 1" in "\n".join(lines))
        project.write("go1", "")
        lines = terminal.end()
        assert terminal.code == 1
        assert lines[0] == "failed     wait 1  exit code 3"
        assert lines[-2].strip() == "the cause"
        assert lines[-1].startswith("1 failed in ")
        assert not feet(lines)


def test_it_follows_the_size_of_the_window(project: Project) -> None:
    project.taskfile(WAITING)
    with Terminal(project, "build", "-j3", columns=100) as terminal:
        terminal.until(lambda lines: "words of 3" in "\n".join(lines) and "─" in lines[0])
        terminal.resize(30, 24)
        # What was drawn this very moment may be left above it, wrapped.
        terminal.until(lambda lines: any(line.startswith("0 of 3 jobs") for line in lines))
        for n in (1, 2, 3):
            project.write(f"go{n}", "")
        terminal.end()
        assert terminal.code == 0


def test_the_size_of_the_window_is_its_own(project: Project) -> None:
    """Whatever the environment says."""
    project.taskfile(WAITING)
    wide = ("env", "COLUMNS=200", "LINES=9", *BT)
    with Terminal(project, "build", "-j3", columns=60, program=wide) as terminal:
        lines = terminal.until(lambda lines: "words of 3" in "\n".join(lines))
        assert lines[0].startswith("0 of 3 jobs, 3 running")
        assert lines[1].startswith("  wait 1")
        for n in (1, 2, 3):
            project.write(f"go{n}", "")
        assert len(terminal.end()) == 4


def test_many_jobs_are_told_by_task(project: Project) -> None:
    project.taskfile(WAITING.replace("[1, 2, 3]", "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]").replace("go{n}", "go"))
    with Terminal(project, "build", "-j10") as terminal:
        lines = terminal.until(lambda lines: bool(feet(lines)) and "10 running" in lines[0])
        assert re.fullmatch(r"  wait  10 running  the longest for \d\.\d s", lines[1])
        project.write("go", "")
        terminal.end()
        assert terminal.code == 0


def test_the_time_left_is_learnt(project: Project) -> None:
    project.taskfile(
        """
        [tasks.slow]
        foreach = { n = [1, 2, 3, 4] }
        outputs = "out/{n}"
        run = "sleep 1.2; touch {output}"
        """
    )
    assert project.build("-j4").code == 0
    with Terminal(project, "build", "-B", "-j1") as terminal:
        terminal.until(lambda lines: any(re.search(r"[345] s left", line) for line in lines))
        terminal.end()
        assert terminal.code == 0


def test_no_colour_if_none_is_wanted(project: Project) -> None:
    project.taskfile(WAITING)
    for env, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        with Terminal(project, "build", "-B", "-j3", env=env) as terminal:
            terminal.until(lambda lines: "words of 3" in "\n".join(lines))
            for n in (1, 2, 3):
                project.write(f"go{n}", "")
            terminal.end()
            assert bool(COLOUR.search(terminal.raw)) is coloured
        for n in (1, 2, 3):
            (project.folder / f"go{n}").unlink()


def test_jobs_decide_themselves_about_their_colours(project: Project) -> None:
    told = r"printf '\033[32m%s\033[0m\n' words-of-a-job; echo NO_COLOR=$NO_COLOR"
    project.taskfile(f"[tasks.t]\nrun = '''{told}'''\n")
    run = project.bt_plainly("build", "-v", "t", env={"NO_COLOR": "1"})
    assert "\x1b[32mwords-of-a-job\x1b[0m" in run.out
    assert "NO_COLOR=1" in run.out
    assert [line for line in run.out.splitlines() if "\x1b" in line and "words-of-a-job" not in line] == []


def test_a_dumb_terminal_gets_plain_lines(project: Project) -> None:
    project.taskfile(WAITING)
    for n in (1, 2, 3):
        project.write(f"go{n}", "")
    with Terminal(project, "build", env={"TERM": "dumb"}) as terminal:
        terminal.end()
        assert b"\x1b" not in terminal.raw


def test_a_job_that_has_the_terminal_has_it_alone(project: Project) -> None:
    project.taskfile(
        """
        [tasks.talk]
        outputs = "said"
        interactive = true
        run = "sleep 0.5; printf 'your name? '; read name; echo \\"$name\\" > {output}"

        [tasks.after]
        inputs = "said"
        outputs = "after"
        run = "while [ ! -e go ]; do sleep 0.02; done; cp {input} {output}"
        """
    )
    with Terminal(project, "build") as terminal:
        lines = terminal.until(lambda lines: "your name?" in "\n".join(lines))
        assert lines == ["your name?"]
        terminal.press(b"Ada\n")
        lines = terminal.until(lambda lines: bool(feet(lines)))
        assert lines[0] == "your name? Ada"
        project.write("go", "")
        terminal.end()
        assert terminal.code == 0
    assert project.read("said") == "Ada\n"


def test_ctrl_c_leaves_the_terminal_as_it_was(project: Project) -> None:
    project.taskfile(WAITING)
    with Terminal(project, "build", "-j3") as terminal:
        terminal.until(lambda lines: "words of 3" in "\n".join(lines))
        terminal.press(b"\x03")
        lines = terminal.end()
        assert terminal.code == 130
        assert lines[-1].startswith("interrupted: ")
        assert not feet(lines)
        assert not terminal.cursor_is_hidden


def test_nothing_is_drawn_where_nothing_is_to_do(project: Project) -> None:
    project.taskfile(WAITING.replace("while", "true || while"))
    assert project.build().code == 0
    with Terminal(project, "build", "--rehash", env={"NO_COLOR": "1"}) as terminal:
        lines = terminal.end()
        assert b"\x1b" not in terminal.raw
        assert lines[0].startswith("3 fresh in ")


def test_a_large_file_that_is_read_is_seen_and_can_be_left(project: Project) -> None:
    project.taskfile('[tasks.a]\ninputs = "large"\noutputs = "out"\nrun = "touch {output}"\n')
    with open(project.folder / "large", "wb") as file:
        file.truncate(1 << 37)  # nothing but a hole, and nobody reads as much in no time
    seen = re.compile(r"  reading large: ([\d.]+ [kMG]B) of 137 GB")

    def read(lines: list[str]) -> list[str]:
        return [found[1] for line in lines if (found := seen.fullmatch(line))]

    with Terminal(project, "build") as terminal:
        before = read(terminal.until(lambda lines: bool(read(lines))))
        lines = terminal.until(lambda lines: read(lines) not in ([], before))
        assert "0 of 1 job" in lines[0]
        terminal.press(b"\x03")
        lines = terminal.end()
        assert terminal.code == 130
        assert lines == [lines[-1]]
        assert lines[0].startswith("interrupted: ")
        told = re.findall(rb"reading large: ([\d.]+) GB", terminal.raw)
        assert all(float(much) < 100 for much in told)  # the rest was not read
    assert not project.exists("out")
