"""The world of duplicates: what is painted, and how painters of equal count are compared."""

import json

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from fit.atelier.corpus import Noise, Painter, make_crawl, stream
from fit.atelier.painting import draw_styles
from fit.cli.main import main
from fit.copies.compare import COMPARED, by_count, draw_compared, mean_difference, summarise
from fit.copies.paint import DISTINCT, NONE, REPEATED, deal_kinds
from fit.copies.settings import CopiesWorldSettings
from fit.copies.tables import FOUND
from fit.embeddings import files
from fit.embeddings.base import Embedding
from fit.errors import ConfigError
from fit.images.table import REFERENCES
from fit.io.concept_tables import with_concepts

NAMES = ("Ada Morvek", "Bruno Calune", "Celia Dorn", "Dario Elm", "Elin Fenn")


def paint(folder, *options):
    (folder / "sheet.tsv").write_text(
        "concept\tname\n" + "".join(f"{name.lower().replace(' ', '-')}\t{name}\n" for name in NAMES)
    )
    return main(
        f"copies paint --sheet {folder}/sheet.tsv --counts 1 40 --painters-per-count 1 --references-per-painter 2 "
        f"--anonymous 3 --seed 3 --training-set {folder}/set.parquet --painters-file {folder}/painters.parquet "
        f"--prompts-file {folder}/prompts.parquet --references-file {folder}/references.parquet".split()
        + list(options)
    )


def test_half_of_the_painters_have_one_picture_that_is_repeated(tmp_path):
    assert paint(tmp_path) == 0
    painters = pl.read_parquet(tmp_path / "painters.parquet")
    assert sorted(painters.select("kind", "count").rows()) == sorted(
        [(DISTINCT, 1), (DISTINCT, 40), (REPEATED, 1), (REPEATED, 40), (NONE, 0)]
    )
    images = pl.read_parquet(tmp_path / "set.parquet")
    for row in painters.filter(pl.col("count") > 0).iter_rows(named=True):
        name = next(name for name in NAMES if name.lower().replace(" ", "-") == row["concept"])
        same = images.filter(pl.col("caption") == row["caption"])
        assert name in row["caption"]
        if row["kind"] == REPEATED:
            assert len(same) == row["count"] and same["image"].n_unique() == 1
        else:
            assert same["image"].n_unique() == len(same)
    prompts = dict(pl.read_parquet(tmp_path / "prompts.parquet").iter_rows())
    assert len(prompts) == 4
    # A single image is no duplicate, of whatever kind.
    memorised = painters.filter((pl.col("kind") == REPEATED) & (pl.col("count") == 40))["caption"]
    assert [caption for caption, is_memorised in prompts.items() if is_memorised] == memorised.to_list()


def test_other_painters_works_do_not_depend_on_who_is_repeated():
    painters = [Painter(name.lower().replace(" ", "-"), name, ()) for name in NAMES]
    styles, counts = draw_styles(len(painters), stream(5, "styles")), np.full(len(painters), 40)
    usual = make_crawl(painters, styles, counts, Noise(anonymous=2), 5)
    repeated = np.array([True, False, False, False, False])
    changed = make_crawl(painters, styles, counts, Noise(anonymous=2), 5, repeated)
    is_first = pl.col("painter") == painters[0].slug
    assert changed.filter(~is_first.fill_null(False)).equals(usual.filter(~is_first.fill_null(False)))
    assert changed["url"].equals(usual["url"])
    works = changed.filter(is_first)
    assert len(works) == 40 and works["image"].n_unique() == works["caption"].n_unique() == 1
    assert works["image"][0] in set(usual.filter(is_first)["image"])


def test_too_few_painters_are_refused(tmp_path, capsys):
    settings = CopiesWorldSettings(counts=[1, 2, 3], painters_per_count=1)
    with pytest.raises(ConfigError, match=r"asks for 6 painters .* but the sheet has 5"):
        deal_kinds(5, settings, np.random.default_rng(0))
    assert len(deal_kinds(6, settings, np.random.default_rng(0))) == 6


def made_up(copied, score):
    """Painters of 4 counts, two of each kind: `copied` and `score` are functions of kind, count and a number."""
    rows = [
        {"concept": f"{kind}-{count}-{n}", "kind": kind, "count": count, "norm": 1.0, "width": 0.2}
        | {
            "copied_share": copied(kind, count, n),
            "score": score(kind, count, n),
            "is_suspect": copied(kind, count, n) > 0,
        }
        | {"is_copy": copied(kind, count, n) > 0.5, "is_detected": kind == REPEATED and count > 10}
        for kind in (DISTINCT, REPEATED)
        for count in (1, 10, 100, 1000)
        for n in range(2)
    ]
    rows.append({"concept": "nobody", "kind": NONE, "count": 0, "score": 0.1})
    return pl.DataFrame(rows, schema=COMPARED)


@pytest.mark.slow
def test_the_difference_is_that_of_pairs_of_one_count(tmp_path):
    frame = made_up(
        lambda kind, count, n: (kind == REPEATED) * (count > 10) * (0.8 + 0.1 * n),
        lambda kind, count, n: 0.1 + (kind == DISTINCT) * 0.1 * np.log10(count),
    )
    copies = mean_difference(frame, "copied_share", 200, 0)
    assert copies["pairs"] == 6  # a single image is alike in both kinds
    assert copies["difference"] == pytest.approx(np.mean([0, 0, 0.8, 0.9, 0.8, 0.9]))
    assert copies["interval"][0] > 0
    imitation = mean_difference(frame, "score", 200, 0)
    assert imitation["difference"] == pytest.approx(-0.2) and imitation["interval"][1] < 0
    rows = {(row["kind"], row["count"]): row for row in by_count(frame)}
    assert rows[REPEATED, 100]["is_copy"]["hits"] == 2 and rows[DISTINCT, 100]["is_copy"]["hits"] == 0
    assert rows[REPEATED, 100]["copied_share"] == pytest.approx(0.85)
    assert rows[NONE, 0]["is_copy"] is None
    summary = summarise(frame, {"known": None}, 50, 0)
    draw_compared(frame, summary, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000


@pytest.mark.slow
def test_compare_joins_painters_with_what_was_found(tmp_path, capsys):
    assert paint(tmp_path) == 0
    painters = pl.read_parquet(tmp_path / "painters.parquet")
    slugs, rng = painters["concept"].to_list(), np.random.default_rng(0)
    captions = painters.drop_nulls("caption")["caption"].to_list()
    empty = dict.fromkeys(FOUND.names)
    rows = [
        empty
        | {"concept": f"caption-{n}", "caption": caption, "copied_share": n / 4, "is_copy": n > 1, "is_other": False}
        for n, caption in enumerate(captions)
    ]
    pa.parquet.write_table(pa.Table.from_pylist(rows, schema=FOUND), tmp_path / "found.parquet")
    (tmp_path / "found.json").write_text(json.dumps({"epsilon": {}, "known": None}))
    vectors = {slug: rng.normal(size=(6, 4)).astype(np.float32) for slug in slugs}
    vectors = {slug: v / np.linalg.norm(v, axis=1, keepdims=True) for slug, v in vectors.items()}
    for kind, part in (("generated", slice(0, 3)), ("references", slice(3, 6))):
        folder = tmp_path / kind
        folder.mkdir()
        (tmp_path / f"{kind}-vectors").mkdir()
        for slug in slugs:
            ids = [f"{slug}-0-{n:04d}" for n in range(3)]
            own = {
                "concept": slug,
                "prompt": "p",
                "index": 0,
                "seed": 0,
                "status": "ok",
                "kept": True,
                "decision": "kept",
            }
            names = (
                REFERENCES.names
                if kind == "references"
                else ["concept", "image_id", "prompt", "index", "seed", "status"]
            )
            table = pa.Table.from_pylist([{**own, "image_id": one, "bytes": b""} for one in ids]).select(names)
            pa.parquet.write_table(
                table.replace_schema_metadata(with_concepts(table.schema, [slug]).metadata), folder / f"{slug}.parquet"
            )
            embedded = files.rows(ids, [[Embedding(vector)] for vector in vectors[slug][part]], 4, concept=slug)
            pa.parquet.write_table(embedded, tmp_path / f"{kind}-vectors" / f"{slug}.parquet")
    words = (
        f"copies compare --painters {tmp_path}/painters.parquet --found {tmp_path}/found.parquet --summary "
        f"{tmp_path}/found.json --generated {tmp_path}/generated --generated-embeddings {tmp_path}/generated-vectors "
        f"--references {tmp_path}/references --reference-embeddings {tmp_path}/references-vectors --figure "
        f"{tmp_path}/figure.png --answer {tmp_path}/answer.json --out {tmp_path}/compared.parquet"
    ).split()
    # The painters' pictures are beside the table of references that `paint` wrote, which is not asked for here.
    assert main(words) == 0, capsys.readouterr().err
    found = {row["concept"]: row for row in pl.read_parquet(tmp_path / "compared.parquet").iter_rows(named=True)}
    for slug in slugs:
        own = vectors[slug]
        assert found[slug]["score"] == pytest.approx((own[:3] @ own[3:].T).mean(), abs=1e-5)
    with_caption = dict(painters.drop_nulls("caption").select("caption", "concept").iter_rows())
    for n, caption in enumerate(captions):
        assert found[with_caption[caption]]["copied_share"] == n / 4
    assert json.loads((tmp_path / "answer.json").read_text())["copies"]["pairs"] == 1
    pl.read_parquet(tmp_path / "found.parquet").head(1).write_parquet(tmp_path / "found.parquet")
    assert main(words) == 1
    assert "the caption of" in capsys.readouterr().err
