"""Every example builds in a fresh copy, is fresh then, and does what its README says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.project import Project

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/Taskfile.toml"))


def copy(name: str, tmp_path: Path) -> Project:
    """A copy of an example as it is in the repository, without what was built there."""
    made = shutil.ignore_patterns(".bt", "build", "report.md", "report.html", "report.txt")
    return Project(Path(shutil.copytree(EXAMPLES / name, tmp_path / name, ignore=made)))


def test_there_are_examples() -> None:
    assert {"wordcount", "cproject", "olympics", "pipeline"} <= {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_example_builds_and_is_fresh_then(name: str, tmp_path: Path) -> None:
    project = copy(name, tmp_path)
    check = project.bt("check")
    assert check.code == 0, check.out + check.err
    first = project.build()
    assert first.ran
    assert first.warnings == []
    files = {path: (project.folder / path).read_bytes() for path in project.files()}
    second = project.build()
    assert {*second.by_status("fresh")} == {*second.finished}
    assert files == {path: (project.folder / path).read_bytes() for path in project.files()}


@pytest.mark.parametrize("name", NAMES)
def test_example_has_a_short_readme(name: str) -> None:
    assert 3 <= len((EXAMPLES / name / "README.md").read_text().splitlines()) <= 10


def test_wordcount_stops_at_equal_counts(tmp_path: Path) -> None:
    project = copy("wordcount", tmp_path)
    project.build()
    text = project.folder / "texts/tyger.txt"
    text.write_text(text.read_text() + "\n")
    run = project.build()
    assert run.by_status("unchanged") == ["count tyger"]
    assert run.by_status("ran") == []
    project.write("texts/new.txt", "new words\n")
    assert project.build().ran == ["count new", "report"]


def test_cproject_compiles_what_its_headers_say(tmp_path: Path) -> None:
    project = copy("cproject", tmp_path)
    project.build()
    header = project.folder / "src/shapes.h"
    header.write_text(header.read_text() + "/* the end */\n")
    assert project.build().by_status("ran", "unchanged") == ["object main", "object shapes"]
    source = project.folder / "src/shapes.c"
    source.write_text(source.read_text().replace("so is the area", "the area is one, too"))
    assert project.build().ran == ["object shapes"]
    project.write("VERSION", "1.1\n")
    project.write("tests/expected.txt", "area 1.1\nrectangle 3 x 4: 12\n")
    assert project.build().ran == ["link", "object main", "test", "version"]


def test_olympics_grows_with_its_data(tmp_path: Path) -> None:
    project = copy("olympics", tmp_path)
    project.build()
    assert "| Asia | 8 | 4 | 4 |" in project.read("report.md")
    games = project.folder / "data/games.csv"
    games.write_text(games.read_text() + "2050,summer,Lagos,Nigeria,Africa\n")
    run = project.build()
    assert run.ran == ["html", "markdown", "split", "sum Africa", "table"]
    assert "| Africa | 1 | 1 | 0 | Lagos |" in project.read("report.md")


SUMS = [f"sum {name}" for name in ("alaska", "himalaya", "indonesia", "north-west-pacific", "south-america")]
PIPELINE = {
    "what only the script uses": ("helpers.py", ".title()", ".upper()", ["report"]),
    "what the sums use": ("helpers.py", "1.5 * magnitude", "1.6 * magnitude", [*SUMS, "rank", "report"]),
    "the same in other words": ("helpers.py", "1.5 * magnitude", "magnitude * 1.5", SUMS),
    "what two steps use": (
        "helpers.py",
        "csv.DictReader(file))",
        "csv.DictReader(file))[:]",
        [*SUMS, "report"],
    ),
    "a comment": ("helpers.py", "def joules", "# in J\ndef joules", []),
    "a docstring": ("steps.py", "Sum up the earthquakes", "Add up the earthquakes", []),
    "one function": ("steps.py", "-one[", "+one[", ["rank", "report"]),
    "the script": ("scripts/report.py", "energy in J", "energy [J]", ["report"]),
    "a parameter": ("Taskfile.toml", "since = 1900", "since = 1950", [*SUMS, "rank", "report"]),
    "one table": ("data/himalaya.csv", "8.6", "8.7", ["rank", "report", "sum himalaya"]),
    "another executor": ("Taskfile.toml", 'backend = "processes"', 'backend = "threads"', []),
}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, built once."""
    project = copy("pipeline", tmp_path_factory.mktemp("built"))
    project.build()
    return project.folder


@pytest.mark.parametrize("edit", PIPELINE)
def test_pipeline_runs_what_an_edit_reaches(pipeline: Path, tmp_path: Path, edit: str) -> None:
    name, old, new, expected = PIPELINE[edit]
    project = Project(Path(shutil.copytree(pipeline, tmp_path / "pipeline", symlinks=True)))
    text = project.read(name)
    assert text.count(old) == 1
    project.write(name, text.replace(old, new).encode())
    assert project.build().ran == sorted(expected)
    assert project.build().ran == []
