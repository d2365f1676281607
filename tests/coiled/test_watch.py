"""`bt watch` with a cluster that lives longer than a build, or shorter than the watch."""

from __future__ import annotations

from support.cloud import Cloud
from support.farm import Farm
from support.watching import Watching

TASK = '[tasks.up]\ninputs = "in.txt"\noutputs = "out.txt"\nrun = "tr a-z A-Z < {input} > {output}"\n'


def test_a_cluster_that_stops_while_nothing_is_to_do_is_had_again_for_the_next_job(
    farm: Farm, cloud: Cloud
) -> None:
    farm.write_farm(TASK)
    farm.write("in.txt", "a")
    with Watching(farm) as watch:
        assert watch.first().ran == ["up"]
        farm.write("in.txt", "b")
        assert watch.round().ran == ["up"]
        cloud.stop(farm.cluster)
        told = watch.until("warning")[-1]["text"]
        assert told == f"cluster {farm.cluster} is gone; the next job asks for another one"
        assert len(cloud.clusters(farm.cluster)) == 1
        farm.write("in.txt", "c")
        assert watch.round().ran == ["up"]
        assert farm.read("out.txt") == "C"
        assert len(cloud.clusters(farm.cluster)) == 2
        assert f"stopped {farm.cluster}" in farm.bt("clean", "--cluster", "--yes").out
        watch.until("warning")
        assert watch.end() == 130
    assert len(cloud.clusters(farm.cluster)) == 2
    assert "cluster" not in farm.bt("status").out
