"""Some kills of a study's first stages; `python tests/kill.py` kills every stage, a hundred times."""

import kill
import pytest

CAPTIONS = "results/captions/atelier/painters/counts.png"


@pytest.mark.slow
def test_killed_stages_lose_nothing(tmp_path, capsys):
    assert kill.main(["--kills", "3", "--folder", str(tmp_path), CAPTIONS]) == 0
    said = capsys.readouterr().out
    assert "| all | 1 | 1 | 1 | 0 | 0 | " in said
    assert "17 results compared in the end and after each kill: all the same." in said


def test_a_result_that_is_missing_or_another_one_is_named(tmp_path):
    results = tmp_path / "results"
    for name in ("a/x.parquet", "a/y.parquet", "logs/x.log", "cache/x", "a/.x.0123456789ab.parquet", "a/.part/x"):
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).write_text(name)
    reference = kill.hashes(results)
    assert list(reference) == ["a/x.parquet", "a/y.parquet"]
    (results / "a/x.parquet").unlink()
    assert kill.differences(reference, kill.hashes(results), complete=False) == []
    assert kill.differences(reference, kill.hashes(results), complete=True) == ["a/x.parquet: missing"]
    (results / "a/y.parquet").write_text("a/y.par")
    (results / "a/z.parquet").write_text("")
    said = kill.differences(reference, kill.hashes(results), complete=False)
    assert [line.partition(":")[0] for line in said] == ["a/y.parquet", "a/z.parquet"]


def test_every_rule_is_killed_in_every_way_in_turn():
    jobs = [kill.Job(rule, rule, [rule], 1.0) for rule in "abc"] + [kill.Job("c", "c2", ["c2"], 1.0)]
    killed = list(kill.order(jobs, 15))
    assert [job.rule for job, _ in killed] == list("abc") * 5
    assert {(job.rule, way) for job, way in killed} == {(rule, way) for rule in "abc" for way in kill.WAYS}
    assert [job.log for job, _ in killed if job.rule == "c"] == ["c", "c2", "c", "c2", "c"]
