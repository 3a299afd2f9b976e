"""Scores of concepts from scores of prompts, brought together with their counts."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fit.scores.imitation import image_scores, imitation_score, tabulate_scores


def test_a_prompts_score_is_the_mean_of_its_images():
    rng = np.random.default_rng(8)
    generated, targets = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in rng.normal(size=(2, 30, 8)))
    generated, targets = generated.astype(np.float32)[:7], targets.astype(np.float32)
    cosines = generated.astype(float) @ targets.T.astype(float)
    chosen = np.argsort(cosines.mean(axis=0))[-10:]
    assert image_scores(generated, targets, 10) == pytest.approx(cosines[:, chosen].mean(axis=1))
    assert imitation_score(generated, targets, 10) == image_scores(generated, targets, 10).mean()


def test_prompts_that_concepts_share_by_name_stand_in_one_order(tmp_path):
    # Pictures at hand: b has no folder of the first prompt, and its second is not taken for it.
    counts = {"concept": ["a", "b", "c"], "effective_count": [1, 2, 3]}
    pq.write_table(pa.table(counts), tmp_path / "counts.parquet")
    of_concepts = {"a": {"oil": [0.1], "ink": [0.2]}, "b": {"ink": [0.3]}, "c": {"oil": [0.4], "ink": [0.5]}}
    for concept, prompts in of_concepts.items():
        scores = {"score": [one[0] for one in prompts.values()], "image_scores": list(prompts.values())}
        pq.write_table(pa.table({"prompt": list(prompts)} | scores), tmp_path / f"{concept}.parquet")
    files = {concept: tmp_path / f"{concept}.parquet" for concept in of_concepts}
    found, _ = tabulate_scores(tmp_path / "counts.parquet", files)
    assert found.column("image_scores").to_pylist() == [[[0.1], [0.2]], [[], [0.3]], [[0.4], [0.5]]]
    assert found.column("score").to_pylist()[1] == 0.3


def test_tabulated_scores_carry_images_groups_and_the_counts_evidence(tmp_path):
    pq.write_table(
        pa.table({"concept": ["a", "b"], "effective_count": [9, 4], "captions": [10, 8], "matches": [8, 3]}),
        tmp_path / "counts.parquet",
    )
    for name, scores in (("a", [[0.1, 0.3], [0.4]]), ("b", [[0.6], None])):
        means = [None if one is None else float(np.mean(one)) for one in scores]
        of_prompts = {"prompt": [f"{name}, oil", f"{name}, ink"], "score": means, "image_scores": scores}
        pq.write_table(pa.table(of_prompts), tmp_path / f"{name}.parquet")
    (tmp_path / "sheet.tsv").write_text("concept\tname\tgroup\na\tAnn\teast\nb\tBob\t\n")
    files = {name: tmp_path / f"{name}.parquet" for name in "ab"}
    found, unscored = tabulate_scores(tmp_path / "counts.parquet", files, tmp_path / "sheet.tsv")
    assert unscored == {}
    assert found.column("concept").to_pylist() == ["b", "a"]
    assert found.column("group").to_pylist() == [None, "east"]
    assert found.column("captions").to_pylist() == [8, 10]
    assert found.column("downloaded").to_pylist() == [None, None]
    assert found.column("image_scores").to_pylist() == [[[0.6], []], [[0.1, 0.3], [0.4]]]
    assert found.column("score").to_pylist() == [0.6, pytest.approx(0.3)]
