"""What was built before comes back from the cache instead of being built again, and is right, or it is built."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from buildtool.cache.entry import Kept, Part, from_bytes, to_bytes
from support.project import Project

CACHE = """
    [bt.cache]
    size = "1GB"
"""
CHAIN = """
    [tasks.one]
    inputs = "in"
    outputs = "one.txt"
    run = "echo one >> log; tr a-z A-Z < {input} > {output}"
    [tasks.two]
    inputs = "one.txt"
    outputs = "two.txt"
    run = "echo two >> log; cat {input} {input} > {output}"
"""


def there_and_back(project: Project, name: str = "in") -> Callable[[], None]:
    """Builds with `name` as it is, then with another text in it; what puts it back."""
    before = project.read(name)
    assert project.build().code == 0
    project.write(name, "another\n")
    assert project.build().code == 0
    return lambda: project.write(name, before) and None


def contents(project: Project, kind: str = "files") -> list[Path]:
    return [path for path in (project.folder / ".bt/cache" / kind).rglob("*") if path.is_file()]


def kept(project: Project) -> int:
    return sum(path.stat().st_size for path in (project.folder / ".bt/cache").rglob("*") if path.is_file())


def foretold(project: Project, *words: str) -> dict[str, str]:
    """The verdict of a dry run on each job."""
    [told] = [json.loads(line) for line in project.look("build", "-n", "--json", *words).out.splitlines()][:1]
    return {job["job"]: job["verdict"] for job in told["forecast"]}


@pytest.fixture
def chain(project: Project) -> Project:
    project.taskfile(CACHE + CHAIN)
    project.write("in", "text\n")
    return project


def test_a_dry_run_tells_what_comes_back(chain: Project) -> None:
    back = there_and_back(chain)
    back()
    assert foretold(chain) == {"one": "restored", "two": "may run"}
    assert foretold(chain, "--no-cache") == {"one": "will run", "two": "may run"}
    assert foretold(chain, "-B") == {"one": "will run", "two": "will run"}
    lines = chain.look("build", "-n").out.splitlines()
    assert lines[0] == "restored  one  (input in changed)"
    assert lines[-1] == "1 may run, 1 restored"
    chain.look("build", "-n", "--check", code=4)
    assert chain.build().by_status("restored") == ["one", "two"]
    chain.remove("two.txt")
    assert foretold(chain) == {"one": "fresh", "two": "restored"}
    assert chain.build().by_status("restored") == ["two"]


def test_a_dry_run_does_not_promise_what_is_not_kept_any_more(chain: Project) -> None:
    chain.build()
    chain.remove("two.txt")
    assert foretold(chain) == {"one": "fresh", "two": "restored"}
    for path in contents(chain):
        path.unlink()
    assert foretold(chain) == {"one": "fresh", "two": "will run"}
    assert chain.build().ran == ["two"]


def test_a_dry_run_of_many_jobs_tells_how_many_come_back(project: Project) -> None:
    project.taskfile(
        CACHE
        + """
    [tasks.up]
    inputs = "in/{n}"
    outputs = "out/{n}"
    run = "cp {input} {output}"
    """
    )
    for n in range(40):
        project.write(f"in/{n}", f"{n}\n")
    project.build()
    for n in range(35):
        project.remove(f"out/{n}")
    project.write("in/39", "other\n")
    lines = project.look("build", "-n").out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["task", "up", "1 will run, 35 restored, 4 fresh"]
    assert lines[0].split() == ["task", "will", "run", "may", "run", "restored", "fresh", "because"]
    assert lines[1].split()[:5] == ["up", "1", "0", "35", "4"]
    (project.folder / ".bt/state.db").unlink()
    assert [*foretold(project).values()].count("restored") == 39
    assert len(project.build().by_status("restored")) == 39


def test_going_back_runs_nothing(chain: Project) -> None:
    there_and_back(chain)()
    log = chain.read("log")
    run = chain.build()
    assert run.by_status("restored") == ["one", "two"]
    assert (chain.read("one.txt"), chain.read("two.txt")) == ("TEXT\n", "TEXT\nTEXT\n")
    assert chain.read("log") == log
    assert run.summary["restored"] == 2
    assert chain.build().by_status("fresh") == ["one", "two"]


def test_a_deleted_output_comes_back(chain: Project) -> None:
    chain.build()
    chain.remove("two.txt")
    assert chain.build().by_status("restored") == ["two"]
    assert chain.read("two.txt") == "TEXT\nTEXT\n"


def test_people_are_told(chain: Project) -> None:
    there_and_back(chain)()
    run = chain.bt_plainly("build")
    assert "restored   one  (input in changed)" in run.out
    assert "2 restored in" in run.out
    assert "2 restored" in chain.bt("history").out
    told = chain.bt("why", "one.txt").out
    assert re.search(r"restored +0.\d s ago, in build 3", told)
    assert re.search(r"ran +2 times\n", told)


def test_all_kinds_of_outputs(project: Project) -> None:
    project.taskfile(
        CACHE
        + """
        [tasks.make]
        inputs = "in"
        outputs = ["program", "folder/", "link", "empty", "secret"]
        run = '''
        cp in program; chmod 755 program; touch empty; (umask 077; cp in secret)
        mkdir -p folder/a/b folder/c; chmod 700 folder/c
        cp in folder/a/b/it; ln -s a/b/it folder/to; ln -s program link
        '''
        """
    )
    project.write("in", "text\n")

    def looks() -> dict[str, tuple[int, str]]:
        found = {}
        for path in sorted(project.folder.rglob("*")):
            name = str(path.relative_to(project.folder))
            if name.startswith((".bt", "Taskfile")):
                continue
            text = os.readlink(path) if path.is_symlink() else "" if path.is_dir() else path.read_text()
            found[name] = (path.lstat().st_mode, text)
        return found

    project.build()
    before = looks()
    assert stat.S_IMODE(before["secret"][0]) == 0o600
    project.write("in", "another\n")
    project.build()
    assert looks() != before
    project.write("in", "text\n")
    assert project.build().by_status("restored") == ["make"]
    assert looks() == before
    assert project.build().by_status("fresh") == ["make"]


def test_a_function_whose_code_comes_back(project: Project) -> None:
    code = "def work(input, output):\n    output.write_text(input.read_text() + 'one')\n"
    project.taskfile(CACHE + '[tasks.t]\ninputs = "in"\noutputs = "out"\ncall = "steps:work"')
    project.write("in", "text\n")
    project.write("steps.py", code)
    project.build()
    project.write("steps.py", code.replace("one", "two"))
    assert project.build().ran == ["t"]
    project.write("steps.py", code)
    assert project.build().by_status("restored") == ["t"]
    assert project.read("out") == "text\none"


DEPFILE = """
    [tasks.object]
    inputs = "a.c"
    outputs = "a.o"
    depfile = "a.d"
    cache = true
    run = "cat a.c $(cat includes) > a.o; echo \\"a.o: a.c $(cat includes)\\" > a.d"
"""


def test_what_a_compiler_named_counts(project: Project) -> None:
    project.taskfile(CACHE + DEPFILE)
    for name in ("a.c", "a.h", "b.h"):
        project.write(name, f"{name}\n")
    project.write("includes", "a.h\n")
    project.build()
    project.write("a.h", "another\n")
    assert project.build().ran == ["object"]
    project.write("a.h", "a.h\n")
    assert project.build().by_status("restored") == ["object"]
    assert project.read("a.o") == "a.c\na.h\n"
    project.write("a.h", "a third\n")  # it stands in the record of what came back, too
    assert project.build().ran == ["object"]
    assert project.read("a.o") == "a.c\na third\n"


@pytest.mark.parametrize("how", ["longer", "cut", "other bytes", "gone"])
def test_damaged_contents_are_made_anew(chain: Project, how: str) -> None:
    there_and_back(chain)()
    for path in contents(chain):
        data = path.read_bytes()
        match how:
            case "longer":
                path.write_bytes(data + b"x")
            case "cut":
                path.write_bytes(data[:-1])
            case "other bytes":
                path.write_bytes(bytes(reversed(data)))
            case _:
                path.unlink()
    assert chain.build().ran == ["one", "two"]
    assert chain.read("two.txt") == "TEXT\nTEXT\n"
    assert chain.build().by_status("fresh") == ["one", "two"]


@pytest.mark.parametrize("data", [b"", b"x", b"[]", b"[1,[]]", b"[1,[[],[],[],0,0,0]]", b'{"a":' * 9000])
def test_damaged_entries_are_none(chain: Project, data: bytes) -> None:
    there_and_back(chain)()
    for path in contents(chain, "jobs"):
        path.write_bytes(data)
    assert chain.build().ran == ["one", "two"]
    assert chain.read("two.txt") == "TEXT\nTEXT\n"


@pytest.mark.parametrize("path", ["../stray", "/stray", "one.txt/../../stray", "Taskfile.toml", "stray"])
def test_a_forged_entry_writes_nothing_but_outputs(chain: Project, path: str) -> None:
    there_and_back(chain)()
    for entry in contents(chain, "jobs"):
        form, *runs = told(entry)
        for run in runs:
            run[1][0][0] = path
        forge(entry, [form, *runs])
    taskfile = chain.read("Taskfile.toml")
    assert chain.build().ran == ["one", "two"]
    assert not (chain.folder.parent / "stray").exists()
    assert not chain.exists("stray")
    assert chain.read("Taskfile.toml") == taskfile


def told(entry: Path) -> Any:
    return json.loads(entry.read_bytes()[32:])


def forge(entry: Path, value: object) -> None:
    raw = json.dumps(value).encode()
    entry.write_bytes(xxhash.xxh3_128_hexdigest(raw).encode() + raw)


def test_a_forged_entry_leads_nowhere_by_a_link_of_its_own(project: Project, tmp_path: Path) -> None:
    (tmp_path / "evil").mkdir()
    project.taskfile(CACHE + '[tasks.d]\noutputs = "out/"\nrun = "echo a > out/a"')
    project.build()
    [entry] = contents(project, "jobs")
    form, run = told(entry)
    link = "l" + "0" * 32
    run[1] += [
        ["out/d", link, 0, str(tmp_path / "evil")],
        ["out/d/x", link, 0, "y"],
        ["out/d/s/", "", 0, None],
    ]
    forge(entry, [form, run])
    (project.folder / "out/a").unlink()
    assert project.build().by_status("restored") == []
    assert [*(tmp_path / "evil").iterdir()] == []


@pytest.mark.parametrize(
    ("at", "value"), [(3, float("inf")), (3, -1), (4, 1 << 80), (4, "much"), (0, [["x", "\ud880"]])]
)
def test_a_forged_entry_with_strange_values_is_none(project: Project, at: int, value: object) -> None:
    project.taskfile(CACHE + '[tasks.d]\noutputs = "x"\nrun = "echo a > x"')
    project.build()
    [entry] = contents(project, "jobs")
    form, run = told(entry)
    run[at] = value
    forge(entry, [form, run])
    project.remove("x")
    assert project.build().by_status("unchanged") == ["d"]


def test_any_byte_of_an_entry_may_be_damaged(project: Project) -> None:
    project.taskfile(CACHE + '[tasks.d]\noutputs = "x"\nrun = "echo a > x"')
    project.build()
    [entry] = contents(project, "jobs")
    data = entry.read_bytes()
    for at in range(0, len(data), 17):
        entry.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        project.remove("x")
        assert project.build().by_status("unchanged") == ["d"]
        assert project.read("x") == "a\n"


def test_what_is_no_file_in_the_cache_is_not_waited_for_nor_written_through(
    chain: Project, tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("mine\n")
    chain.build()
    for entry in contents(chain, "jobs"):
        entry.unlink()
        os.mkfifo(entry)
        entry.with_name(entry.name + ".new").symlink_to(tmp_path / "mine")
    for name in ("one.txt", "two.txt"):
        chain.remove(name)
    assert chain.build().by_status("unchanged") == ["one", "two"]
    assert (tmp_path / "mine").read_text() == "mine\n"


@pytest.mark.parametrize("name", ["jobs", "files"])
def test_room_is_not_made_behind_a_link(project: Project, tmp_path: Path, name: str) -> None:
    mine = tmp_path / "mine/deep"
    mine.mkdir(parents=True)
    (mine / "file").write_text("mine\n")
    task = '[tasks.t]\ninputs = "in"\noutputs = "out"\nrun = "cp {input} {output}"'
    project.taskfile(f'[bt.cache]\nsize = "2 KiB"\n{task}')
    project.write("in", "1" * 1500)
    project.build()
    shutil.rmtree(project.folder / ".bt/cache" / name)
    (project.folder / ".bt/cache" / name).symlink_to(tmp_path / "mine")
    project.write("in", "2" * 1500)
    project.build()
    assert (mine / "file").read_text() == "mine\n"


def test_many_small_things_do_not_take_more_than_there_may_be(project: Project) -> None:
    many = "mkdir -p o; for i in $(seq 300); do ln -s nowhere$i o/$i; done"
    project.taskfile(f'[bt.cache]\nsize = "10 KB"\n[tasks.t]\noutputs = "o/"\nrun = "{many}"')
    project.build()
    assert kept(project) <= 10_000


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=9)


@given(st.lists(st.tuples(texts, texts), max_size=3), st.floats(0, 1e8), st.integers(0, 1 << 60))
def test_an_entry_is_read_as_it_was_written(names: list[tuple[str, str]], seconds: float, peak: int) -> None:
    tops = tuple((f"o/{number}/", f"d{value}") for number, (_, value) in enumerate(names))
    parts = tuple(Part(path, "", 0o644, link) for (path, _), (_, link) in zip(tops, names, strict=True))
    run = Kept(tops, parts, tuple((path, None) for path, _ in names), seconds, peak)
    assert from_bytes(to_bytes([run, run])) == [run, run]


NOT_KEPT = {
    "it says so": "cache = false",
    "always": "always = true",
    "max_age": 'max_age = "1d"',
    "keep": "keep = true",
    "a compiler tells more": 'depfile = "out.d"',
}


@pytest.mark.parametrize("key", NOT_KEPT.values(), ids=NOT_KEPT)
def test_what_is_not_kept(project: Project, key: str) -> None:
    project.taskfile(
        f'{CACHE}\n[tasks.t]\ninputs = "in"\noutputs = "out"\n{key}\nrun = "cp {{input}} {{output}}"'
    )
    project.write("in", "text\n")
    there_and_back(project)()
    assert project.build().ran == ["t"]
    assert contents(project) == []


def test_outputs_of_a_pattern_are_not_kept(project: Project) -> None:
    project.taskfile(
        CACHE + '[tasks.t]\ninputs = "in"\noutputs = "out/*.txt"\nrun = "mkdir -p out; cp in out/a.txt"'
    )
    project.write("in", "text\n")
    there_and_back(project)()
    assert project.build().ran == ["t"]


def test_without_the_cache(chain: Project) -> None:
    chain.build("--no-cache")
    assert not chain.exists(".bt/cache")
    there_and_back(chain)()
    assert chain.build("--no-cache").ran == ["one", "two"]


def test_forced_jobs_run(chain: Project) -> None:
    chain.build()
    assert chain.build("-B").by_status("unchanged") == ["one", "two"]


def test_it_is_not_there_unless_asked_for(chain: Project) -> None:
    chain.taskfile(CHAIN)
    there_and_back(chain)()
    assert chain.build().ran == ["one", "two"]
    assert not chain.exists(".bt/cache")


def test_what_was_not_used_for_long_goes_first(project: Project) -> None:
    task = '[tasks.t]\ninputs = "in"\noutputs = "out"\nrun = "cp {input} {output}"'
    project.taskfile(f'[bt.cache]\nsize = "35 KiB"\n{task}')

    def build(number: int) -> str:
        project.write("in", f"{number}" * 10_000)
        [job] = project.build().finished.values()
        return str(job["status"])

    for number in (1, 2, 3):
        assert build(number) == "ran"
    for path in contents(project, "jobs"):
        os.utime(path, (path.stat().st_mtime - 100,) * 2)
    assert build(1) == "restored"
    assert build(4) == "ran"
    assert kept(project) <= 35 << 10
    assert (build(1), build(4)) == ("restored", "restored")
    assert build(2) == "ran"


def test_what_is_larger_than_all_is_not_kept(project: Project) -> None:
    project.taskfile(
        '[bt.cache]\nsize = "1 KiB"\n[tasks.t]\noutputs = "out"\nrun = "head -c 2000 /dev/zero > out"'
    )
    project.build()
    project.remove("out")
    assert project.build().by_status("unchanged") == ["t"]
    assert contents(project) == []


def test_what_a_person_changed_is_kept_aside(chain: Project) -> None:
    chain.build()
    chain.write("two.txt", "mine\n")
    run = chain.build()
    assert run.by_status("restored") == ["two"]
    assert "`two.txt` was edited: kept as `.bt/kept/2/two.txt`" in run.warnings[0]
    assert chain.read(".bt/kept/2/two.txt") == "mine\n"
    assert chain.read("two.txt") == "TEXT\nTEXT\n"


def test_an_edit_of_an_output_does_not_reach_what_is_kept(chain: Project) -> None:
    chain.build()
    with (chain.folder / "two.txt").open("a") as file:  # in place
        file.write("more\n")
    assert chain.build().by_status("restored") == ["two"]
    assert chain.read("two.txt") == "TEXT\nTEXT\n"


@pytest.mark.parametrize("name", ["cache", "cache/jobs", "cache/files"])
def test_nothing_is_written_through_a_link(chain: Project, tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    chain.build()
    chain.bt("clean", "--cache")
    place = chain.folder / ".bt" / name
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(elsewhere)
    chain.write("in", "another\n")
    run = chain.bt("build")
    assert run.code == (5 if name == "cache" else 0)
    assert [*elsewhere.iterdir()] == []


def test_it_can_be_emptied(chain: Project) -> None:
    back = there_and_back(chain)
    size = kept(chain)
    assert f"would remove {size} B of past outputs" in chain.look("clean", "--cache", "-n").out
    assert f"removed {size} B of past outputs" in chain.bt("clean", "--cache").out
    assert not chain.exists(".bt/cache")
    back()
    assert chain.build().ran == ["one", "two"]


def test_a_lost_state_costs_no_run(chain: Project) -> None:
    chain.build()
    chain.remove(".bt/state.db")
    assert chain.build().by_status("restored") == ["one", "two"]


def test_a_header_that_another_job_makes_is_waited_for(project: Project) -> None:
    made = '[tasks.header]\ninputs = "h.in"\noutputs = "a.h"\nrun = "cp {input} {output}"\n'
    project.taskfile(CACHE + DEPFILE + made)
    project.write("a.c", "a.c\n")
    project.write("h.in", "one\n")
    project.write("includes", "a.h\n")
    project.build("header")
    project.build()
    project.write("h.in", "two\n")
    project.build()
    assert project.read("a.o") == "a.c\ntwo\n"
    project.write("h.in", "one\n")
    project.build()
    assert project.read("a.o") == "a.c\none\n"
    assert project.build().by_status("fresh") == ["header", "object"]


def test_its_table_needs_a_size(project: Project) -> None:
    project.taskfile("[bt]\ncache = {}\n" + CHAIN)
    assert "`cache` needs `size`" in project.bt("build").err
    project.taskfile('[bt.cache]\nsize = "much"\n' + CHAIN)
    assert project.bt("build").code == 2
