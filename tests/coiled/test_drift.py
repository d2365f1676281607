"""A cluster that no longer matches this machine is told of; what is to come of that is chosen."""

from __future__ import annotations

import os
import time
from pathlib import Path

from support.cloud import Cloud
from support.farm import Farm
from support.watching import Watching

TASK = """
    [tasks.version]
    outputs = "version.txt"
    call = "steps:version"
    [tasks.bad]
    run = "exit 1"
    executor = "farm"
    inputs = "none.txt"
"""


def versioned(farm: Farm, drift: str = "warn") -> None:
    """A project whose task tells the version of a package where it runs; machines have what this one has.

    Without `buildtool`, which needs not be there: where it is installed with `-e`, a wheel would be built of it.
    """
    farm.write_farm(TASK, options='{ package_sync_ignore = ["buildtool"] }', drift=f'"{drift}"')
    farm.write("none.txt", "")
    farm.write("steps.py", "import humanlib\ndef version(output):\n    output.write_text(humanlib.VERSION)\n")


def drifted(run_warnings: list[str]) -> list[str]:
    return [text for text in run_warnings if text.splitlines()[0].endswith("differs from this machine:")]


def test_a_package_that_was_upgraded_here_is_named(farm: Farm) -> None:
    versioned(farm)
    farm.install("humanlib", "1.0")
    assert drifted(farm.build("version").warnings) == []
    assert drifted(farm.build("version", "-B").warnings) == []
    farm.install("humanlib", "2.0")
    [told] = drifted(farm.build("version").warnings)
    assert "humanlib: 2.0 here, 1.0 there (imported by tasks)" in told
    assert "`bt clean --cluster`" in told
    assert farm.read("version.txt") == "1.0"
    assert "humanlib: 2.0 here, 1.0 there" in farm.bt("why", "version.txt").out
    failed = farm.bt("build", "bad")
    assert len(drifted(failed.warnings)) == 2, "before the first job, and once more at the end"


def test_it_is_looked_at_again_when_this_machine_changes_while_it_is_watched(farm: Farm) -> None:
    versioned(farm)
    farm.install("humanlib", "1.0")
    with Watching(farm, "version") as watch:
        first = watch.first()
        assert first.ran == ["version"]
        assert drifted(first.warnings) == []
        step = (farm.folder / "steps.py").read_text()
        for version, lines in (("2.0", 1), ("2.0", 0), ("1.0", 0), ("3.0", 1)):
            time.sleep(1.0)  # it is not looked at more often
            farm.install("humanlib", version)
            step += "    print('again')\n"
            farm.write("steps.py", step)
            run = watch.round()
            assert run.ran == ["version"], (version, run.events)
            assert len(drifted(run.warnings)) == lines, (version, run.warnings)
            assert ("differed" in farm.bt("why", "version.txt").out) == (version != "1.0")
        assert watch.end() == 130


def test_what_comes_of_a_difference_is_chosen(farm: Farm, cloud: Cloud) -> None:
    versioned(farm)
    farm.install("humanlib", "1.0")
    farm.build("version")
    farm.install("humanlib", "2.0")
    versioned(farm, "error")
    run = farm.bt("build", "version")
    assert run.code == 7
    assert "humanlib: 2.0 here, 1.0 there" in run.err
    for drift, made_with, clusters in (("ignore", "1.0", 1), ("restart", "2.0", 2)):
        versioned(farm, drift)
        run = farm.build("version", "-B")
        assert drifted(run.warnings) == []
        assert farm.read("version.txt") == made_with
        assert len(cloud.clusters(farm.cluster)) == clusters
    versioned(farm)
    assert drifted(farm.build("version", "-B").warnings) == []
    assert "differed" not in farm.bt("why", "version.txt").out


def test_settings_and_lock_files_are_compared_with_what_the_cluster_was_made_with(
    farm: Farm, tmp_path: Path
) -> None:
    task = '[tasks.t]\noutputs = "t"\nrun = ": > t"\n'
    farm.write_farm(task, worker='{ memory = "8GiB" }')
    farm.write("uv.lock", "1")
    near = tmp_path / "near"
    near.mkdir()
    (near / "near.py").write_text("VALUE = 1\n")
    farm.install("near", "1.0", edited=near)
    farm.build()
    assert drifted(farm.build("-B").warnings) == []
    (near / "near.py").write_text("VALUE = 2\n")
    farm.write_farm(task, worker='{ memory = "16GiB" }', region='"us-west-2"')
    farm.write("uv.lock", "2")
    [told] = drifted(farm.build("-B").warnings)
    assert "uv.lock: changed here, as before there" in told
    assert "code of near: changed here, as before there" in told
    assert "worker_memory: 16 GiB here, 8 GiB there" in told
    assert "region: us-west-2 here, not set there" in told


def test_a_cluster_stops_when_it_was_made_to(farm: Farm) -> None:
    task = '[tasks.t]\noutputs = "t"\nrun = ": > t"\n'
    farm.write_farm(task, idle_timeout='"15m"')
    farm.build()
    farm.write_farm(task, idle_timeout='"3m"')
    run = farm.build("-B")
    [told] = drifted(run.warnings)
    assert "idle_timeout: 180 s here, 900 s there" in told
    assert any("stops after 15 min" in text for text in run.warnings)


def test_what_is_called_like_a_lock_file_and_cannot_be_read_is_none(farm: Farm) -> None:
    farm.write_farm('[tasks.t]\noutputs = "t"\nrun = ": > t"\n')
    (farm.folder / "environment.yml").mkdir()
    (farm.folder / "uv.lock").symlink_to("nowhere")
    os.mkfifo(farm.folder / "requirements.txt")
    assert farm.build().ran == ["t"]
