"""Clusters of Coiled, through the unmodified client: had, used again, sized, shown, ended, never forgotten."""

from __future__ import annotations

import json
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from support.cloud import Cloud, can_hide
from support.farm import Farm
from support.watching import Watching

STEPS = """
    import helpers

    def shout(input, output):
        print("from", input)
        output.write_text(helpers.up(input.read_text()))
"""
TASKS = """
    [tasks.shout]
    inputs = "in.txt"
    outputs = "out.txt"
    call = "steps:shout"

    [tasks.where]
    inputs = "out.txt"
    outputs = "where.txt"
    run = "cat {input} > {output}; pwd >> {output}; echo ${COILED_CLUSTER_NAME:-here} >> {output}"
"""


def shouting(farm: Farm, **options: str) -> None:
    farm.write_farm(TASKS, **options)
    farm.write("steps.py", STEPS)
    farm.write("helpers.py", "def up(text):\n    return text.upper()\n")
    farm.write("in.txt", "text\n")


def test_from_nothing_to_a_build_in_the_cloud_and_back_to_no_cluster(farm: Farm, cloud: Cloud) -> None:
    shouting(farm)
    first = farm.build()
    assert first.ran == ["shout", "where"]
    text, place, name = farm.read("where.txt").splitlines()
    assert (text, name) == ("TEXT", farm.cluster)
    assert place.startswith(str(cloud.folder))
    assert "from in.txt" in farm.bt("log", "out.txt").out
    [told] = [text for text in first.warnings if "is up" in text]
    assert f"`{farm.cluster}` is up and stops after 20 min" in told
    assert "`bt clean --cluster`" in told

    farm.write(
        "helpers.py", "def up(text):\n    return text.title()\n"
    )  # seen by the machines that are there
    assert farm.build().ran == ["shout", "where"]
    assert farm.read("out.txt") == "Text\n"
    assert len(cloud.clusters(farm.cluster)) == 1

    status = farm.bt("status").out
    assert f"cluster {farm.cluster}  coiled  ready  1 worker  asked for" in status
    assert "so far" not in status
    farm.write(
        "Taskfile.toml", farm.read("Taskfile.toml").replace("workers = 1\n", "workers = 1\nprice = 36e6\n")
    )
    assert re.search(r"  about \d+\d{3}\.\d\d so far\n", farm.bt("status").out)  # ten thousand a second
    assert farm.build().ran == []
    assert json.loads(farm.bt("status", "--json").out)["clusters"][0]["name"] == farm.cluster

    asked = farm.bt("clean", "--cluster")
    assert (asked.code, "--yes" in asked.err) == (2, True)
    assert "would stop 1 cluster" in farm.look("clean", "--cluster", "-n").out
    assert cloud.clusters(farm.cluster)[-1].state == "ready"
    assert f"stopped {farm.cluster}" in farm.bt("clean", "--cluster", "--yes").out
    assert cloud.clusters(farm.cluster)[-1].state == "stopped"
    assert farm.bt("clean", "--cluster", "--yes").out == "there is no cluster\n"
    assert "cluster" not in farm.bt("status").out


@pytest.mark.skipif(not can_hide(), reason="the system hides no directories")
def test_the_machines_see_nothing_of_the_project(farm: Farm) -> None:
    farm.write_farm(f"""
        [tasks.look]
        outputs = "there.txt"
        run = "ls {farm.folder} | wc -l > there.txt"
        """)
    farm.build()
    assert farm.read("there.txt").strip() == "0"


def test_what_is_asked_for_is_what_the_taskfile_says(farm: Farm, cloud: Cloud) -> None:
    shouting(
        farm,
        workers="2",
        worker='{ cpus = 2, memory = "8GiB" }',
        region='"eu-central-1"',
        idle_timeout='"15m"',
        options='{ software = "x", tags = { team = "a" }, spot_policy = "spot", environ = { X = "1" } }',
    )
    farm.build()
    asked = cloud.clusters(farm.cluster)[-1].request
    assert asked["workers"] == 2
    assert asked["tags"]["team"] == "a"
    assert asked["tags"]["bt-project"] == "project"
    assert asked["environ"]["X"] == "1"
    assert asked["worker_options"]["resources"] == {"cpus": 2.0, "memory": float(8 << 30)}
    assert asked["scheduler_options"]["idle_timeout"] == "900s"
    told = json.dumps(asked)
    assert "eu-central-1" in told
    assert "m6i.large" in told
    assert any("15 min" in text for text in farm.build().warnings if "is up" in text)


def test_a_type_of_machine_decides_and_what_it_has_is_what_jobs_can_take(farm: Farm, cloud: Cloud) -> None:
    shouting(farm, worker='{ vm_type = "m6i.large", cpus = 2, memory = "8GiB" }')
    farm.build()
    asked = cloud.clusters(farm.cluster)[-1].request
    assert asked["worker_instance_types"] == ["m6i.large"]
    assert asked["worker_options"]["resources"] == {"cpus": 2.0, "memory": float(8 << 30)}


def test_a_machine_with_a_gpu(farm: Farm, cloud: Cloud) -> None:
    shouting(farm, worker="{ gpu = 1 }")
    farm.build()
    asked = cloud.clusters(farm.cluster)[-1].request
    assert asked["worker_instance_types"] == ["g4dn.xlarge"]
    assert asked["worker_options"]["resources"] == {"gpu": 1.0}


def test_a_cluster_grows_with_the_work_and_is_left_small(farm: Farm, cloud: Cloud, tmp_path: Path) -> None:
    wait = f"while ! test -e {tmp_path}/at1 -a -e {tmp_path}/at2; do sleep 0.1; done"
    farm.write_farm(
        f"""
        [tasks.meet]
        foreach = {{ n = ["1", "2"] }}
        outputs = "{{n}}.txt"
        run = ["touch {tmp_path}/at{{n}}; {wait}", ": > {{n}}.txt"]
        """,
        workers="[0, 2]",
    )
    for _ in range(2):  # made, and then attached to
        for path in tmp_path.glob("at*"):
            path.unlink()
        assert farm.build("-B").ran == ["meet 1", "meet 2"]
        assert cloud.wait_for(farm.cluster, "ready").workers == 0
    assert len(cloud.clusters(farm.cluster)) == 1


def test_a_job_takes_what_its_machine_has(farm: Farm) -> None:
    farm.write_farm(
        """
        [tasks.alone]
        foreach = { n = ["1", "2"] }
        outputs = "{n}.txt"
        resources = { cpus = 2 }
        run = "test ! -e ../busy && touch ../busy && sleep 0.3 && rm ../busy && : > {n}.txt"
        """,
        worker="{ cpus = 2 }",
    )
    assert farm.build("-j4").ran == ["alone 1", "alone 2"]


def test_one_task_on_the_cluster_and_the_rest_here(farm: Farm) -> None:
    shouting(farm)
    text = farm.read("Taskfile.toml").replace('[bt]\nexecutor = "farm"\n', "")
    farm.taskfile(text.replace("[tasks.where]", '[tasks.where]\nexecutor = "farm"'))
    run = farm.build()
    assert {name: event["executor"] for name, event in run.finished.items()} == {
        "shout": "local",
        "where": "farm",
    }
    assert farm.read("where.txt").splitlines()[2] == farm.cluster


# Nothing forgotten


def interrupted(farm: Farm, cloud: Cloud, number: signal.Signals) -> int:
    """A build that gets a signal while its cluster starts; its exit code."""
    cloud.set(boot_seconds=8)
    with farm.start("build") as process:
        cloud.wait_for(farm.cluster, "starting")
        process.send_signal(number)
        process.communicate(timeout=60)
        code: int = process.returncode
    return code


def test_ctrl_c_while_a_cluster_starts_leaves_none(farm: Farm, cloud: Cloud) -> None:
    shouting(farm)
    assert interrupted(farm, cloud, signal.SIGINT) == 130
    cloud.wait_for(farm.cluster, "stopped")
    assert "cluster" not in farm.bt("status").out


@pytest.mark.parametrize("how", ["the next build", "clean"])
def test_what_a_killed_build_had_asked_for_is_ended(farm: Farm, cloud: Cloud, how: str) -> None:
    shouting(farm)
    assert interrupted(farm, cloud, signal.SIGKILL) == -signal.SIGKILL
    assert cloud.clusters(farm.cluster)[-1].state == "starting"
    assert farm.cluster in farm.bt("status").out
    if how == "clean":
        assert f"stopped {farm.cluster}" in farm.bt("clean", "--cluster", farm.cluster, "--yes").out
    else:  # though it needs no cluster
        run = farm.build("-e", "local")
        assert any("which an earlier `bt` had left half made" in text for text in run.warnings)
    cloud.wait_for(farm.cluster, "stopped")
    assert "cluster" not in farm.bt("status").out


def test_a_cluster_is_ended_by_name_without_the_state(farm: Farm, cloud: Cloud) -> None:
    shouting(farm)
    farm.build()
    refused = farm.bt("clean", "--state", "--yes")
    assert (refused.code, farm.cluster in refused.err) == (2, True)
    for path in sorted((farm.folder / ".bt").iterdir()):
        if path.name.startswith("state.db"):
            path.unlink()
    assert farm.bt("clean", "--cluster", "farm", "--yes").code == 0
    cloud.wait_for(farm.cluster, "stopped")


def test_a_cluster_without_a_table_is_ended_without_the_state(farm: Farm) -> None:
    farm.cluster = "bt-project-coiled"
    farm.taskfile('[bt]\nexecutor = "coiled"\n[tasks.t]\noutputs = "t"\nrun = ": > t"\n')
    farm.build()
    for path in (farm.folder / ".bt").glob("state.db*"):
        path.unlink()
    for names in ([], ["coiled"], [farm.cluster]):
        assert "would stop 1 cluster" in farm.bt("clean", "--cluster", *names, "-n").out
    assert f"stopped {farm.cluster}" in farm.bt("clean", "--cluster", "--yes").out


def test_one_that_is_gone_already_is_forgotten(farm: Farm, cloud: Cloud) -> None:
    shouting(farm)
    farm.build()
    cloud.stop(farm.cluster)
    assert f"{farm.cluster} was gone already" in farm.bt("clean", "--cluster", "--yes").out
    assert "cluster" not in farm.bt("status").out


def test_clusters_of_others_are_left_alone(farm: Farm, cloud: Cloud, tmp_path: Path) -> None:
    shouting(farm)
    farm.build()
    other = Farm(tmp_path / "other", cloud)
    other.folder.mkdir()
    other.cluster = farm.cluster
    shouting(other)
    refused = other.bt("build")
    assert refused.code == 7
    assert f"the name `{farm.cluster}` is taken by the project `project`" in refused.err
    assert other.bt("clean", "--cluster", "--yes").out == "there is no cluster\n"
    by_name = other.bt("clean", "--cluster", farm.cluster, "--yes")
    assert (by_name.code, "of the project `project`" in by_name.err) == (2, True)
    assert cloud.clusters(farm.cluster)[-1].state == "ready"


def renamed(farm: Farm, cloud: Cloud, tmp_path: Path) -> Farm:
    """Another project whose cluster has the name that `farm` gave to its own, which is gone."""
    other = Farm(tmp_path / "other", cloud)
    other.folder.mkdir()
    other.cluster = farm.cluster
    cloud.stop(farm.cluster)
    shouting(other)
    other.build()
    return other


def test_a_name_that_others_have_taken_since_is_theirs(farm: Farm, cloud: Cloud, tmp_path: Path) -> None:
    shouting(farm)
    farm.build()
    renamed(farm, cloud, tmp_path)
    assert "not up" in farm.bt("status").out
    assert "was gone already" in farm.bt("clean", "--cluster", "--yes").out
    assert cloud.clusters(farm.cluster)[-1].state == "ready"


def test_what_a_killed_build_had_asked_for_is_not_what_others_have_since(
    farm: Farm, cloud: Cloud, tmp_path: Path
) -> None:
    shouting(farm)
    interrupted(farm, cloud, signal.SIGKILL)
    cloud.set(boot_seconds=0)
    renamed(farm, cloud, tmp_path)
    assert "stopped" not in str(farm.build("-e", "local").warnings)
    assert cloud.clusters(farm.cluster)[-1].state == "ready"


def test_two_builds_that_want_one_name_have_one_cluster(farm: Farm, cloud: Cloud, tmp_path: Path) -> None:
    shouting(farm)
    twin = Farm(tmp_path / "twin" / "project", cloud)
    twin.folder.mkdir(parents=True)
    twin.cluster = farm.cluster
    shouting(twin)
    with farm.start("build", "--json") as one, twin.start("build", "--json") as two:
        told = [one.communicate(timeout=90), two.communicate(timeout=90)]
    assert (one.returncode, two.returncode) == (0, 0), told
    assert len(cloud.clusters(farm.cluster)) == 1


# Setting out


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"DASK_COILED__TOKEN": "wrong-token"}, "Coiled does not accept the token of this machine"),
        ({"DASK_COILED__TOKEN": ""}, "this machine is not logged in to Coiled"),
        ({"DASK_COILED__SERVER": "http://127.0.0.1:9"}, "Coiled does not answer at `http://127.0.0.1:9`"),
    ],
)
def test_who_is_not_let_in_is_told_at_once(farm: Farm, env: dict[str, str], words: str) -> None:
    shouting(farm)
    run = farm.bt("build", env=env)
    assert run.code == 7
    assert words in run.err
    assert ("coiled login" in run.err) == ("TOKEN" in next(iter(env)))
    assert "cluster" not in farm.bt("status").out


def refuse(cloud: Cloud) -> None:
    cloud.refuse("you have used up your quota")


def fail_start(cloud: Cloud) -> None:
    cloud.set(fail_start="no machine of that kind is left")


@pytest.mark.parametrize(
    ("fault", "words", "worker"),
    [
        (refuse, "you have used up your quota", ""),
        (fail_start, "no machine of that kind is left", ""),
        (None, "Unable to find instance types", "{ cpus = 64 }"),
    ],
)
def test_a_refusal_is_shown_and_leaves_nothing(
    farm: Farm, cloud: Cloud, fault: Any, words: str, worker: str
) -> None:
    shouting(farm, worker=worker)
    if fault is not None:
        fault(cloud)
    run = farm.bt("build")
    assert run.code == 7
    assert words in run.err
    assert (f"{cloud.url}/clusters/" in run.err) == (fault is fail_start)  # before that there is no page
    assert "cluster" not in farm.bt("status").out


def test_a_workspace_that_is_not_there_is_named(farm: Farm) -> None:
    farm.write_farm('[tasks.t]\noutputs = "t"\nrun = ": > t"\n', options='{ workspace = "nobodys" }')
    run = farm.bt("build")
    assert run.code == 7
    assert "Coiled refuses" in run.err
    assert "Workspace not found: 'nobodys'" in run.err


def test_a_cluster_in_another_workspace_is_found_and_ended_there(farm: Farm, cloud: Cloud) -> None:
    shouting(farm, options='{ software = "x", workspace = "others" }')
    farm.build()
    farm.write("in.txt", "changed\n")
    farm.build()
    assert len(cloud.clusters(farm.cluster)) == 1
    assert "ready" in farm.bt("status").out
    shutil.rmtree(farm.folder / ".bt")
    assert farm.cluster in farm.bt("clean", "--cluster", "-n").out
    assert f"stopped {farm.cluster}" in farm.bt("clean", "--cluster", "--yes").out
    cloud.wait_for(farm.cluster, "stopped")


# Things that go wrong while jobs run

SLOW = """
    [tasks.slow]
    outputs = "slow.txt"
    run = "echo begun; sleep 3; echo done > slow.txt"
"""


def losing(farm: Farm, lose: Any) -> str:
    """A build in which something is lost while its job runs; what was said."""
    with farm.start("build", "--json", "-v") as process:
        read = ""
        for line in process.stdout:
            read += line
            if "begun" in line and lose is not None:
                lose()
                lose = None
        code = process.wait(60)
    assert code == 0, read
    assert farm.read("slow.txt") == "done\n"
    return read


def test_a_job_whose_machine_is_lost_runs_elsewhere(farm: Farm, cloud: Cloud) -> None:
    farm.write_farm(SLOW, workers="2")
    said = losing(farm, lambda: [cloud.lose_worker(farm.cluster, n) for n in (1,)])
    assert cloud.clusters(farm.cluster)[-1].workers == 1
    assert said.count('"finished"') == 1


@pytest.mark.parametrize("workers", ["1", "[0, 1]"])
def test_the_last_machine_that_is_lost_is_replaced(farm: Farm, cloud: Cloud, workers: str) -> None:
    farm.write_farm(SLOW, workers=workers)
    losing(farm, lambda: cloud.lose_worker(farm.cluster))
    assert len(cloud.clusters(farm.cluster)) == 1


@pytest.mark.parametrize("how", ["lost", "stopped"])
def test_a_cluster_that_is_gone_in_a_build_is_had_again(farm: Farm, cloud: Cloud, how: str) -> None:
    farm.write_farm(SLOW)
    lose = cloud.lose_scheduler if how == "lost" else cloud.stop
    said = losing(farm, lambda: lose(farm.cluster))
    assert "is lost, so another one is had" in said
    assert len(cloud.clusters(farm.cluster)) == 2


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_a_control_plane_in_trouble_is_asked_again_while_a_cluster_starts(
    farm: Farm, cloud: Cloud, seconds: float
) -> None:
    """Whether the trouble is there when the build begins, or comes when the machines are on their way."""
    farm.write_farm(SLOW)
    cloud.set(boot_seconds=2 * seconds)
    if not seconds:
        cloud.answer(500, 2)
    with farm.start("build", "--json") as process:
        if seconds:
            cloud.wait_for(farm.cluster, "starting")
            cloud.answer(500, 3)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert len(cloud.clusters(farm.cluster)) == 1


def test_what_cannot_be_ended_in_the_trouble_is_ended_after_it(farm: Farm, cloud: Cloud) -> None:
    farm.write_farm(SLOW)
    cloud.set(boot_seconds=30.0)
    with farm.start("build", "--json") as process:
        cloud.wait_for(farm.cluster, "starting")
        cloud.answer(500, 60)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    cloud.set(answer_until=0.0, boot_seconds=0.0)
    assert f"cluster {farm.cluster}" in farm.bt("status").out
    run = farm.build()
    assert any("which an earlier `bt` had left half made" in text for text in run.warnings)
    assert [cluster.state for cluster in cloud.clusters(farm.cluster)][-1] == "ready"


def test_a_control_plane_in_trouble_does_not_touch_what_runs(farm: Farm, cloud: Cloud) -> None:
    farm.write_farm(SLOW)
    losing(farm, lambda: cloud.answer(500, 2))
    assert len(cloud.clusters(farm.cluster)) == 1


def test_a_watch_that_waits_does_not_have_a_cluster_again_that_is_gone(farm: Farm, cloud: Cloud) -> None:
    """Only work does; until then there is none, nor is one said to be up."""
    farm.write_farm('[tasks.t]\ninputs = "in"\noutputs = "t"\nrun = "cp in t"\n')
    farm.write("in", "1")
    with Watching(farm) as watch:
        watch.first()
        cloud.stop(farm.cluster)
        told = f"cluster {farm.cluster} is gone: another one is had when there is work for it"
        watch.until("warning", text=told)
        assert "cluster" not in farm.bt("status").out
        assert len(cloud.clusters(farm.cluster)) == 1
        farm.write("in", "2")
        assert watch.round().ran == ["t"]
        assert len(cloud.clusters(farm.cluster)) == 2
        assert farm.bt("clean", "--cluster", "--yes").code == 0
        watch.until("warning", text=told)
        assert watch.end() == 130
    assert len(cloud.clusters(farm.cluster)) == 2
    assert "cluster" not in farm.bt("status").out


def test_what_a_build_has_had_since_is_stopped_too(farm: Farm, cloud: Cloud, tmp_path: Path) -> None:
    """Whoever stops clusters waits for a build, which may come to have another one under the same name."""
    gate = tmp_path / "gate"
    farm.write_farm(
        f"""
        [tasks.t]
        outputs = "t"
        run = "echo begun; while [ ! -e {gate} ]; do sleep 0.05; done; echo > t"
        """
    )
    with farm.start("build", "--json", "-v") as build:
        next(line for line in build.stdout if "begun" in line)
        with farm.start("clean", "--cluster", "--yes") as clean:
            assert "waiting for `bt build`" in clean.stderr.readline()
            cloud.stop(farm.cluster)
            next(line for line in build.stdout if "begun" in line)
            gate.touch()
            assert build.wait(30) == 0
            assert clean.wait(30) == 0
    assert [cluster.state for cluster in cloud.clusters(farm.cluster)] == ["stopped", "stopped"]
    assert "cluster" not in farm.bt("status").out


def test_a_watch_takes_the_cluster_that_the_taskfile_names_now(farm: Farm) -> None:
    task = '[tasks.t]\ninputs = "in"\noutputs = "t"\nrun = "echo $COILED_CLUSTER_NAME | cat - in > t"\n'
    farm.write_farm(task)
    farm.write("in", "1")
    with Watching(farm) as watch:
        watch.first()
        first, farm.cluster = farm.cluster, f"{farm.cluster[:48]}-b"
        farm.write_farm(task)
        farm.write("in", "2")
        assert watch.round().ran == ["t"]
        assert farm.read("t") == f"{farm.cluster}\n2"
        assert watch.end() == 130
    run = farm.bt("clean", "--cluster", "--yes")
    assert f"stopped {first}\n" in run.out
    assert f"stopped {farm.cluster}\n" in run.out


def test_a_cluster_stays_known_when_the_taskfile_names_another_workspace(farm: Farm, cloud: Cloud) -> None:
    task = '[tasks.t]\noutputs = "t"\nrun = ": > t"\n'
    farm.write_farm(task, options='{ software = "x", workspace = "others" }')
    farm.build()
    farm.write_farm(task)
    assert [farm.cluster in text for text in farm.build("-B").warnings] == [True, True]
    assert farm.bt("status").out.count("ready") == 2
    assert farm.bt("clean", "--cluster", "--yes").out.count(f"stopped {farm.cluster}") == 2
    assert [cluster.state for cluster in cloud.clusters(farm.cluster)] == ["stopped", "stopped"]
    assert "cluster" not in farm.bt("status").out
