"""The cluster's profile, read as Snakemake and SLURM's executor read it, on a machine without SLURM."""

import logging
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.cli import parse_args
from snakemake_executor_plugin_slurm.partitions import get_best_partition, read_partition_file

ROOT = Path(__file__).parents[2]


@pytest.fixture
def profile(monkeypatch):
    monkeypatch.chdir(ROOT)
    _, args = parse_args(["--profile", "slurm", "paper"])
    return args


def test_snakemake_reads_it(profile):
    assert profile.executor == "slurm"
    assert profile.retries == 2
    assert {"mem_mb", "runtime", "slurm_extra"} <= set(profile.default_resources)


@pytest.mark.parametrize(
    ("resources", "partition"),
    [
        ({"mem_mb": 1000, "runtime": 10}, "cpu"),
        ({"mem_mb": 1000, "runtime": 10, "gpu": 0}, "cpu"),
        ({"mem_mb": 12_000, "runtime": 240, "gpu": 1}, "gpu"),
        ({"mem_mb": 36_000, "runtime": 720, "gpu": 1}, "gpu"),
    ],
)
def test_jobs_go_where_they_belong(profile, resources, partition):
    # The profile names itself as the table of partitions, by a path that is right wherever snakemake is started.
    path = Path(profile.slurm_partition_config)
    assert path.resolve() == ROOT / "slurm/config.yaml"
    job = SimpleNamespace(resources=resources, threads=2, name="job", is_group=lambda: False)
    assert get_best_partition(read_partition_file(path), job, logging.getLogger()) == partition


def test_every_attempt_asks_for_more():
    growing = ("growing(", "of_pictures(", "of_collected(", "of_embedded(")
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for amount in re.findall(r"(?:mem_mb|runtime)=(.*)", path.read_text()):
            assert amount.startswith(growing), f"{path.name}: {amount}"
