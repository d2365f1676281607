"""Serverless functions: by a table of the Taskfile, or by `@coiled.function`."""

from __future__ import annotations

import pytest

from support.cloud import Cloud
from support.farm import Farm
from support.watching import Watching

WHERE = """
    import os

    def where(output):
        output.write_text(os.environ.get("COILED_CLUSTER_NAME", "here"))
"""


def test_each_kind_of_machine_is_a_cluster_that_goes_by_itself(farm: Farm, cloud: Cloud) -> None:
    farm.write_farm(
        """
        [tasks.small]
        outputs = "small.txt"
        call = "steps:where"
        [tasks.large]
        outputs = "large.txt"
        call = "steps:where"
        resources = { cpus = 4, memory = "16GiB" }
        """,
        mode='"function"',
        workers="[0, 2]",
        keepalive='"1s"',
    )
    farm.write("steps.py", WHERE)
    assert farm.build("-j2").ran == ["large", "small"]
    names = {farm.read("small.txt"), farm.read("large.txt")}
    assert len(names) == 2
    assert all(name.startswith(f"{farm.cluster}-") for name in names)
    asked = cloud.clusters(farm.read("large.txt"))[-1].request
    assert "m6i.xlarge" in str(asked)
    for name in names:
        cloud.wait_for(name, "stopped")


DECORATED = """
    import os
    import coiled

    @coiled.function(software="x", cpu=4, n_workers=[0, 1], keepalive="1s", name="{name}")
    def where(output):
        output.write_text(os.environ.get("COILED_CLUSTER_NAME", "here"))
"""


def test_a_decorated_function_runs_where_its_decorator_says(farm: Farm, cloud: Cloud) -> None:
    farm.taskfile('[tasks.t]\noutputs = "t.txt"\ncall = "steps:where"\n')
    farm.write("steps.py", DECORATED.format(name=farm.cluster))
    assert "will run" in farm.look("build", "-n", "-j2").out
    assert farm.build("-j2").finished["t"]["executor"] == "coiled.function"
    assert farm.read("t.txt") == farm.cluster
    assert "m6i.xlarge" in str(cloud.clusters(farm.cluster)[-1].request)
    for words in (["-j1"], ["-j2", "-e", "local"]):
        assert farm.build("-B", *words).finished["t"]["executor"] == "local"
        assert farm.read("t.txt") == "here"
    cloud.wait_for(farm.cluster, "stopped")


STEPS = {  # in each, what says that `where` is for the cloud
    "own/steps.py": "far = coiled.function({})\n@far\ndef where",
    "other/steps.py": "from clouds import far\n@far\ndef where",
    "near/steps.py": "from .clouds import far\n@far\ndef where",
    "called/steps.py": "def here",
}


def test_a_decorator_may_have_another_name(farm: Farm) -> None:
    told = f'software="x", n_workers=[0, 1], keepalive="1s", name="{farm.cluster}"'
    tasks = []
    for path, words in STEPS.items():
        name = path.partition("/")[0]
        body = '(output):\n    output.write_text(os.environ.get("COILED_CLUSTER_NAME", "here"))\n'
        farm.write(path, f"import os, coiled\n{words.format(told)}{body}")
        farm.write(f"{name}/__init__.py", "")
        tasks.append(f'[tasks.{name}]\noutputs = "{name}.txt"\ncall = "{name}.steps:where"\n')
    for path in ("clouds.py", "near/clouds.py"):
        farm.write(path, f"import coiled\nfar = coiled.function({told})\n")
    with open(farm.folder / "called/steps.py", "a", encoding="utf-8") as file:
        file.write(f"where = coiled.function({told})(here)\n")
    farm.taskfile("".join(tasks))
    assert {event["executor"] for event in farm.build("-j1").finished.values()} == {"local"}
    run = farm.build("-B", "-j2")
    assert {event["executor"] for event in run.finished.values()} == {"coiled.function"}
    assert {farm.read(f"{path.partition('/')[0]}.txt") for path in STEPS} == {farm.cluster}


def test_functions_on_one_machine(farm: Farm, cloud: Cloud) -> None:
    farm.write_farm(
        '[tasks.t]\noutputs = "t.txt"\ncall = "steps:where"\n', mode='"function"', keepalive='"1s"'
    )
    farm.write("steps.py", WHERE)
    farm.build()
    cloud.wait_for(farm.read("t.txt"), "stopped")
    farm.taskfile('[tasks.t]\noutputs = "t.txt"\ncall = "steps:where"\n')
    farm.write("steps.py", DECORATED.format(name=farm.cluster).replace("[0, 1]", "1"))
    farm.build("-j2")
    assert farm.read("t.txt") == farm.cluster
    cloud.wait_for(farm.cluster, "stopped")


def test_a_decorator_that_is_not_the_first_is_refused(farm: Farm) -> None:
    farm.taskfile('[tasks.t]\noutputs = "t.txt"\ncall = "steps:where"\n')
    text = DECORATED.format(name="n").replace(
        "    @coiled", "    import functools\n    @functools.cache\n    @coiled"
    )
    farm.write("steps.py", text)
    run = farm.bt("build", "-j2")
    assert run.code == 2
    assert "`@coiled.function` of `steps:where` stands below another decorator" in run.err


@pytest.mark.parametrize(
    ("before", "more", "cause"),
    [
        ("raise SystemExit('no')", "", "SystemExit: no"),
        ("raise KeyboardInterrupt", "", "KeyboardInterrupt"),
        ("", ', idle_timeout="3 moons"', "Invalid time unit: moons"),
    ],
)
def test_a_module_that_does_not_say_where_it_runs_is_trouble(
    farm: Farm, before: str, more: str, cause: str
) -> None:
    farm.taskfile('[tasks.t]\noutputs = "t.txt"\ncall = "steps:where"\n')
    text = DECORATED.format(name="n").replace("    import coiled", f"    {before}\n    import coiled")
    farm.write("steps.py", text.replace(', name="n"', f', name="n"{more}'))
    run = farm.bt("build", "-j2")
    assert run.code == 7
    assert cause in run.err
    assert "Traceback" not in run.err


def test_a_watch_asks_a_decorator_again_that_was_edited(farm: Farm, cloud: Cloud) -> None:
    farm.taskfile('[tasks.t]\noutputs = "t.txt"\ncall = "steps:where"\n')
    text = DECORATED.format(name=farm.cluster).replace("output.write_text(", "output.write_text('1 ' + ")
    text = text.replace('"1s"', '"60s"')  # so long that it is still there when it is asked for again
    farm.write("steps.py", text)
    with Watching(farm, "-j2") as watch:
        watch.first()
        other = f"{farm.cluster[:48]}-b"
        text = text.replace("'1 '", "'2 '")
        for old, new in (("cpu=4", "cpu=8"), (farm.cluster, other)):
            text = text.replace("'2 '", "'3 '" if new == other else "'2 '").replace(old, new)
            farm.write("steps.py", text)
            run = watch.round()
            assert run.ran == ["t"]
            assert ("worker_cpu: 8 here, 4 there" in str(run.warnings)) == (new != other)
        assert farm.read("t.txt") == f"3 {other}"
        farm.write("steps.py", text.replace("cpu=8", "nothing=8").replace("'3 '", "'4 '"))
        [told] = [event["text"] for event in watch.round().events if event["event"] == "error"]
        assert "unexpected keyword argument 'nothing'" in told
        farm.write("steps.py", text.replace("'3 '", "'5 '").replace('"60s"', '"1s"'))
        assert watch.round().ran == ["t"]
        assert farm.read("t.txt") == f"5 {other}"
        assert watch.end() == 130
    cloud.wait_for(other, "stopped")
