"""The shrunken atelier on a real SLURM; the tests build on each other, in the order that they stand in."""

import os
import signal
import time

import pytest


def wait_for(path, process, seconds=900):
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.stdout.read()[-6000:]
        assert time.monotonic() < deadline, f"{path.name} has not come in {seconds} s"
        time.sleep(0.2)


def test_ctrl_c_leaves_no_job(on_cluster):
    flag = on_cluster.folder / "hang-atelier-train-art-filter"
    flag.touch()
    process = on_cluster.start()
    wait_for(on_cluster.folder / "hangs-atelier-train-art-filter", process)
    assert on_cluster.cluster.queue()
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=600)
    assert process.returncode != 0, output[-6000:]
    assert on_cluster.cluster.wait_until_empty(), output[-6000:]
    assert "CANCELLED" in {job["JobState"] for job in on_cluster.cluster.finished().values()}
    flag.unlink()


@pytest.fixture(scope="module")
def finished(on_cluster):
    """The study, run to its end although one job on a GPU and one without are killed at their first attempt."""
    for stage in ("matches-find", "generated-make"):
        (on_cluster.folder / f"die-{stage}").touch()
    on_cluster.run()
    return on_cluster


def test_the_study_ends(finished):
    assert (finished.folder / "results/reports/atelier/report.md").exists()
    assert (finished.folder / "results/thresholds/atelier/painters.pictures.png").exists()
    assert finished.cluster.wait_until_empty()


def test_every_command_ran_in_a_job(finished):
    jobs = finished.cluster.finished()
    assert {call["stage"] for call in finished.ledger()} >= {"atelier-paint", "captions-count", "embeddings-texts"}
    for call in finished.ledger():
        assert call["job"] in jobs, call


def test_jobs_with_gpus_have_one_each(finished):
    jobs = finished.cluster.finished()
    on_gpus = [call for call in finished.ledger() if call["stage"] in ("embeddings-images", "generated-make")]
    assert {call["stage"] for call in on_gpus} == {"embeddings-images", "generated-make"}
    assert {jobs[call["job"]]["Partition"] for call in on_gpus} == {"gpu"}
    assert {call["device"] for call in on_gpus} == {"0", "1"}
    for one in on_gpus:
        for other in on_gpus:
            if one["job"] < other["job"] and one["began"] < other["ended"] and other["began"] < one["ended"]:
                assert one["device"] != other["device"]
    others = [call for call in finished.ledger() if call not in on_gpus]
    assert {jobs[call["job"]]["Partition"] for call in others} == {"cpu"}
    assert {call["device"] for call in others} == {""}


def test_jobs_that_die_are_tried_again(finished):
    jobs = finished.cluster.finished()
    for stage in ("matches-find", "generated-make"):
        calls = [call for call in finished.ledger() if call["stage"] == stage]
        killed = [call for call in calls if call["status"] == "killed"]
        assert len(killed) == 1
        assert jobs[killed[0]["job"]]["JobState"] == "FAILED"
        assert len([call for call in calls if call["status"] == "0"]) == 2
    # Two batches; the one that was killed asks for twice the time.
    limits = sorted(
        int(jobs[call["job"]]["TimeLimit"]) for call in finished.ledger() if call["stage"] == "matches-find"
    )
    assert limits == [limits[0], limits[0], 2 * limits[0]]
