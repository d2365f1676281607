"""`bt graph --format html`: one page that a browser shows, with nothing else."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from support.browser import CHROMIUM, dom
from support.project import Project

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

TASKS = """
[tasks.clean]
desc = "Clean <b>one</b> sample"
inputs = "in/{n}.txt"
outputs = "clean/{n}.txt"
run = "echo cleaning {n}; cp {input} {output}; if [ {n} = 2 ]; then exit 3; fi"

[tasks.report]
inputs = "clean/*.txt"
outputs = "report.txt"
run = "cat {inputs} > {output}"
"""


def page(project: Project, *words: str) -> Path:
    path = project.folder.parent / "page.html"
    run = project.bt_plainly("graph", "--format", "html", "-o", str(path), *words)
    assert run.code == 0, run.err
    return path


def texts(markup: str) -> str:
    """What is read, without the data."""
    body = re.sub(r"<script.*?</script>|<style.*?</style>", "", markup, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", "\n", body))


@pytest.fixture
def samples(project: Project) -> Project:
    project.taskfile(TASKS)
    for number in (1, 2, 3):
        project.write(f"in/{number}.txt", f"{number}\n")
    assert project.bt("build", "-k").code == 1
    return project


def test_tasks_with_their_jobs_by_state(samples: Project) -> None:
    seen = texts(dom(page(samples), "tasks"))
    assert "2 fresh" in seen
    assert "1 failed" in seen
    assert "1 will run" in seen or "1 may run" in seen
    assert "Clean <b>one</b> sample" in seen  # as words, not as markup
    assert seen.index("clean") < seen.index("report")


def test_a_job_with_its_command_reason_time_and_last_words(samples: Project) -> None:
    seen = texts(dom(page(samples), "job/clean 2"))
    for words in ("failed", "cp in/2.txt clean/2.txt", "cleaning 2", "in/2.txt", "report", "ago, on local"):
        assert words in seen, words
    assert "cleaning 1" not in seen


def test_the_graph_and_the_timeline_are_drawn(samples: Project) -> None:
    path = page(samples)
    assert 'data-drawn="4"' in dom(path, "jobs")
    assert 'data-drawn="3"' in dom(path, "timeline")
    assert "critical path" in texts(dom(path, "slowest"))


@pytest.mark.parametrize("width", [1200, 600])
@pytest.mark.parametrize("seconds", ["2.0", "60.0", "3600.0"])  # the last time stands at the very end
def test_every_time_of_the_axis_is_whole(samples: Project, width: int, seconds: str) -> None:
    path = page(samples)
    text, number = re.subn(r'("timeline":.*"seconds":)[0-9.]+', rf"\g<1>{seconds}", path.read_text())
    assert number == 1
    path.write_text(text)
    found = re.search(r'data-axis="(\d+) of (\d+)"', dom(path, "timeline", width))
    assert found is not None
    assert found[1] == found[2]
    assert int(found[1]) >= 3


def test_nothing_is_asked_of_the_network(samples: Project) -> None:
    text = page(samples).read_text()
    assert not re.search(r"(?:src|href)\s*=|@import|url\(|fetch\(|XMLHttpRequest", text)
    assert text.count("http") == text.count("http://www.w3.org/2000/svg") + text.count("https://www.w3")


def test_hostile_names_stay_words(project: Project) -> None:
    name = "</script><script>document.body.dataset.error='run'</script>"
    project.taskfile(TASKS)
    project.write(f"in/{name.replace('/', '~')}.txt", "")
    project.write("in/ünï \x1b[2J.txt", "")
    seen = texts(dom(page(project), "list"))
    assert "<~script><script>document" in seen
    assert "\x1b" not in seen


def test_thousands_of_jobs(project: Project) -> None:
    project.taskfile(
        """
        [tasks.a]
        inputs = "in/{n}"
        outputs = "a/{n}"
        run = "cp {input} {output}"

        [tasks.b]
        inputs = "a/{n}"
        outputs = "b/{n}"
        run = "cp {input} {output}"
        """
    )
    (project.folder / "in").mkdir()
    for number in range(5000):
        (project.folder / f"in/{number}").touch()
    path = page(project)
    assert path.stat().st_size < 5_000_000
    assert 'data-drawn="10000"' in dom(path, "jobs")
    rows = dom(path, "list").count('class="row"')
    assert 20 <= rows <= 100  # those that are seen


def test_one_stale_job_of_hundreds_is_seen(project: Project) -> None:
    project.taskfile("[tasks.a]\ninputs = 'in/{n}'\noutputs = 'a/{n}'\nrun = 'cp {input} {output}'\n")
    for number in range(400):
        project.write(f"in/{number}", "")
    assert project.bt("build").code == 0
    project.write("in/7", "changed")
    parts = re.findall(r'class="part"[^>]* width="([0-9.]+)"', dom(page(project), "tasks"))
    assert [float(width) >= 4 for width in parts] == [True, True]


def test_it_is_printed_without_a_file(samples: Project) -> None:
    before = samples.traces()
    run = samples.bt_plainly("graph", "--format", "html")
    assert run.out.startswith("<!doctype html>")
    assert samples.traces() == before
    refused = samples.bt_plainly("graph", "-o", "x")
    assert refused.code == 2
    assert samples.bt_plainly("graph", "--format", "html", "-o", "no/such/x").code == 5
