"""Other scores against plain computations of the same, and on pictures whose resemblance is known."""

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from scipy.linalg import sqrtm

from fit.alternatives import frechet_distance, mean_of_top, score_concept, tabulate
from fit.embeddings.base import Embedding
from fit.embeddings.files import rows
from fit.errors import DataError
from fit.images.table import GENERATED, REFERENCES
from fit.io.parquet import write


def unit(rows_):
    rows_ = np.asarray(rows_, np.float32)
    return rows_ / np.linalg.norm(rows_, axis=-1, keepdims=True)


def test_frechet_distance_is_that_of_two_gaussians():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6)), rng.normal(size=(200, 6)) + 1
    c1, c2 = np.cov(one.T), np.cov(other.T)
    plain = ((one.mean(0) - other.mean(0)) ** 2).sum() + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real)
    assert frechet_distance(one, other) == pytest.approx(plain, rel=1e-6)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_of_fewer_vectors_than_numbers():
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=(5, 64)), rng.normal(size=(7, 64)) + 2
    # Both lie in few of 64 dimensions: in a basis of those, their covariances are the same.
    basis = np.linalg.svd(np.concatenate([one, other]), full_matrices=False)[2]
    few = one @ basis.T, other @ basis.T
    c1, c2 = (np.cov(x.T) + 1e-9 * np.eye(12) for x in few)
    plain = ((few[0].mean(0) - few[1].mean(0)) ** 2).sum() + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real)
    assert frechet_distance(one, other) == pytest.approx(plain, rel=1e-3)
    many = rng.normal(size=(20_000, 4))
    c1, c2 = np.cov(few[0][:, :4].T), np.cov(many.T)
    plain = ((few[0][:, :4].mean(0) - many.mean(0)) ** 2).sum() + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real)
    assert frechet_distance(few[0][:, :4], many) == pytest.approx(plain, rel=1e-6)
    with pytest.raises(DataError, match="two vectors"):
        frechet_distance(one[:1], other)


def test_mean_of_top_takes_each_images_own_nearest():
    rng = np.random.default_rng(2)
    generated, targets = unit(rng.normal(size=(4, 8))), unit(rng.normal(size=(9, 8)))
    plain = np.mean([np.mean(sorted(g @ t for t in targets)[-5:]) for g in generated])
    assert mean_of_top(generated, targets) == pytest.approx(plain, abs=1e-6)
    assert mean_of_top(generated, targets[:2]) == pytest.approx((generated @ targets[:2].T).mean(), abs=1e-6)


@pytest.fixture
def concept(tmp_path):
    """Files of a concept with two prompts of three images; one prompt's images point where its text points."""
    rng = np.random.default_rng(3)
    names = [f"c-{p}-{i}" for p in range(2) for i in range(3)]
    prompts = ["a portrait of C"] * 3 + ["C, oil"] * 3
    table = [
        {"image_id": n, "prompt": p, "index": 0, "seed": 0, "bytes": b"x"} for n, p in zip(names, prompts, strict=True)
    ]
    paths = {
        name: tmp_path / f"{name}.parquet" for name in ("generated", "of_generated", "references", "of_references")
    }
    paths |= {name: tmp_path / f"{name}.parquet" for name in ("clip", "prompts")}
    write(pa.Table.from_pylist(table, schema=GENERATED), paths["generated"])
    vectors, of_references = unit(rng.normal(size=(6, 4))), unit(rng.normal(size=(12, 4)))
    texts = unit(np.eye(4)[:2])
    clip = np.concatenate([np.repeat(texts[:1], 3, 0), unit(rng.normal(size=(3, 4)))])

    def store(name, ids, values):
        write(rows(ids, [[Embedding(v)] for v in values], 4), paths[name])

    store("of_generated", names, vectors)
    store("clip", names, clip)
    store("prompts", ["a portrait of C", "C, oil"], texts)
    ids = [f"r-{i}" for i in range(12)]
    kept = [{"image_id": i, "kept": True, "decision": "kept", "bytes": b"x"} for i in ids]
    write(pa.Table.from_pylist(kept, schema=REFERENCES), paths["references"])
    store("of_references", ids, of_references)
    return paths, vectors, of_references, clip, texts


def of(paths, **others):
    files = [paths[name] for name in ("generated", "of_generated")]
    more = {"prompt_images": paths["clip"], "prompts": paths["prompts"]} | others
    references = (paths["references"], paths["of_references"])
    return score_concept(*files, None, None, *references, targets_rule="matches_or_references", **more).to_pylist()


def test_a_concept_has_a_row_per_kind_and_prompt(concept):
    paths, vectors, of_references, clip, texts = concept
    found = {(row["kind"], row["prompt"]): row["value"] for row in of(paths)}
    assert found["clip", "a portrait of C"] == pytest.approx(1)
    assert found["clip", "C, oil"] == pytest.approx(float((clip[3:] @ texts[1]).mean()), abs=1e-6)
    assert found["frechet", None] == pytest.approx(frechet_distance(vectors, of_references))
    assert found["top5", "C, oil"] == pytest.approx(mean_of_top(vectors[3:], of_references))
    assert not [row for row in of(paths, prompt_images=None, prompts=None) if row["kind"] == "clip"]


def test_tables_are_on_the_scale_of_imitation_scores_and_a_distance_is_turned_round(tmp_path):
    slugs = [f"c{i:02d}" for i in range(12)]
    scores = np.linspace(0.1, 0.8, 12)
    imitation = tmp_path / "table.parquet"
    of_counts = {"low": range(12), "high": range(2, 14), "image_scores": [[[score]] for score in scores]}
    table = {"concept": slugs, "effective_count": range(12), "score": scores} | of_counts
    pl.DataFrame(table).write_parquet(imitation)
    files = {}
    for slug, score in zip(slugs[:-1], scores, strict=False):
        files[slug] = tmp_path / f"{slug}.parquet"
        pl.DataFrame({"kind": ["frechet"], "prompt": [None], "value": [5 - 3 * score]}).write_parquet(files[slug])
    table = pl.from_arrow(tabulate(imitation, files, "frechet"))
    assert table["concept"].to_list() == slugs[:-1]
    assert table["score"].to_numpy() == pytest.approx(scores[:-1])
    assert table["high"].to_list() == list(range(2, 13)) and "image_scores" not in table.columns
    with pytest.raises(DataError, match="prompt_embedder"):
        tabulate(imitation, files, "clip")
    # Pictures at hand, in folders that are not named by their prompts.
    for path in files.values():
        pl.DataFrame({"kind": ["clip"], "prompt": ["oil"], "value": [None]}).write_parquet(path)
    with pytest.raises(DataError, match=r"such as 'oil', are none of the domain's; .*named by its whole prompt"):
        tabulate(imitation, files, "clip")
