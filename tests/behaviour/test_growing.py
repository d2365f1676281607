"""Graphs that grow while they are built: what depends on what a job makes is worked out once that job is settled."""

from __future__ import annotations

import pytest

from support.project import Project

TABLE = """
    [tasks.tab]
    inputs = "src.csv"
    outputs = "t.csv"
    run = "cp {input} {output}"
    [tasks.row]
    foreach = { from = "t.csv" }
    outputs = "out/{name}.txt"
    run = "echo {name} {val} > {output}"
    [tasks.all]
    inputs = "out/*.txt"
    outputs = "all.txt"
    run = "cat {input} > {output}"
"""

SPLIT = """
    [tasks.split]
    inputs = "src.txt"
    outputs = "parts/*.txt"
    run = "mkdir -p parts; for p in $(cat {input}); do echo $p > parts/$p.txt; done"
    [tasks.upper]
    inputs = "parts/{p}.txt"
    outputs = "upper/{p}.txt"
    run = "tr a-z A-Z < {input} > {output}"
    [tasks.all]
    inputs = "upper/*.txt"
    outputs = "all.txt"
    run = "cat {input} > {output}"
"""


# -- tables --------------------------------------------------------------------------------------------------


def test_a_made_table_is_read_when_it_is_up_to_date(project: Project) -> None:
    project.taskfile(TABLE)
    project.write("src.csv", "name,val\na,1\nb,1\n")
    assert project.build().ran == ["all", "row a", "row b", "tab"]
    project.write("src.csv", "name,val\na,2\nc,1\n")
    assert "will run  tab" in project.look("build", "-n").out
    run = project.build()
    assert run.ran == ["all", "row a", "row c", "tab"]
    assert project.read("all.txt") == "a 2\nc 1\n"
    assert any("out/b.txt" in warning for warning in run.warnings)
    assert project.build().ran == []
    project.look("build", "-n", "--check")
    project.look("status", "--check")


def test_a_row_asked_for_has_all_its_columns(project: Project) -> None:
    project.taskfile(TABLE)
    project.write("src.csv", "name,val\na,1\nb,1\n")
    assert project.build("out/b.txt").ran == ["row b", "tab"]
    assert project.read("out/b.txt") == "b 1\n"
    project.write("src.csv", "name,val\na,1\nb,2\n")
    assert project.build("out/b.txt").ran == ["row b", "tab"]
    assert project.read("out/b.txt") == "b 2\n"
    run = project.bt("build", "out/zz.txt")
    assert run.code == 3
    assert "t.csv" in str(run.events)


def test_a_bad_made_table_does_not_block_its_repair(project: Project) -> None:
    project.taskfile(TABLE)
    for bad, word in (("name,val\na,1\na,2\n", "out/a.txt"), ("nom,val\na,1\n", "`{name}`")):
        project.write("src.csv", bad)
        run = project.bt("build", "-k")
        assert run.code == 1
        assert run.ran == ["tab"]
        assert word in run.out
        assert project.bt("build").code == 1
        project.look("build", "-n")
        project.write("src.csv", "name,val\na,1\n")
        assert "tab" in project.build().ran
        assert project.read("all.txt") == "a 1\n"


def test_checks_over_the_rows_of_a_made_table(project: Project) -> None:
    project.taskfile("""
        [tasks.tab]
        inputs = "src.csv"
        outputs = "t.csv"
        run = "cp {input} {output}"
        [tasks.look]
        foreach = { from = "t.csv" }
        inputs = "x"
        run = "echo {name}"
    """)
    project.write("x", "")
    project.write("src.csv", "name\na\nb\n")
    assert project.build().ran == ["look a", "look b", "tab"]
    assert project.build().ran == []


def test_a_table_of_a_table(project: Project) -> None:
    project.taskfile("""
        [tasks.one]
        inputs = "src.csv"
        outputs = "one.csv"
        run = "cp {input} {output}"
        [tasks.two]
        foreach = { from = "one.csv" }
        outputs = "o/{name}.csv"
        run = "echo x > {output}; echo {val} >> {output}"
        [tasks.three]
        foreach = { from = "o/b.csv" }
        outputs = "x/{x}"
        run = "touch {output}"
    """)
    project.write("src.csv", "name,val\nb,1\n")
    assert project.build().ran == ["one", "three 1", "two b"]
    project.write("src.csv", "name,val\nb,2\n")
    assert project.build().ran == ["one", "three 2", "two b"]
    assert project.build().ran == []


def test_a_job_must_not_overwrite_the_table_of_its_rows(project: Project) -> None:
    project.taskfile("""
        [tasks.feed]
        foreach = { from = "o/1.csv" }
        outputs = "o/{i}.csv"
        run = "echo i > {output}"
    """)
    project.write("o/1.csv", "i\n1\n2\n")
    for words in (("build",), ("check",)):
        run = project.bt(*words)
        assert run.code == 2
        assert "o/1.csv" in run.err
    assert project.read("o/1.csv") == "i\n1\n2\n"


def test_a_file_of_the_users_beside_what_a_made_table_brings(project: Project) -> None:
    project.taskfile(
        TABLE
        + """
    [tasks.mine]
    inputs = "out/mine.txt"
    outputs = "copy"
    run = "cp {input} {output}"
    """
    )
    project.write("out/mine.txt", "m\n")
    project.write("src.csv", "name,val\na,1\n")
    assert project.build().ran == ["all", "mine", "row a", "tab"]
    assert project.read("all.txt") == "a 1\nm\n"
    project.write("src.csv", "name,val\nmine,1\n")
    assert project.bt("build").code != 0
    assert project.read("out/mine.txt") == "m\n"
    assert project.bt("build").code != 0


# -- glob outputs --------------------------------------------------------------------------------------------


def test_a_file_of_the_users_among_a_glob_output_leaves_the_graph(project: Project) -> None:
    project.taskfile(SPLIT)
    project.write("src.txt", "a b\n")
    project.build()
    project.write("parts/z.txt", "mine\n")
    assert project.build().ran == ["all", "upper z"]  # `split` is fresh: it is a source
    assert project.build().ran == []
    project.write("src.txt", "a c\n")
    run = project.build()
    assert run.ran == ["all", "split", "upper c"]
    assert any("`parts/z.txt` was not made by bt: kept" in warning for warning in run.warnings)
    assert project.read("all.txt") == "A\nC\n"
    assert project.build().ran == []
    project.write("parts/z.txt", "mine\n")
    assert project.build("-B").ran == ["all", "split", "upper a", "upper c"]
    assert project.read("all.txt") == "A\nC\n"
    assert project.build().ran == []


def test_a_file_of_the_users_that_is_read_is_not_moved_away(project: Project) -> None:
    project.taskfile(SPLIT)
    project.write("src.txt", "a b\n")
    project.build()
    project.write("parts/z.txt", "mine\n")
    project.remove("parts/a.txt")
    project.remove("upper/a.txt")
    project.taskfile(SPLIT.replace("< {input}", "< {input} | cat"))
    run = project.build()
    assert run.ran == ["all", "split", "upper a", "upper b", "upper z"]
    assert project.read("all.txt") == "A\nB\nMINE\n"
    assert project.build().ran == []


def test_missing_intermediates_of_a_growing_graph_stay_away(project: Project) -> None:
    project.taskfile(SPLIT)
    project.write("src.txt", "a b\n")
    project.build()
    for path in ("upper/a.txt", "parts/b.txt"):
        project.remove(path)
        assert "0 will run" not in project.look("build", "-n", "--check").out
        project.look("status", "--check")
        assert project.build().ran == []
        assert not project.exists(path)
    project.write("src.txt", "a b c\n")
    assert project.build().ran == ["all", "split", "upper a", "upper c"]
    assert project.read("all.txt") == "A\nB\nC\n"


def test_a_literal_input_that_a_glob_output_does_not_bring(project: Project) -> None:
    project.taskfile(
        SPLIT
        + """
    [tasks.one]
    inputs = "parts/a.txt"
    outputs = "one"
    run = "cp {input} {output}"
    """
    )
    project.write("src.txt", "a b\n")
    project.build()
    project.write("src.txt", "b c\n")
    run = project.bt("build", "-k")
    assert run.code == 1
    assert run.failed == ["one"]
    assert run.ran == ["all", "split", "upper c"]


def test_only_runs_what_is_asked_for_alone(project: Project) -> None:
    project.taskfile(SPLIT)
    project.write("src.txt", "a b\n")
    project.build()
    project.write("src.txt", "a c\n")
    project.write("upper/b.txt", "edited\n")
    assert "will run  all" in project.look("build", "-n", "--only", "all").out
    assert project.build("--only", "all").ran == ["all"]
    assert project.read("all.txt") == "A\nedited\n"
    assert project.build("--only", "upper").ran == ["upper b"]
    assert project.build("--only", "-B", "upper").ran == ["upper a", "upper b"]
    project.look("build", "-n", "--check", "--only", "upper")
    assert project.build("--only", "split", "upper").ran == ["split", "upper c"]
    project.remove("upper/c.txt")
    project.look("build", "-n", "--only", "all", code=3)
    run = project.bt("build", "--only", "all")
    assert (run.code, run.ran) == (3, [])
    assert "upper/c.txt" in run.out


def test_only_with_a_made_list(project: Project) -> None:
    project.taskfile("""
        [tasks.plan]
        inputs = "names"
        outputs = "list"
        run = "cp {input} {output}"
        [tasks.one]
        inputs = "{n}.in"
        outputs = "{n}.one"
        run = "cp {input} {output}"
        [tasks.all]
        inputs = "@list"
        outputs = "all"
        run = "cat {input} > {output}"
    """)
    for name in "ab":
        project.write(f"{name}.in", name)
    project.write("names", "a.one\n")
    project.build()
    project.write("names", "a.one\nb.one\n")
    project.write("a.in", "c")
    assert project.build("--only", "all").ran == []
    project.remove("a.in")
    project.remove("names")
    assert project.build("--only", "-B", "all").ran == ["all"]
    project.write("names", "a.one\nb.one\n")
    project.write("a.in", "c")
    assert project.build("-B").ran == ["all", "one a", "one b", "plan"]


def test_force_runs_jobs_that_join_later(project: Project) -> None:
    project.taskfile(SPLIT)
    project.write("src.txt", "a b\n")
    project.build()
    assert project.build("-B").ran == ["all", "split", "upper a", "upper b"]
    assert project.look("build", "-n", "-B").out.endswith("4 will run\n")


def test_two_glob_outputs_that_bring_one_file(project: Project) -> None:
    project.taskfile("""
        [tasks.g]
        inputs = "i"
        outputs = "d/a*.txt"
        run = "echo g > d/ab.txt; cat i > d/ac.txt"
        [tasks.h]
        inputs = "i"
        outputs = "d/*b.txt"
        run = "echo h > d/ab.txt"
    """)
    for text in ("1", "1", "2"):
        project.write("i", text)
        run = project.bt("build", "-k", "-j2")
        assert run.code == 1
        [failed] = run.failed
        other = {"g": "h", "h": "g"}[failed]
        assert f"it wrote `d/ab.txt`, which `{other}` makes" in run.out
        assert project.read("d/ab.txt") == f"{other}\n"


def test_a_glob_output_that_writes_over_a_literal_one(project: Project) -> None:
    project.taskfile("""
        [tasks.a]
        inputs = "i"
        outputs = "p/*.o"
        run = "cat i > p/x.o; cat i > p/q.o"
        [tasks.b]
        outputs = "p/q.o"
        run = "echo b > {output}"
    """)
    project.write("i", "1")
    project.build("b")
    for text in "123":
        project.write("i", text)
        run = project.bt("build", "-k", "-j1")
        assert run.code == 1
        assert run.failed == ["a"]
        assert "it wrote `p/q.o`, which `b` makes" in run.out
        assert project.read("p/q.o") == "b\n"
    project.taskfile(project.read("Taskfile.toml").replace("; cat i > p/q.o", ""))
    assert project.build().ran == ["a"]
    assert project.build().ran == []


# -- found inputs --------------------------------------------------------------------------------------------

FOUND = """
    [tasks.gen]
    inputs = "hdr.in"
    outputs = "gen.h"
    run = "cp {input} {output}"
    [tasks.obj]
    inputs = "a.c"
    outputs = "a.o"
    depfile = "a.d"
    run = "cat a.c gen.h > a.o; echo a.o: a.c gen.h /usr/include/x.h > a.d"
"""


def test_a_found_header_that_is_gone_and_comes_back_is_told_as_that(project: Project) -> None:
    project.taskfile(
        """
        [tasks.obj]
        inputs = "a.c"
        outputs = "a.o"
        depfile = "a.d"
        run = "cat a.c *.h > a.o; echo a.o: a.c my.h > a.d"
        """
    )
    project.write("a.c", "c")
    project.write("my.h", "h")
    project.build()
    project.remove("my.h")
    assert "  found input my.h is gone\n" in project.look("why", "obj").out
    assert project.bt("build").failed == ["obj"]
    project.taskfile(project.read("Taskfile.toml").replace("*.h", "").replace(" ", "  ", 1))
    project.build()
    project.write("my.h", "h")
    assert "  new found input my.h\n" in project.look("why", "obj").out


def test_a_found_header_is_brought_up_to_date_first(project: Project) -> None:
    project.taskfile(FOUND)
    project.write("a.c", "c\n")
    project.write("hdr.in", "1\n")
    project.build("gen")
    project.build("obj")
    assert project.build("obj").ran == []
    project.write("hdr.in", "2\n")
    assert "may run   obj" in project.look("build", "-n", "obj").out
    assert "gen" in project.look("why", "obj").out
    assert project.build("obj").ran == ["gen", "obj"]
    assert project.read("a.o") == "c\n2\n"
    project.remove("gen.h")
    assert "obj" not in project.look("build", "-n").out.replace("may run   obj", "")
    assert project.build("obj").ran == ["gen"]
    assert project.read("gen.h") == "2\n"
    project.look("build", "-n", "--check")
    project.taskfile(
        FOUND
        + """
    [tasks.use]
    inputs = "gen.h"
    outputs = "use"
    run = "cp {input} {output}"
    """
    )
    assert project.build().ran == ["use"]
    project.remove("gen.h")
    project.look("build", "-n", "--check")
    assert project.build().ran == []
    project.write("a.c", "cc\n")
    assert project.build("obj").ran == ["gen", "obj"]


def test_a_found_header_that_a_wildcard_could_make_is_gone(project: Project) -> None:
    project.taskfile("""
        [tasks.h]
        inputs = "{x}.in"
        outputs = "{x}.h"
        run = "cp {input} {output}"
        [tasks.obj]
        inputs = "a.c"
        outputs = "a.o"
        depfile = "a.d"
        run = "cat *.c *.h > a.o; echo a.o: $(ls *.h) > a.d"
    """)
    for name in ("a.c", "x.h", "y.h"):
        project.write(name, name)
    project.build("obj")
    project.remove("y.h")
    assert project.build("obj").reasons["obj"] == ["found input y.h is gone"]
    assert project.build("obj").ran == []


def test_jobs_that_find_each_other_do_not_hang(project: Project) -> None:
    project.taskfile("""
        [tasks.x]
        outputs = "x.o"
        depfile = "x.d"
        run = "echo x > x.o; echo x.o: y.o > x.d"
        [tasks.y]
        outputs = "y.o"
        depfile = "y.d"
        run = "echo y > y.o; echo y.o: x.o > y.d"
    """)
    for count in ("-j1", "-j2"):
        run = project.build(count, "-B")
        assert run.ran == ["x", "y"]
        assert any("made from what it makes" in warning for warning in run.warnings)
    assert project.build().ran == []


def test_a_list_that_names_the_output_of_its_reader(project: Project) -> None:
    project.write("slst", "m\n")
    static = """
        [tasks.m]
        inputs = "@slst"
        outputs = "m"
        run = "touch m"
    """
    made = (
        static.replace("@slst", "@mlst")
        + """
        [tasks.l]
        inputs = "slst"
        outputs = "mlst"
        run = "cp {input} {output}"
    """
    )
    far = (
        made.replace('outputs = "m"', 'outputs = "n"')
        + """
        [tasks.n]
        inputs = "n"
        outputs = "m"
        run = "touch m"
    """
    )
    for text, ran in ((static, []), (made, ["l"]), (far, ["l"])):
        project.taskfile(text)
        run = project.bt("build", "-B")
        assert run.code == 3
        assert run.ran == ran
        assert "wait" in run.out + run.err


# -- what follows --------------------------------------------------------------------------------------------


def test_orphans_behind_a_glob_output_can_be_removed(project: Project) -> None:
    project.taskfile(SPLIT)
    project.write("src.txt", "a b c\n")
    project.build()
    project.write("src.txt", "c\n")
    assert any("2 orphans" in warning for warning in project.build().warnings)
    out = project.bt("clean", "--orphans").out
    assert out.splitlines() == ["removed upper/a.txt", "removed upper/b.txt", "removed 2 outputs"]
    assert project.build().ran == []


def test_temp_with_a_glob_output(project: Project) -> None:
    project.taskfile(SPLIT.replace('outputs = "parts/*.txt"', 'outputs = "parts/*.txt"\n    temp = true'))
    project.write("src.txt", "a b\n")
    assert project.build().ran == ["all", "split", "upper a", "upper b"]
    assert project.files() == ["Taskfile.toml", "all.txt", "src.txt", "upper/a.txt", "upper/b.txt"]
    project.look("build", "-n", "--check")
    assert project.build().ran == []
    project.remove("upper/a.txt")
    project.look("build", "-n", "--check")
    assert project.build().ran == []
    assert project.build("upper/a.txt").ran == ["split", "upper a"]
    assert not project.exists("parts/b.txt")
    project.write("src.txt", "b c\n")
    assert project.build().ran == ["all", "split", "upper c"]
    assert project.read("all.txt") == "B\nC\n"


def test_other_commands_know_the_jobs_of_a_made_table(project: Project) -> None:
    project.taskfile(TABLE)
    project.write("src.csv", "name,val\na,1\nb,1\n")
    project.build()
    project.look("log", "row")
    assert '"fresh": 2}}' in project.look("status", "row", "--json").out
    assert "out/b.txt" in project.look("graph").out
    project.write("out/a.txt", "by hand\n")
    assert "accepted row a" in project.bt("accept", "row").out
    assert project.build("row").ran == []
    assert project.build().ran == ["all"]
    assert project.read("all.txt") == "by hand\nb 1\n"
    cleaned = ["removed out/b.txt", "kept out/a.txt: it was accepted, not made"]
    assert project.bt("clean", "row").out.splitlines()[:2] == cleaned
    assert project.exists("t.csv")


def test_a_set_that_may_come_out_as_it_was_is_no_certain_reason(project: Project) -> None:
    """Files that a stale job made meanwhile: nobody knows yet whether it makes them again."""
    project.taskfile("""
        [tasks.split]
        inputs = "base"
        outputs = "parts/*.txt"
        run = "for x in $(cat base); do echo $x > parts/$x.txt; done"

        [tasks.names]
        inputs = "parts/*.txt"
        outputs = "names"
        run = "ls {input} > names"

        [tasks.list]
        inputs = "text"
        outputs = "made.list"
        run = "cp text made.list"

        [tasks.book]
        inputs = "@made.list"
        outputs = "book"
        run = "cat {input} > book"

        [tasks.gen]
        inputs = "text"
        outputs = "gen.h"
        run = "cp text gen.h"

        [tasks.obj]
        inputs = "a.c"
        outputs = "a.o"
        depfile = "a.d"
        run = "cat a.c > a.o; echo 'a.o: a.c gen.h' > a.d"
    """)
    project.write("a.c", "a")
    project.write("base", "a b")
    project.write("text", "a.c\n")
    project.build()
    project.build()
    project.write("base", "a b c")
    project.write("text", "a.c\nbase\n")
    project.build("split", "list", "gen")
    project.write("base", "a b")
    project.write("text", "a.c\n")
    told = project.look("build", "-n").out.splitlines()
    assert [line.split()[:3] for line in told[:-1]] == [
        ["will", "run", "split"],
        ["may", "run", "names"],
        ["will", "run", "list"],
        ["may", "run", "book"],
        ["will", "run", "gen"],
        ["may", "run", "obj"],
    ]
    assert project.build().ran == ["gen", "list", "split"]


def test_a_value_behind_globs_on_both_sides_is_gone(project: Project) -> None:
    project.taskfile("""
        [tasks.split]
        inputs = "src.txt"
        outputs = "raw/*/*.r"
        run = "for p in $(cat {input}); do mkdir -p raw/$p; echo $p > raw/$p/1.r; done"
        [tasks.per]
        inputs = ["x.txt", "raw/{d}/*.r"]
        outputs = "per/{d}.txt"
        run = "cat {input} > {output}"
        [tasks.all]
        inputs = "per/*.txt"
        outputs = "all.txt"
        run = "cat {input} > {output}"
    """)
    project.write("x.txt", "x\n")
    project.write("src.txt", "a b\n")
    project.build()
    project.write("src.txt", "a\n")
    run = project.build()
    assert run.ran == ["all", "split"]
    assert any("per/b.txt" in warning for warning in run.warnings)
    assert project.read("all.txt") == "x\na\n"
    project.look("build", "-n", "--check")
    assert project.build().ran == []


@pytest.mark.parametrize("between", [True, False])
def test_a_file_in_the_place_of_what_a_glob_output_brought_is_read(project: Project, between: bool) -> None:
    project.taskfile(SPLIT)
    project.write("src.txt", "a b\n")
    project.build()
    project.write("src.txt", "a\n")
    if between:
        project.build()
    project.write("upper/b.txt", "mine\n")
    assert "all" in project.build().ran
    assert project.read("all.txt") == "A\nmine\n"
    project.look("build", "-n", "--check")
    assert project.build().ran == []


# -- globs asked for -----------------------------------------------------------------------------------------


LATE = """
    [tasks.exp]
    outputs = "exp/*.e"
    run = "echo 1 > exp/q.e"
    [tasks.fin]
    inputs = "exp/{e}.e"
    outputs = "fin/{e}.f"
    run = "echo {e} > {output}"
    [tasks.l]
    inputs = "names"
    outputs = "l.txt"
    run = "cp names l.txt"
    [tasks.r]
    foreach = { x = "@l.txt" }
    outputs = "r/{x}.f"
    run = "echo {x} > {output}"
    [tasks.rest]
    outputs = "rest"
    run = "echo > {output}"
"""


@pytest.mark.parametrize("how", ["words", "default"])
def test_a_glob_that_is_asked_for_gets_what_others_decide(project: Project, how: str) -> None:
    globs = ["fin/*.f", "r/*.f"]
    project.taskfile((f"[bt]\ndefault = {globs}\n" if how == "default" else "") + LATE)
    words = globs if how == "words" else []
    project.write("names", "a\nb\n")
    assert project.build(*words).ran == ["exp", "fin q", "l", "r a", "r b"]
    assert project.files() == ["Taskfile.toml", "exp/q.e", "fin/q.f", "l.txt", "names", "r/a.f", "r/b.f"]
    assert project.build(*words).ran == []
    project.remove("r/b.f")
    project.write("names", "b\nc\n")
    told = project.look("build", "-n", *words).out
    assert "will run  l " in told
    assert "may run   r b " in told
    assert project.build(*words).ran == ["l", "r b", "r c"]
    project.remove("r/b.f")
    assert "will run  r b" in project.look("build", "-n", *words).out
    assert project.build(*words).ran == ["r b"]


def test_the_pattern_of_an_output_glob_can_be_asked_for(project: Project) -> None:
    project.taskfile(LATE)
    assert project.build("exp/*.e").ran == ["exp"]
    assert project.build("exp/*.e").ran == []
    project.remove("exp/q.e")
    assert project.build("exp/*.e").ran == ["exp"]
    assert project.build("exp/").ran == []


def test_a_directory_that_is_asked_for_gets_what_others_decide(project: Project) -> None:
    project.taskfile(LATE)
    project.write("names", "a\n")
    assert project.build("r/").ran == ["l", "r a"]
    project.write("names", "a\nb\n")
    assert project.build("r").ran == ["l", "r b"]
    assert project.build("--only", "-B", "r/").ran == ["r a", "r b"]


def test_a_glob_that_comes_to_match_nothing_is_told(project: Project) -> None:
    project.taskfile(LATE)
    project.write("names", "a\n")
    for _ in range(2):
        run = project.bt("build", "r/no*.f")
        assert run.code == 3
        assert "`r/no*.f` matches nothing" in run.out
    assert "`r/no*.f` matches nothing" in project.look("build", "-n", "r/no*.f", code=3).err


def test_clean_takes_what_a_late_glob_matches_and_no_more(project: Project) -> None:
    project.taskfile(LATE)
    project.write("names", "a\n")
    project.build()
    assert project.bt("clean", "r/*.f").out.splitlines()[:-1] == ["removed r/a.f"]
    assert project.build().ran == ["r a"]
    assert project.bt("clean", "fin/*.f").out.splitlines()[:-1] == ["removed fin/q.f"]
    assert project.bt("clean", "exp/*.e").out.splitlines()[:-1] == ["removed exp/q.e"]
    assert "r a" in project.look("why", "r/*.f").out


@pytest.mark.parametrize("word", ["fin/nope.f", "exp/nope.e", "r/nope.f"])
def test_a_target_that_turns_out_not_to_be_made_is_missing(project: Project, word: str) -> None:
    project.taskfile(LATE)
    project.write("names", "a\n")
    for _ in range(2):
        run = project.bt("build", word)
        assert run.code == 3
        assert "nope" in run.out
    assert "not run yet" in project.look("history", "r/*.f").err
