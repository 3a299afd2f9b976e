import os
import shutil

import cluster as slurm
import pytest
from workplace import ROOT, Workplace, shrink

FIT = """\
#!/usr/bin/env bash
# `fit`, which notes what SLURM gave it, and dies or waits where a test asks for that.
stage="$1-$2"
began=$(date +%s.%N)
note() { printf '%s\\t' "$began" "$(date +%s.%N)" "$SLURM_JOB_ID" "$CUDA_VISIBLE_DEVICES" "$1"; echo "$stage"; }
if [ -e "hang-$stage" ]; then touch "hangs-$stage"; sleep 3600; fi
if rm "die-$stage" 2> /dev/null; then
    line=$(note killed)
    echo "$line" >> ledger.tsv
    kill -KILL $$
fi
"{fit}" "$@"
status=$?
line=$(note "$status")
echo "$line" >> ledger.tsv
exit $status
"""


@pytest.fixture(scope="session")
def cluster():
    """A real SLURM on this machine, stopped after the tests."""
    reason = slurm.why_not()
    if reason:
        pytest.skip(reason)
    made = slurm.Cluster(slurm.make_folder())
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(made.folder, ignore_errors=True)


class OnCluster:
    """The shrunken atelier, whose jobs go to `cluster` as slurm/config.yaml says, with a `fit` that keeps a ledger."""

    def __init__(self, place, cluster):
        self.place, self.cluster, self.folder = place, cluster, place.folder
        programs = self.folder / "bin"
        programs.mkdir()
        (programs / "fit").write_text(FIT.replace("{fit}", shutil.which("fit")))
        (programs / "fit").chmod(0o755)
        place.environment = {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "SLURM_CONF": str(cluster.folder / "slurm.conf"),
        }
        sheet = self.folder / "painters.tsv"
        sheet.write_text("".join(sheet.read_text().splitlines(keepends=True)[:9]))
        # Two batches, so that two jobs want a GPU at once.
        place.config["domains"]["painters"]["concepts_per_job"] = 4
        place.config["models"]["atelier"]["gpus"] = 1
        for embedder in ("atelier-style", "atelier-art"):
            place.config["embedders"][embedder]["gpus"] = 1

    def arguments(self):
        """Those that the profile is started with here: this cluster keeps no accounts, and is near."""
        hurry = ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "4"]
        return ["--profile", str(ROOT / "slurm"), "--latency-wait", "10", *hurry]

    def run(self):
        return self.place.run(*self.arguments())

    def start(self):
        return self.place.start(*self.arguments())

    def ledger(self):
        """One dict a call of `fit` by a job, in the order of their ends."""
        columns = ("began", "ended", "job", "device", "status", "stage")
        lines = (self.folder / "ledger.tsv").read_text().splitlines()
        return [dict(zip(columns, line.split("\t"), strict=True)) for line in lines]


@pytest.fixture(scope="module")
def on_cluster(cluster, tmp_path_factory):
    place = Workplace(tmp_path_factory.mktemp("atelier"))
    shrink(place)
    return OnCluster(place, cluster)
