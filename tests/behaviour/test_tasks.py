"""Every task key, in a short story each."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from support.project import Project


def test_wildcards_make_one_job_a_value(project: Project) -> None:
    project.taskfile("""
        [tasks.count]
        inputs = "raw/{sample}.txt"
        outputs = "build/{sample}.n"
        run = "wc -l < {input} > {output}"
        [tasks.sum]
        inputs = "build/*.n"
        outputs = "total"
        run = "cat {input} > {output}"
    """)
    for name in "ABC":
        project.write(f"raw/{name}.txt", f"{name}\n")
    assert project.build("-j2").ran == ["count A", "count B", "count C", "sum"]
    project.write("raw/B.txt", "x\ny\n")
    assert project.build().ran == ["count B", "sum"]
    project.write("raw/D.txt", "x\n")
    run = project.build()
    assert run.ran == ["count D", "sum"]
    assert run.reasons["sum"] == ["new input build/D.n", "the command changed"]
    project.remove("raw/A.txt")
    run = project.build()
    assert run.ran == ["sum"]
    assert run.reasons["sum"] == ["input build/A.n is gone", "the command changed"]
    assert any("orphan" in w and "build/A.n" in w for w in run.warnings)
    assert project.read("total").count("\n") == 3


def test_a_file_asked_for_fills_the_wildcards(project: Project) -> None:
    project.taskfile("""
        [tasks.make]
        outputs = "out/{name}.txt"
        run = "echo {name} > {output}"
    """)
    assert project.build("out/x.txt").ran == ["make x"]
    assert project.read("out/x.txt") == "x\n"
    run = project.bt("build", "make")
    assert run.code == 2
    assert "only when they are asked for" in run.err


def test_foreach_product_rows_and_table(project: Project) -> None:
    project.write("samples.csv", "s,n\nA,1\nB,2\n")
    project.taskfile("""
        [tasks.product]
        foreach = { a = ["x", "y"], b = [1, 2] }
        outputs = "p/{a}{b}"
        run = "echo {a}-{b} > {output}"
        [tasks.rows]
        foreach = [{ a = "u", b = 1 }, { a = "v", b = 2 }]
        outputs = "r/{a}"
        run = "echo {b} > {output}"
        [tasks.table]
        foreach = { from = "samples.csv" }
        outputs = "t/{s}"
        run = "echo {n} > {output}"
    """)
    assert len(project.build().ran) == 8
    assert project.read("r/v") == "2\n"
    assert project.read("t/B") == "2\n"
    assert project.bt("build", "r/w").code == 3


def test_several_outputs_are_one_job(project: Project) -> None:
    project.taskfile("""
        [tasks.split]
        inputs = "in"
        outputs = { head = "head", tail = "tail" }
        run = "head -1 {input} > {output.head}; tail -1 {input} > {output.tail}"
    """)
    project.write("in", "a\nb\n")
    assert project.build().ran == ["split"]
    project.remove("tail")
    assert project.build("tail").ran == ["split"]
    assert project.read("tail") == "b\n"


def test_named_inputs_and_indices(project: Project) -> None:
    project.taskfile("""
        [tasks.t]
        inputs = { a = "x", b = ["y", "z"] }
        outputs = "out"
        run = "echo {input.a} / {input.b} / {input.b[1]} / {inputs[0]} > {output}"
    """)
    for name in "xyz":
        project.write(name, name)
    project.build()
    assert project.read("out") == "x / y z / z / x\n"


def test_directory_output_and_input(project: Project) -> None:
    project.taskfile("""
        [tasks.make]
        inputs = "n"
        outputs = "pages/"
        run = "mkdir -p pages; for i in $(seq $(cat n)); do echo $i > pages/$i.txt; done"
        [tasks.use]
        inputs = "pages/"
        outputs = "list"
        run = "ls pages > {output}"
        [tasks.one]
        inputs = "pages/1.txt"
        outputs = "first"
        run = "cp {input} {output}"
    """)
    project.write("n", "2\n")
    assert project.build().ran == ["make", "one", "use"]
    assert project.build().ran == []
    project.write("n", "1\n")
    assert project.build().ran == ["make", "use"]
    assert project.read("list") == "1.txt\n"
    project.write("pages/stray.txt", "x")
    run = project.build()
    assert run.ran == ["make"]
    assert not project.exists("pages/stray.txt")


@pytest.mark.parametrize("pattern", ["pages/*.txt", "pages/**", "pages/sub/*.txt"])
def test_a_pattern_finds_what_is_made_in_a_directory(project: Project, pattern: str) -> None:
    """Whatever the order of the tasks, from the first build on."""
    project.taskfile(f"""
        [tasks.use]
        inputs = "{pattern}"
        outputs = "list"
        run = "cat {{input}} > {{output}}"
        [tasks.each]
        inputs = "{pattern.replace("*.txt", "{n}.txt").replace("**", "{n}.txt")}"
        outputs = "each/{{n}}"
        run = "cp {{input}} {{output}}"
        [tasks.make]
        inputs = "n"
        outputs = "pages/"
        run = "mkdir -p pages/sub; for i in $(seq $(cat n)); do echo $i | tee pages/$i.txt > pages/sub/$i.txt; done"
    """)
    project.write("n", "2\n")
    assert project.build("-j2").ran == ["each 1", "each 2", "make", "use"]
    assert project.build().ran == []
    assert {*project.read("list").split()} == {"1", "2"}
    project.write("n", "3\n")
    assert project.build().ran == ["each 3", "make", "use"]
    project.write("n", "1\n")
    assert project.build().ran == ["make", "use"]
    assert project.read("each/1") == "1\n"
    assert {*project.read("list").split()} == {"1"}
    assert project.build().ran == []
    project.look("check")


def test_a_pattern_in_a_directory_that_the_job_itself_makes_finds_what_people_wrote_there(
    project: Project,
) -> None:
    project.taskfile("""
        [tasks.site]
        inputs = "site/src/*.md"
        outputs = "site/"
        keep = true
        run = "cat {input} > site/index"
    """)
    project.write("site/src/a.md", "a\n")
    assert project.build().ran == ["site"]
    assert project.build().ran == []
    project.write("site/src/b.md", "b\n")
    assert project.build().ran == ["site"]
    assert project.read("site/index") == "a\nb\n"
    assert project.build().ran == []


def test_glob_output_is_whatever_appears(project: Project) -> None:
    project.taskfile("""
        [tasks.split]
        inputs = "all"
        outputs = "parts/*.txt"
        run = "while read x; do echo $x > parts/$x.txt; done < {input}"
        [tasks.join]
        inputs = "parts/*.txt"
        outputs = "joined"
        run = "cat {input} > {output}"
    """)
    project.write("all", "b\na\n")
    assert project.build().ran == ["join", "split"]
    assert project.read("joined") == "a\nb\n"
    assert project.build().ran == []
    project.write("all", "c\n")
    assert project.build().ran == ["join", "split"]
    assert project.read("joined") == "c\n"
    assert project.files() == ["Taskfile.toml", "all", "joined", "parts/c.txt"]


def test_a_list_file_names_inputs_that_are_built(project: Project) -> None:
    project.taskfile("""
        [tasks.plan]
        inputs = "catalogue"
        outputs = "work/parts.list"
        run = "sed s,^,work/, {input} > {output}"
        [tasks.fetch]
        outputs = "work/{part}.bin"
        run = "echo {part} > {output}"
        [tasks.merge]
        inputs = "@work/parts.list"
        outputs = "merged"
        run = "cat {input} > {output}"
    """)
    project.write("catalogue", "b.bin\na.bin\n")
    assert project.build().ran == ["fetch a", "fetch b", "merge", "plan"]
    assert project.read("merged") == "b\na\n"
    assert project.build().ran == []
    project.write("catalogue", "b.bin\nc.bin\n")
    assert project.build().ran == ["fetch c", "merge", "plan"]
    assert project.read("merged") == "b\nc\n"


def test_needs_count_and_are_not_passed_on(project: Project) -> None:
    project.taskfile("""
        [tasks.tool]
        inputs = "tool.in"
        outputs = "tool"
        run = "cp {input} {output}"
        [tasks.use]
        inputs = "data"
        needs = ["tool"]
        outputs = "out"
        run = "echo {input} $(cat tool) > {output}"
    """)
    project.write("tool.in", "1\n")
    project.write("data", "x\n")
    assert project.build("out").ran == ["tool", "use"]
    assert project.read("out") == "data 1\n"
    project.write("tool.in", "2\n")
    assert project.build("out").ran == ["tool", "use"]


def test_after_is_order_only(project: Project) -> None:
    project.taskfile("""
        [tasks.first]
        inputs = "a"
        outputs = "first"
        run = "cp {input} {output}; echo first >> log"
        [tasks.second]
        after = ["first"]
        outputs = "second"
        run = "echo second >> log; echo > {output}"
    """)
    project.write("a", "1\n")
    project.build("second")
    assert project.read("log") == "first\nsecond\n"
    project.write("a", "2\n")
    assert project.build("second").ran == ["first"]


def test_group_check_and_command(project: Project) -> None:
    project.taskfile("""
        [tasks.make]
        inputs = "src"
        outputs = "out"
        run = "cp {input} {output}"
        [tasks.lint]
        inputs = "src"
        run = "grep -q good {input}"
        [tasks.all]
        needs = ["make", "lint"]
        [tasks.hello]
        run = "echo hello {args}"
    """)
    project.write("src", "good\n")
    assert project.build("all").ran == ["lint", "make"]
    assert project.build("all").ran == []
    assert project.build().ran == []
    project.write("src", "bad\n")
    run = project.bt("build", "-k")
    assert (run.code, run.failed, run.ran) == (1, ["lint"], ["make"])
    assert project.bt("build").failed == ["lint"]
    assert project.build("hello").ran == ["hello"]
    assert project.build("hello").ran == ["hello"]


def test_args_reach_the_command(project: Project) -> None:
    project.taskfile("""
        [tasks.say]
        run = "printf '[%s]' {args} > said"
    """)
    project.build("say", "--", "a b", "-x", "$(id)")
    assert project.read("said") == "[a b][-x][$(id)]"


def test_args_of_a_call_from_python(project: Project) -> None:
    project.taskfile("""
        [tasks.say]
        run = "printf '[%s]' {args} > said"
    """)
    code = "from buildtool.cli.main import run; run(['build', 'say', '--', 'a b', '--', '-x'])"
    subprocess.run([sys.executable, "-c", code, "--", "z"], cwd=project.folder, check=True)
    assert project.read("said") == "[a b][--][-x]"


def test_depfile(project: Project) -> None:
    project.taskfile("""
        [tasks.obj]
        inputs = "src/{n}.c"
        outputs = "{n}.o"
        depfile = "{n}.d"
        run = "cat src/*.h {input} > {output}; echo {output}: {input} $(ls src/*.h) > {depfile}"
    """)
    project.write("src/a.c", "a\n")
    project.write("src/x.h", "x\n")
    project.write("src/y.h", "y\n")
    assert project.build().ran == ["obj a"]
    assert not project.exists("a.d")
    assert project.build().ran == []
    project.write("src/x.h", "xx\n")
    run = project.build()
    assert run.reasons["obj a"] == ["found input src/x.h changed"]
    project.remove("src/y.h")
    assert project.build().reasons["obj a"] == ["found input src/y.h is gone"]
    assert project.build().ran == []


def test_a_generated_header_found_by_depfile_orders(project: Project) -> None:
    project.taskfile("""
        [tasks.obj]
        inputs = "a.c"
        outputs = "a.o"
        depfile = "a.d"
        run = "cat a.c gen.h > a.o; echo a.o: a.c gen.h > a.d"
        after = ["gen.h"]
        [tasks.gen]
        inputs = "gen.in"
        outputs = "gen.h"
        run = "cp {input} {output}"
    """)
    project.write("a.c", "a\n")
    project.write("gen.in", "1\n")
    project.build()
    project.taskfile(project.read("Taskfile.toml").replace('after = ["gen.h"]\n', ""))
    project.write("gen.in", "2\n")
    assert project.build("-j2").ran == ["gen", "obj"]
    assert project.read("a.o") == "a\n2\n"
    assert project.build().ran == []


def test_track(project: Project) -> None:
    project.taskfile("""
        [tasks.t]
        outputs = "out"
        track = { env = ["CC"], cmd = ["cat version"], files = ["conf/*.yml"] }
        run = "echo ${CC:-none} > {output}"
    """)
    project.write("version", "1\n")
    project.write("conf/a.yml", "1\n")
    assert project.build().ran == ["t"]
    assert project.build().ran == []
    assert project.build(env={"CC": "gcc"}).reasons["t"] == ["tracked variable CC changed from unset to gcc"]
    assert project.read("out") == "gcc\n"
    project.write("version", "2\n")
    assert project.build(env={"CC": "gcc"}).reasons["t"] == ["output of cat version changed"]
    project.write("conf/b.yml", "1\n")
    assert project.build(env={"CC": "gcc"}).reasons["t"] == ["new tracked file conf/b.yml"]


@pytest.mark.parametrize(
    ("ignore", "change"),
    [
        ("command", ('"echo x', '"echo  y')),
        ("params", ("k = 1", "k = 2")),
        ("env", ('E = "1"', 'E = "2"')),
        ("inputs.ref", None),
    ],
)
def test_ignore(project: Project, ignore: str, change: tuple[str, str] | None) -> None:
    project.taskfile(f"""
        [tasks.t]
        inputs = {{ ref = "ref", data = "data" }}
        outputs = "out"
        params = {{ k = 1 }}
        env = {{ E = "1" }}
        ignore = ["{ignore}"]
        run = "echo x > {{output}}"
    """)
    project.write("ref", "1")
    project.write("data", "1")
    project.build()
    if change is None:
        project.write("ref", "2")
    else:
        project.taskfile(project.read("Taskfile.toml").replace(*change))
    assert project.build().ran == []
    project.write("data", "2")
    assert project.build().ran == ["t"]


def test_params_in_run_and_set(project: Project) -> None:
    project.taskfile("""
        [vars]
        who = "world"
        [tasks.t]
        outputs = "out"
        params = { k = 21, words = ["a b", "c"] }
        run = "printf '[%s]' {params.k} {params.words} {vars.who} > {output}"
    """)
    project.build()
    assert project.read("out") == "[21][a b][c][world]"
    run = project.build("-s", "k=22", "-s", "who=you")
    assert project.read("out") == "[22][a b][c][you]"
    assert "parameter k changed from 21 to 22" in run.reasons["t"]
    run = project.bt("build", "-s", "kk=1")
    assert run.code == 2
    assert "did you mean `k`" in run.err


def test_retries_and_timeout(project: Project) -> None:
    project.taskfile("""
        [tasks.flaky]
        outputs = "out"
        retries = 2
        run = "echo x >> tries; [ $(wc -l < tries) = 3 ]; cp tries out"
        [tasks.slow]
        outputs = "never"
        timeout = "50ms"
        run = "sleep 60"
    """)
    assert project.build("flaky").ran == ["flaky"]
    run = project.bt("build", "slow")
    assert run.code == 1
    assert run.finished["slow"]["error"].startswith("timed out")


def test_pools_limit_and_priority_orders(project: Project) -> None:
    project.taskfile("""
        [bt]
        pools = { db = 1 }
        [tasks.t]
        foreach = { n = [1, 2, 3, 4] }
        outputs = "o/{n}"
        resources = { db = 1 }
        run = "mkdir lock; echo {n} > {output}; rmdir lock"
        [tasks.urgent]
        outputs = "o/urgent"
        priority = 5
        resources = { db = 1 }
        run = "ls o | wc -l > {output}"
    """)
    assert len(project.build("-j8").ran) == 5


def test_unknown_pool_is_an_error(project: Project) -> None:
    project.taskfile("""
        [bt]
        pools = { database = 1 }
        [tasks.t]
        outputs = "o"
        resources = { databse = 1 }
        run = "echo > o"
    """)
    run = project.bt("build")
    assert run.code == 2
    assert "Taskfile.toml:5" in run.err
    assert "did you mean `database`" in run.err


def test_cpus_placeholder_is_how_it_runs_not_what(project: Project) -> None:
    project.taskfile("""
        [tasks.t]
        outputs = "out"
        resources = { cpus = 3 }
        run = "echo {cpus} > {output}"
    """)
    project.build("-j4")
    assert project.read("out") == "3\n"
    assert project.build("-j2").ran == []
    project.remove("out")
    project.build("-j2")
    assert project.read("out") == "2\n"


def test_temp_outputs_go_after_their_last_consumer(project: Project) -> None:
    project.taskfile("""
        [tasks.big]
        inputs = "src"
        outputs = "big"
        temp = true
        run = "cp {input} {output}"
        [tasks.a]
        inputs = "big"
        outputs = "a"
        run = "cp {input} {output}"
        [tasks.b]
        inputs = ["big", "a"]
        outputs = "b"
        run = "cat {input} > {output}"
    """)
    project.write("src", "1\n")
    assert project.build().ran == ["a", "b", "big"]
    assert not project.exists("big")
    assert project.build().ran == []
    project.remove("a")
    run = project.build("a")
    assert run.ran == ["a", "big"]
    assert not project.exists("big")
    assert project.build("big").ran == ["big"]
    assert project.exists("big")


def test_keep_leaves_outputs_to_be_updated(project: Project) -> None:
    project.taskfile("""
        [tasks.log]
        inputs = "in"
        outputs = "grown"
        keep = true
        run = "cat {input} >> {output}"
        [tasks.new]
        inputs = "in"
        outputs = "new"
        run = "cat {input} >> {output}"
    """)
    project.write("in", "1\n")
    project.build()
    project.write("in", "2\n")
    project.build()
    assert project.read("grown") == "1\n2\n"
    assert project.read("new") == "2\n"


def test_always_and_max_age(project: Project) -> None:
    project.taskfile("""
        [tasks.version]
        outputs = "version"
        always = true
        run = "cat v > {output}"
        [tasks.use]
        inputs = "version"
        outputs = "out"
        run = "cp {input} {output}"
        [tasks.old]
        outputs = "old"
        max_age = "1d"
        run = "echo > {output}"
        [tasks.older]
        outputs = "older"
        max_age = 0
        run = "echo > {output}"
    """)
    project.write("v", "1\n")
    project.build()
    run = project.build()
    assert run.ran == ["older", "version"]
    assert run.reasons == {"version": ["always runs"], "older": ["older than its `max_age`"]}
    project.write("v", "2\n")
    assert project.build().ran == ["older", "use", "version"]


def test_environment(project: Project) -> None:
    project.write("secret.env", "# comment\nexport TOKEN='a b'\nPLAIN=x # why\n")
    project.taskfile("""
        [bt]
        pass_env = ["AWS_*"]
        [env]
        LC_ALL = "C"
        BOTH = "global"
        [tasks.t]
        foreach = { n = ["1"] }
        outputs = "out{n}"
        env = { BOTH = "own {n}" }
        dotenv = "secret.env"
        run = "echo $LC_ALL,$BOTH,$TOKEN,$PLAIN,${AWS_KEY-},${HIDDEN-} > {output}"
    """)
    project.build(env={"AWS_KEY": "k", "HIDDEN": "h"})
    assert project.read("out1") == "C,own 1,a b,x,k,\n"
    project.write("secret.env", "TOKEN=new\nPLAIN=x\n")
    assert project.build().reasons["t 1"] == ["environment variable TOKEN changed from a b to new"]


def test_a_hidden_variable_is_named_when_it_is_missed(project: Project) -> None:
    project.taskfile("""
        [tasks.t]
        outputs = "out"
        run = "echo $HIDDEN > {output}"
    """)
    run = project.bt("build", env={"HIDDEN": "h"})
    assert run.code == 1
    assert "`$HIDDEN` is set here but not passed to jobs" in run.finished["t"]["details"][0]


def test_cwd_makes_paths_relative_to_it(project: Project) -> None:
    project.taskfile("""
        [tasks.t]
        inputs = "a/in"
        outputs = "b/out"
        cwd = "a"
        run = "pwd | sed 's,.*/,,' > {output}; cat {input} >> {output}; echo {input} >> {output}"
    """)
    project.write("a/in", "x\n")
    project.build()
    assert project.read("b/out") == "a\nx\nin\n"


def test_shell(project: Project) -> None:
    project.taskfile("""
        [bt]
        shell = "sh"
        [tasks.strict]
        outputs = "a"
        shell = "bash"
        run = "false | true; echo > a"
        [tasks.plain]
        outputs = "b"
        run = "false | true; echo > b"
        [tasks.lines]
        outputs = "c"
        run = ["x=1", "echo $x > c"]
    """)
    run = project.bt("build", "-k")
    assert (run.failed, run.ran) == (["strict"], ["lines", "plain"])
    assert project.read("c") == "1\n"


def test_variables_of_all_kinds(project: Project) -> None:
    project.write("samples.csv", "id,x\nA,1\nB,2\n")
    project.write("lines.txt", "l1\n\nl2\n")
    project.write("raw/r1.fq", "")
    project.write("raw/r2.fq", "")
    project.taskfile("""
        [vars]
        dir = "build"
        deep = "{vars.dir}/deep"
        listed = ["p", "q"]
        ids = { csv = "samples.csv", column = "id" }
        lines = { lines = "lines.txt" }
        globbed = { glob = "raw/{id}.fq" }
        shell = { sh = "echo from shell" }
        [tasks.t]
        outputs = ["{vars.deep}/{vars.listed}.txt", "{vars.ids}.id"]
        run = '''
        touch {output}
        printf '[%s]' {vars.dir} {vars.listed} {vars.ids} {vars.lines} {vars.globbed} {vars.shell} > said
        '''
    """)
    project.build()
    assert project.read("said") == "[build][p][q][A][B][l1][l2][r1][r2][from shell]"
    assert project.exists("build/deep/q.txt")
    assert project.exists("B.id")


def test_include(project: Project) -> None:
    project.taskfile("""
        include = ["rules/*.toml"]
        [vars]
        x = "1"
    """)
    project.write("rules/a.toml", '[tasks.a]\noutputs = "a"\nrun = "echo {vars.x} > {output}"\n')
    assert project.build().ran == ["a"]
    project.write("rules/b.toml", '[tasks.a]\noutputs = "b"\nrun = "echo > b"\n')
    run = project.bt("build")
    assert run.code == 2
    assert "rules/a.toml:1" in run.err
    assert "rules/b.toml:1" in run.err


def test_renaming_a_task_runs_nothing(project: Project) -> None:
    project.taskfile('[tasks.old]\ninputs = "i"\noutputs = "o"\nrun = "cp {input} {output}"\n')
    project.write("i", "x")
    project.build()
    project.taskfile(project.read("Taskfile.toml").replace("old", "new"))
    assert project.build().ran == []


def test_default_targets(project: Project) -> None:
    project.taskfile("""
        [bt]
        default = ["a"]
        [tasks.a]
        outputs = "a"
        run = "echo > a"
        [tasks.b]
        outputs = "b"
        run = "echo > b"
    """)
    assert project.build().ran == ["a"]
    assert project.build("b").ran == ["b"]


def test_only_and_force(project: Project) -> None:
    project.taskfile("""
        [tasks.a]
        inputs = "i"
        outputs = "a"
        run = "cp {input} {output}"
        [tasks.b]
        inputs = "a"
        outputs = "b"
        run = "cp {input} {output}"
    """)
    project.write("i", "1\n")
    project.build()
    project.write("i", "2\n")
    assert project.build("--only", "b").ran == []
    assert project.build("-B", "--only", "b").ran == ["b"]
    assert project.build("-B", "b").ran == ["a", "b"]


def test_keep_going(project: Project) -> None:
    project.taskfile("""
        [tasks.bad]
        outputs = "bad"
        run = "exit 7"
        priority = 9
        [tasks.behind]
        inputs = "bad"
        outputs = "behind"
        run = "cp {input} {output}"
        [tasks.good]
        outputs = "good"
        run = "echo > good"
    """)
    run = project.bt("build", "-j1")
    assert (run.code, run.failed, run.ran) == (1, ["bad"], [])
    run = project.bt("build", "-j1", "-k")
    assert (run.code, run.failed, run.ran) == (1, ["bad"], ["good"])
    assert run.by_status("skipped") == ["behind"]
    assert run.summary["failed"] == 1
    assert run.summary["skipped"] == 1
    assert run.summary["exit_code"] == 1
    assert run.finished["bad"]["error"] == "exit code 7"


def test_json_events(project: Project) -> None:
    project.taskfile('[tasks.t]\noutputs = "o"\nrun = "echo said; echo > o"\n')
    run = project.build()
    kinds = [event["event"] for event in run.events]
    assert kinds == ["plan", "started", "output", "finished", "summary"]
    assert all(isinstance(event["time"], float) for event in run.events)
    finished = run.finished["t"]
    assert {"job", "task", "wildcards", "outputs", "status", "reasons", "seconds", "executor"} <= set(
        finished
    )
    assert (finished["status"], finished["outputs"], finished["executor"]) == ("ran", ["o"], "local")
    assert run.events[2]["text"] == "said\n"
    broken = project.bt("build", "nowhere")
    assert json.loads(broken.out.splitlines()[-1])["exit_code"] == broken.code == 3


def test_interactive_gets_the_terminal(project: Project) -> None:
    project.taskfile('[tasks.t]\ninteractive = true\nrun = "test -t 0 && test -t 1 && echo yes > said"\n')
    terminal = (
        f"import pty, sys; sys.exit(pty.spawn([{sys.executable!r}, '-m', 'buildtool', 'build', 't']) >> 8)"
    )
    done = subprocess.run(
        [sys.executable, "-c", terminal], cwd=project.folder, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert project.read("said") == "yes\n"


def test_interactive_does_not_disturb_events(project: Project) -> None:
    project.taskfile('[tasks.t]\ninteractive = true\nrun = "echo loud"\n')
    run = project.build("t")
    assert run.ran == ["t"]
    assert "loud" in run.err


def test_a_glob_output_takes_no_file_of_the_users_without_a_word(project: Project) -> None:
    project.taskfile("""
        [tasks.split]
        inputs = "d/all.txt"
        outputs = "d/*.txt"
        run = "echo 1 > d/one.txt"
    """)
    project.write("d/all.txt", "x")
    project.write("d/mine.txt", "mine")
    run = project.build()
    assert project.files() == ["Taskfile.toml", "d/all.txt", "d/one.txt"]
    [note] = run.warnings
    assert project.read(note.split("`")[-2]) == "mine"
    assert project.build().ran == []


def test_a_directory_read_as_a_whole_is_whole(project: Project) -> None:
    project.taskfile("""
        [tasks.part]
        foreach = { n = ["1", "2"] }
        outputs = "parts/{n}"
        run = "echo {n} > {output}"
        [tasks.pack]
        inputs = "parts/"
        outputs = "packed"
        run = "cat parts/* > {output}"
    """)
    assert project.build().ran == ["pack", "part 1", "part 2"]
    project.remove("parts/1")
    assert project.build().ran == ["part 1"]
    assert project.read("packed") == "1\n2\n"


def test_an_output_directory_belongs_to_one_job(project: Project) -> None:
    project.taskfile("""
        [tasks.whole]
        outputs = "site/"
        run = "mkdir -p site"
        [tasks.page]
        outputs = "site/page"
        run = "echo > site/page"
    """)
    run = project.bt("build")
    assert run.code == 2
    assert "one output directory" in run.err


def test_an_input_inside_an_output_directory_must_be_made(project: Project) -> None:
    project.taskfile("""
        [tasks.whole]
        outputs = "site/"
        run = "mkdir -p site; echo > site/a"
        [tasks.use]
        inputs = "site/b"
        outputs = "out"
        run = "cp {input} {output}"
    """)
    run = project.bt("build")
    assert run.code == 1
    assert run.finished["use"]["error"] == "`site/b` is not among what `whole` made"


def test_ctrl_c_while_waiting_for_the_lock(project: Project) -> None:
    project.taskfile('[tasks.t]\noutputs = "o"\nrun = "echo > begun; read x < go; echo > o"\n')
    os.mkfifo(project.folder / "begun")
    os.mkfifo(project.folder / "go")
    first = project.start("build")
    (project.folder / "begun").read_text()
    second = project.start("build")
    assert second.stdout is not None
    assert "waiting" in second.stdout.readline()
    second.send_signal(signal.SIGINT)
    second.communicate(timeout=40)
    assert second.returncode == 130
    (project.folder / "go").write_text("x\n")
    first.communicate(timeout=40)
    assert first.returncode == 0


def test_a_literal_output_wins_over_a_wildcard(project: Project) -> None:
    project.taskfile("""
        [tasks.page]
        inputs = "t/{p}.md"
        outputs = "s/{p}.html"
        run = "cp {input} {output}"
        [tasks.cover]
        outputs = "s/cover.html"
        run = "echo cover > {output}"
    """)
    project.write("t/a.md", "a")
    project.write("t/cover.md", "not this one")
    assert project.build().ran == ["cover", "page a"]
    assert project.read("s/cover.html") == "cover\n"


def test_a_regex_counts_for_all_wildcards_of_its_name(project: Project) -> None:
    project.taskfile("""
        [tasks.num]
        inputs = "n/{n:[0-9]+}.txt"
        outputs = "m/{n}.txt"
        run = "cp {input} {output}"
    """)
    project.write("n/1.txt", "1")
    project.write("n/ab.txt", "ab")
    assert project.build().ran == ["num 1"]
    assert project.bt("build", "m/ab.txt").code == 3


def test_set_makes_no_orphans(project: Project) -> None:
    project.taskfile("""
        [bt]
        orphans = "delete"
        [vars]
        d = "one"
        [tasks.t]
        outputs = "{vars.d}/o"
        run = "echo > {output}"
    """)
    project.build()
    project.build("-s", "d=two")
    assert project.exists("one/o")
    project.taskfile(project.read("Taskfile.toml").replace('"one"', '"three"'))
    project.build()
    assert not project.exists("one/o")


def test_a_dotenv_file_may_be_made(project: Project) -> None:
    project.taskfile("""
        [tasks.settings]
        outputs = "settings.env"
        run = "echo A=1 > {output}"
        [tasks.use]
        outputs = "out"
        dotenv = "settings.env"
        run = "echo $A > {output}"
    """)
    assert project.bt("build", "-n").code == 0
    assert project.build("-j4").ran == ["settings", "use"]
    project.remove("settings.env")
    assert project.build().ran == ["settings"]


def test_a_directory_of_the_users_in_the_place_of_an_output_is_kept(project: Project) -> None:
    project.taskfile('[tasks.r]\noutputs = "x"\nrun = "echo 2 > {output}"\n')
    project.write("x/user", "precious")
    project.bt("build")
    project.bt("build")
    kept = [p for p in project.folder.rglob("user") if p.read_text() == "precious"]
    assert len(kept) == 1
    assert project.read("x") == "2\n"


def test_an_output_directory_that_became_a_file_is_no_orphan(project: Project) -> None:
    project.taskfile('[tasks.r]\noutputs = "x/"\nrun = "mkdir -p x; echo 1 > x/f; echo 2 > x/g"\n')
    project.build()
    project.taskfile('[tasks.r]\noutputs = "x/f"\nrun = "echo 1 > x/f"\n')
    assert not any("orphan" in w and "x/ " in w for w in project.build().warnings)
    project.bt("clean", "--orphans")
    assert project.read("x/f") == "1\n"


def test_values_that_leave_a_glob_output_leave_the_graph(project: Project) -> None:
    project.taskfile("""
        [tasks.split]
        inputs = "list.txt"
        outputs = "parts/*.p"
        run = "while read l; do echo $l > parts/$l.p; done < {input}"
        [tasks.each]
        inputs = "parts/{n}.p"
        outputs = "done/{n}.d"
        run = "cp {input} {output}"
        [tasks.sum]
        inputs = "done/*.d"
        outputs = "sum.txt"
        run = "cat {inputs} > {output}"
    """)
    project.write("list.txt", "a\nb\n")
    project.build()
    assert project.read("sum.txt") == "a\nb\n"
    project.write("list.txt", "a\n")
    run = project.build()
    assert project.read("sum.txt") == "a\n"
    assert any("orphan" in w and "done/b.d" in w for w in run.warnings)
    assert project.build().ran == []
    assert project.build("-B").code == 0
    project.write("list.txt", "a\nc\n")
    assert project.build().ran == ["each c", "split", "sum"]
    assert project.read("sum.txt") == "a\nc\n"


def test_a_glob_output_that_vanished_is_made_again(project: Project) -> None:
    project.taskfile('[tasks.r]\noutputs = "x/*"\nrun = "echo 1 > x/f; echo 2 > x/g"\n')
    project.build()
    project.remove("x/f")
    assert project.build().ran == ["r"]
    assert project.exists("x/f")


def test_what_a_job_only_waits_for_is_there_when_it_runs(project: Project) -> None:
    project.taskfile("""
        [tasks.gen]
        outputs = "gen.h"
        run = "echo 1 > {output}"

        [tasks.use]
        after = "gen.h"
        inputs = "u.in"
        outputs = "u"
        run = "cat gen.h {input} > {output}"

        [tasks.other]
        needs = "gen.h"
        outputs = "v"
        run = "cat gen.h > v"
    """)
    project.write("u.in", "")
    project.build()
    project.remove("gen.h")
    assert project.build().ran == []
    project.write("u.in", "2")
    assert "will run  gen" in project.look("build", "-n").out
    assert project.build("-j1").ran == ["gen", "use"]
    assert project.build().ran == []


def test_a_temp_output_stays_for_those_who_only_wait_for_it(project: Project) -> None:
    project.taskfile("""
        [tasks.gen]
        outputs = "gen.h"
        temp = true
        run = "echo 1 > {output}"

        [tasks.use]
        after = "gen"
        inputs = "u.in"
        outputs = "u"
        run = "cat gen.h {input} > {output}"
    """)
    project.write("u.in", "")
    project.build()
    assert project.build().ran == []
    assert not project.exists("gen.h")
    project.write("u.in", "2")
    assert project.build().ran == ["gen", "use"]
    assert not project.exists("gen.h")


@pytest.mark.parametrize("reader", ["", "inputs", "needs", "after", "foreach", "list"])
def test_a_temp_output_that_is_gone_is_made_again_if_nobody_has_any_use_for_it(
    project: Project, reader: str
) -> None:
    """What the first build leaves is there after a later one; what it removes is not made for nothing."""
    words = {
        "foreach": 'foreach = { from = "rows.csv" }\nafter = "big"\noutputs = "{n}.out"',
        "list": 'inputs = "@names"\noutputs = "end"',
    }
    key = words.get(reader, f'{reader} = "{"big.txt" if reader == "inputs" else "big"}"\noutputs = "end"')
    end = f"[tasks.end]\n{key}\nrun = 'echo > {{output}}'\n" if reader else ""
    lists = {"foreach": ("rows.csv", "n\na\n"), "list": ("names", "big.txt\n")}
    made, text = lists.get(reader, ("", ""))
    more = f"[tasks.more]\noutputs = '{made}'\nrun = '''printf '{text}' > {{output}}'''\n" if made else ""
    big = "[tasks.big]\noutputs = 'big.txt'\ntemp = true\nrun = 'echo > {output}'\n"
    project.taskfile(big + more + end)
    project.build()
    assert project.exists("big.txt") is (reader == "")
    (project.folder / "big.txt").unlink(missing_ok=True)
    will = [] if reader else ["big"]
    assert ("will run  big" in project.look("build", "-n").out) is (reader == "")
    assert project.build().ran == will
    assert project.build().ran == []
    assert project.exists("big.txt") is (reader == "")


def test_a_made_list_that_is_empty_or_was_deleted(project: Project) -> None:
    project.taskfile("""
        [tasks.list]
        inputs = "names"
        outputs = "lst"
        run = "cp {input} {output}"
        [tasks.all]
        inputs = "@lst"
        outputs = "all"
        run = "cat /dev/null {input} > {output}"
    """)
    project.write("names", "")
    assert project.build().ran == ["all", "list"]
    project.write("a", "a")
    project.write("names", "a\n")
    assert project.build().ran == ["all", "list"]
    project.remove("lst")
    assert project.build().ran == ["list"]
    assert project.exists("lst")


def test_a_task_that_needs_itself(project: Project) -> None:
    for key in ("needs", "after"):
        project.taskfile(
            f'[tasks.b]\n{key} = "b"\ninputs = "Taskfile.toml"\noutputs = "bb"\nrun = "touch bb"\n'
        )
        for words in (["build"], ["check"]):
            run = project.bt(*words)
            assert run.code == 3
            assert "b → b" in run.err


def test_a_file_that_an_output_glob_does_not_bring(project: Project) -> None:
    project.taskfile('[tasks.s]\noutputs = "p/*.p"\nrun = "touch p/a.p"\n')
    run = project.bt("build", "p/zz.p")
    assert run.code == 3
    assert "did not make it" in run.warnings[0]
    assert project.build("p/a.p").code == 0


def test_a_table_without_the_column_of_a_wildcard(project: Project) -> None:
    project.write("s.csv", "name\nA\n")
    project.taskfile("""
        [tasks.t]
        foreach = { from = "s.csv" }
        outputs = "o/{names}"
        run = "touch {output}"
    """)
    run = project.bt("build")
    assert run.code == 2
    assert "did you mean `name`" in run.err


@pytest.mark.parametrize("outputs", ["d/", "d/*.txt"])
def test_keep_takes_no_file_of_the_users(project: Project, outputs: str) -> None:
    project.taskfile(f"""
        [tasks.t]
        inputs = "i"
        outputs = "{outputs}"
        keep = true
        run = "mkdir -p d; cat i > d/made.txt; [ ! -e d/log.txt ] || cat i >> d/log.txt"
    """)
    project.write("i", "1")
    project.write("d/mine.txt", "mine")
    assert project.build().warnings == []
    project.write("d/log.txt", "log")
    project.write("d/more.txt", "more")
    project.write("i", "2")
    [note] = project.build().warnings
    assert note.startswith("`t`: `d/log.txt` was not made by bt: kept as `")
    assert project.read(note.split("`")[-2]) == "log"
    assert project.read("d/log.txt") == "log2"
    assert project.build().ran == []
    kept = [name for name in project.files(state=True) if name.startswith(".bt/kept/")]
    assert len(kept) == 1
    assert project.bt("clean").code == 0
    assert project.files() == ["Taskfile.toml", "d/mine.txt", "d/more.txt", "i"]
    project.build()
    project.taskfile(project.read("Taskfile.toml").replace("keep = true", "").replace("cat i", "cat  i"))
    assert len(project.build().warnings) in (1, 2)
    everything = "".join(project.read(n) for n in project.files(state=True) if n.startswith(".bt/kept/"))
    assert "mine" in everything
    assert "more" in everything


def test_what_a_failed_job_left_in_place_is_nobodys_file(project: Project) -> None:
    project.taskfile("""
        [tasks.t]
        inputs = "i"
        outputs = "o"
        keep = true
        run = "cat i >> o; grep -q good i"
    """)
    project.write("i", "bad\n")
    assert project.bt("build").code == 1
    project.write("i", "good\n")
    assert project.build().warnings == []
    assert project.read("o") == "bad\ngood\n"


@pytest.mark.parametrize("keep", ["", "keep = true"])
@pytest.mark.parametrize("writes", ["echo o: i > o.d", "true"])
def test_a_file_of_the_users_in_the_place_of_a_depfile_is_kept(
    project: Project, keep: str, writes: str
) -> None:
    project.taskfile(f"""
        [tasks.t]
        inputs = "i"
        outputs = "o"
        depfile = "o.d"
        {keep}
        run = "cp i o; {writes}; ! grep -q bad i"
    """)
    project.write("i", "1")
    project.write("o.d", "mine")
    [note] = project.build().warnings
    assert "`o.d` was not made by bt" in note
    assert project.read(note.split("`")[-2]) == "mine"
    assert not project.exists("o.d")
    project.write("i", "bad")
    assert project.bt("build").code == 1
    project.write("i", "2")
    assert project.build().warnings == []


def test_why_tells_the_build_that_was_good(project: Project) -> None:
    project.taskfile("""
        [tasks.t]
        inputs = "i"
        outputs = "o"
        run = "cp i o; [ ! -e bad ]"
    """)
    project.write("i", "1")
    project.build()
    project.write("bad", "")
    assert project.bt("build", "-B").code == 1
    assert "in build 1" in project.look("why", "o").out
    assert project.build().ran == []


@pytest.mark.parametrize("count", ["-j1", "-j2"])
@pytest.mark.parametrize("target", [(), ("x",), ("y",)])
def test_outputs_that_are_given_to_another_task(
    project: Project, count: str, target: tuple[str, ...]
) -> None:
    project.taskfile('[tasks.a]\ninputs = "in"\noutputs = ["y", "x"]\nrun = "cat in > y; cat in > x"\n')
    project.write("in", "1\n")
    project.build()
    project.taskfile("""
        [tasks.a]
        inputs = "in"
        outputs = "y"
        run = "cat in > y; echo 2 >> y"
        [tasks.b]
        inputs = "in"
        outputs = "x"
        run = "cat in > x; echo 3 >> x"
    """)
    project.build(count, *target)
    project.build(count)
    assert project.read("y") == "1\n2\n"
    assert project.read("x") == "1\n3\n"
    assert project.build(count).ran == []


@pytest.mark.parametrize(
    "reader", ["", '[tasks.ld]\ninputs = "obj/*.o"\noutputs = "all"\nrun = "cat {input} > all"\n']
)
@pytest.mark.parametrize("how", ["clean", "delete"])
def test_what_is_an_orphan_no_more_is_made_again(project: Project, how: str, reader: str) -> None:
    """As after `git switch` there and back."""
    settings = '[bt]\norphans = "delete"\n' if how == "delete" else ""
    rule = '[tasks.cc]\ninputs = "src/{m}.m"\noutputs = "obj/{m}.o"\nrun = "cp {input} {output}"\n'
    project.taskfile(settings + rule + reader)
    project.write("src/m.m", "m")
    project.write("src/n.m", "n")
    project.build()
    project.remove("src/m.m")
    project.build()
    project.bt("clean", "--orphans")
    assert not project.exists("obj/m.o")
    project.write("src/m.m", "m")
    assert "cc m" in project.build().ran
    assert project.read("obj/m.o") == "m"
    assert project.build().ran == []


def test_what_a_link_to_a_directory_leads_to_counts(project: Project) -> None:
    """In a directory as a whole, by its own name, and in what is tracked; also where links go round."""
    project.taskfile("""
        [tasks.whole]
        inputs = "d/"
        outputs = "whole"
        run = "cat d/deep/link/f > {output}"
        [tasks.named]
        inputs = "link"
        outputs = "named"
        run = "cat {input}/f > {output}"
        [tasks.tracked]
        track = { files = ["d/"] }
        outputs = "tracked"
        run = "cat d/deep/link/f > {output}"
    """)
    project.write("t/f", "1\n")
    project.write("far/sub/f", "1\n")
    (project.folder / "d/deep").mkdir(parents=True)
    for link, text in {
        "d/deep/link": "../../t",
        "link": "t",
        "t/far": "../far",
        "far/back": "../t",
        "d/self": ".",
        "d/deep/up": "..",
        "far/root": "..",
        "t/slash": "/",
        "d/inner": "deep",
    }.items():
        (project.folder / link).symlink_to(text)
    project.build()
    assert project.build().ran == []
    project.write("t/f", "2\n")
    assert project.build().ran == ["named", "tracked", "whole"]
    assert [project.read(name) for name in ("whole", "named", "tracked")] == ["2\n"] * 3
    for change in (
        lambda: project.write("far/sub/f", "2\n"),
        lambda: project.write("far/new", ""),
        lambda: project.remove("far/new"),
    ):
        change()
        assert project.build().ran == ["named", "tracked", "whole"]
        assert project.build("--rehash").ran == []


def test_what_links_in_a_made_directory_lead_to_is_not_what_was_made(project: Project) -> None:
    project.taskfile("""
        [tasks.install]
        outputs = "modules/"
        run = "mkdir -p modules; ln -s ../lib modules/lib"
        [tasks.use]
        inputs = "modules/"
        outputs = "used"
        run = "ls {input} > {output}"
    """)
    project.write("lib/f", "1\n")
    project.build()
    project.write("lib/f", "2\n")
    assert (project.build().ran, project.read("lib/f")) == ([], "2\n")
    assert "removed modules/" in project.bt("clean").out


GONE = """
    [tasks.per]
    inputs = [%s]
    outputs = "per/{d}.txt"
    run = "cat {input} > {output}"
    [tasks.mid]
    inputs = "per/{d}.txt"
    outputs = "mid/{d}.txt"
    run = "cp {input} {output}"
    [tasks.all]
    inputs = "%s/*.txt"
    outputs = "all.txt"
    run = "cat {input} > {output}"
"""


@pytest.mark.parametrize("also", ["", '"x.txt", '])
@pytest.mark.parametrize("read", ["per", "mid"])
@pytest.mark.parametrize(
    ("pattern", "file"),
    [
        ("raw/{d}/*.r", "raw/%s/1.r"),
        ("raw/{d}/sub/**", "raw/%s/sub/1/2.r"),
        ("ra?/{d}/*.r", "raw/%s/1.r"),
        ("raw/*/{d}.z", "raw/1/%s.z"),
    ],
)
def test_a_value_that_is_gone_is_gone_also_behind_a_glob(
    project: Project, pattern: str, file: str, read: str, also: str
) -> None:
    project.taskfile(GONE % (f'{also}"{pattern}"', read))
    project.write("x.txt", "x\n")
    project.write(file % "A", "a\n")
    project.write(file % "B", "b\n")
    project.build()
    project.remove(file % "B")
    run = project.build()
    assert run.ran == ["all"]
    assert any("2 orphans" in w and "per/B.txt" in w for w in run.warnings)
    assert project.read("all.txt") == ("x\na\n" if also else "a\n")
    assert project.build().ran == []
    assert "removed per/B.txt" in project.bt("clean", "--orphans").out
    project.write(file % "B", "c\n")
    assert project.build().ran == ["all", "mid B", "per B"]


def test_a_task_that_reads_what_lies_beside_its_outputs_loses_a_value(project: Project) -> None:
    """What it made itself gives it no value, also not once more."""
    project.taskfile("""
        [tasks.sum]
        inputs = "data/{d}/*.txt"
        outputs = "data/{d}/all.txt"
        run = "cat {input} > {output}"
        [tasks.all]
        inputs = "data/*/all.txt"
        outputs = "all"
        run = "cat {input} > {output}"
    """)
    project.write("data/A/1.txt", "a\n")
    project.write("data/B/1.txt", "b\n")
    project.build()
    project.remove("data/B/1.txt")
    run = project.build()
    assert run.ran == ["all"]
    assert any("data/B/all.txt" in w for w in run.warnings)
    assert project.read("all") == "a\n"
    assert project.build().ran == []


KEEP = "inputs = 'in'\n    keep = true"


@pytest.mark.parametrize("keep", ["", KEEP])
@pytest.mark.parametrize("pattern", ["q/*/f", "q/**"])
def test_files_in_an_orphaned_directory_are_kept_out_of_patterns(
    project: Project, pattern: str, keep: str
) -> None:
    text = f"""
        [tasks.q]
        foreach = {{ d = ["A", "B"] }}
        outputs = "q/{{d}}/"
        run = "mkdir -p {{output}}; echo {{d}} > {{output}}/f"
        {keep}
        [tasks.each]
        inputs = "q/{{d}}/f"
        outputs = "each/{{d}}"
        run = "cp {{input}} {{output}}"
        [tasks.up]
        inputs = "each/*"
        outputs = "up.txt"
        run = "cat {{input}} > {{output}}"
        [tasks.all]
        inputs = "{pattern}"
        outputs = "all.txt"
        run = "cat {{input}} > {{output}}"
    """
    project.write("in", "in")
    project.taskfile(text)
    project.build()
    assert project.read("all.txt") == project.read("up.txt") == "A\nB\n"
    project.taskfile(text.replace(', "B"', ""))
    run = project.build()
    assert run.ran == ["all", "up"]
    assert any("q/B/" in w and "each/B" in w for w in run.warnings)
    assert project.read("all.txt") == project.read("up.txt") == "A\n"
    assert project.build("-B").code == 0
    assert project.read("all.txt") == "A\n"
    project.write("q/C/f", "mine\n")
    project.write("q/B/g", "mine, too\n")
    project.build()
    assert project.read("all.txt") == ("A\nmine, too\nmine\n" if pattern == "q/**" else "A\nmine\n")
    project.write("q/B/f", "edited\n")
    project.build()
    assert project.read("up.txt") == "A\nedited\nmine\n"
    assert project.build().ran == []


@pytest.mark.parametrize("between", [True, False])
def test_what_a_person_writes_in_the_place_of_a_value_that_is_gone_is_read(
    project: Project, between: bool
) -> None:
    project.taskfile("""
        [tasks.copy]
        inputs = "src/{p}.txt"
        outputs = "a/{p}.txt"
        run = "cp {input} {output}"
        [tasks.sum]
        inputs = "a/*.txt"
        outputs = "sum.txt"
        run = "cat {input} > {output}"
    """)
    project.write("src/a.txt", "a\n")
    project.write("src/b.txt", "b\n")
    project.build()
    project.remove("src/b.txt")
    if between:
        project.build()
    project.write("a/b.txt", "mine\n")
    project.write("a/c.txt", "new\n")
    assert project.build().ran == ["sum"]
    assert project.read("sum.txt") == "a\nmine\nnew\n"
    assert project.build().ran == []
    project.write("a/b.txt", "mine again\n")
    assert project.build().ran == ["sum"]
    project.write("src/b.txt", "b\n")
    run = project.build()
    assert run.ran == ["copy b", "sum"]
    assert project.read("sum.txt") == "a\nb\nnew\n"
    [kept] = [path for path in project.files(state=True) if path.startswith(".bt/kept/")]
    assert project.read(kept) == "mine again\n"


def test_leftovers_of_a_value_that_is_gone_are_told_after_a_lost_state(project: Project) -> None:
    project.taskfile("""
        [tasks.prep]
        inputs = "raw/{s}.txt"
        outputs = { a = "b/{s}.a", n = "b/{s}.n" }
        run = "cp {input} {output.a}; cp {input} {output.n}"
        [tasks.filt]
        inputs = "b/{s}.a"
        outputs = "f/{s}.f"
        run = "cp {input} {output}"
        [tasks.low]
        inputs = ["f/{s}.f", "b/{s}.n"]
        outputs = "low/{s}.l"
        run = "cat {input} > {output}"
    """)
    project.write("raw/A.txt", "a")
    project.write("raw/B.txt", "b")
    project.build()
    project.remove("raw/B.txt")
    project.remove("b/B.n")
    project.build()
    project.bt("clean", "--state", "--yes")
    run = project.bt("build")
    assert run.code == 3
    assert "`raw/B.txt`: no such file" in run.err
    assert "`prep B`" in run.err
    assert "move `b/B.a` away" in run.err
    project.remove("b/B.a")
    assert "`raw/B.txt`: no such file" in project.bt("build").err
    project.remove("f/B.f")
    project.build()


def test_a_temp_output_of_which_others_read_a_part_or_that_is_a_part_stays(project: Project) -> None:
    project.taskfile("""
        [tasks.w]
        inputs = "src/{n}.in"
        outputs = "w/{n}.out"
        temp = true
        run = "cat {input} > {output}"
        [tasks.x1]
        inputs = "w/*.out"
        outputs = "x1.txt"
        run = "cat {input} > {output}"
        [tasks.x2]
        inputs = "w/"
        outputs = "x2.txt"
        run = "ls {input} > {output}"
        [tasks.d]
        inputs = "s"
        outputs = "d/"
        temp = true
        run = "cp s d/a.txt; cp s d/b.txt"
        [tasks.x3]
        inputs = ["d/", "d/*.txt"]
        outputs = "x3.txt"
        run = "ls d > {output}"
        [tasks.x4]
        inputs = "d/a.txt"
        outputs = "x4.txt"
        run = "cat {input} > {output}"
    """)
    project.write("src/a.in", "a\n")
    project.write("s", "1\n")
    project.build()
    assert project.read("x2.txt") == "a.out\n"
    assert project.read("x3.txt") == "a.txt\nb.txt\n"
    assert project.build().ran == []
    project.write("s", "2\n")
    assert project.build().ran == ["d", "x3", "x4"]
    assert project.build().ran == []


def test_a_star_in_a_directory_waits_for_the_task_that_makes_it(project: Project) -> None:
    project.taskfile("""
        [tasks.k]
        inputs = "s"
        outputs = "k/"
        run = "for n in $(cat s); do echo $n > k/$n; done"
        [tasks.u]
        inputs = ["s0", "k/*"]
        outputs = "u.txt"
        run = "echo {input} > {output}"
    """)
    project.write("s0", "1\n")
    project.write("s", "a\n")
    project.build()
    assert project.read("u.txt") == "s0 k/a\n"
    project.write("s", "a b\n")
    project.build()
    assert project.read("u.txt") == "s0 k/a k/b\n"
    assert project.build().ran == []
    shutil.rmtree(project.folder / "k")
    project.build()
    assert project.read("u.txt") == "s0 k/a k/b\n"
    assert project.bt("clean").code == 0
    project.build()
    assert project.read("u.txt") == "s0 k/a k/b\n"


def test_a_pattern_below_a_directory_does_not_read_the_directory_itself(project: Project) -> None:
    project.taskfile("""
        [tasks.b]
        outputs = "d/p/"
        run = "echo 1 > d/p/x.txt"
        [tasks.c]
        inputs = "d/*/*"
        outputs = "c.out"
        run = "cat {input} > {output}"
    """)
    project.write("d/z/f", "z\n")
    for _ in range(3):
        project.build()
    assert project.read("c.out") == "1\nz\n"
    assert project.build().ran == []


@pytest.mark.parametrize("table", [False, True], ids=["source", "table"])
def test_orphans_go_before_who_reads_their_directory_is_looked_at(project: Project, table: bool) -> None:
    """Also where it turns out late that no task makes them: nothing is left to do for the next build."""
    if table:
        values = 'foreach = { from = "t.csv" }'
        rest = '[tasks.t]\ninputs = "names"\noutputs = "t.csv"\nrun = "(echo n; cat names) > t.csv"\n'
    else:
        values, rest = 'inputs = "s/{n}"', ""
    project.taskfile(
        '[bt]\norphans = "delete"\n'
        f'[tasks.row]\n{values}\noutputs = "d/{{n}}.txt"\nrun = "echo > {{output}}"\n'
        f'[tasks.all]\ninputs = "d/"\noutputs = "all"\nrun = "ls d > all"\n{rest}'
    )
    for name in "ab":
        project.write(f"s/{name}", "")
    project.write("names", "a\nb\n")
    project.build()
    assert project.build().ran == []
    project.remove("s/b")
    project.write("names", "a\n")
    if not table:
        assert "will run  all  (input d/ changed)" in project.look("build", "-n").out
    run = project.build()
    assert run.warnings == ["removed 1 orphan: d/b.txt"]
    assert project.read("all") == "a.txt\n"
    run = project.build()
    assert (run.ran, run.warnings) == ([], [])
