"""The sample of captions that name no concept: uniform, of such captions alone, whatever the order of files."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from printed import agree

from fit.captions.settings import ReadingSettings, SamplingSettings
from fit.cli.main import main
from fit.concepts.sheet import read_sheet
from fit.config.corpus import Corpus
from fit.errors import CorpusError, DataError
from fit.io.concept_tables import concepts_in
from fit.missed.sample import UNNAMED, read_population, sample_unnamed, write_sample


@pytest.fixture
def corpus(tmp_path):
    """Two files of 3,000 captions; every third names Ada, by name or alias, and every thirtieth is missing."""
    (tmp_path / "sheet.tsv").write_text("concept\tname\taliases\nada\tAda Lovelace\tCountess Ada\n")
    for number, name in enumerate(("a", "b")):
        rows = range(3000 * number, 3000 * (number + 1))
        captions = [
            None if i % 30 == 1 else ("ADA lovelace, a portrait", "Countess Ada")[i % 2] if i % 3 == 0 else f"a cat {i}"
            for i in rows
        ]
        table = pa.table({"caption": captions, "url": [f"https://x.test/{i}" for i in rows]})
        pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=700)
    return tmp_path


def sampled(corpus, size, files=("a", "b"), seed=1, **reading):
    return sample_unnamed(
        read_sheet(corpus / "sheet.tsv"),
        [str(corpus / f"{name}.parquet") for name in files],
        size,
        SamplingSettings(),
        ReadingSettings(**reading),
        seed,
    )


@pytest.mark.slow  # the matcher is compiled
def test_all_captions_that_name_no_concept_are_taken_where_they_are_few(corpus):
    table, population = sampled(corpus, 10_000)
    assert (population.rows, population.captions, population.is_exact) == (6000, 4000, True)
    urls = {int(url.rsplit("/", 1)[1]) for url in table.column("url").to_pylist()}
    assert urls == {i for i in range(6000) if i % 3}
    # An image without a caption is one whose caption names no concept.
    assert table.column("caption").null_count == 200


@pytest.mark.slow
def test_a_sample_is_uniform_and_the_same_in_any_order_of_files(corpus):
    table, population = sampled(corpus, 400)
    again, _ = sampled(corpus, 400, files=("b", "a"))
    assert table.equals(again) and len(table) == 400
    assert not sampled(corpus, 400, seed=2)[0].equals(table)
    assert not population.is_exact
    # The standard error of the number of captions is one part in 20.
    assert population.captions == pytest.approx(4000, rel=0.15)
    counted = [sampled(corpus, 200, seed=seed)[1].captions for seed in range(30)]
    assert np.mean(counted) == pytest.approx(4000, rel=0.05)
    from_a = sum(shard.startswith("a") for shard in table.column("shard").to_pylist())
    assert 150 < from_a < 250


def test_a_broken_file_stops_the_sample_or_is_left_out(corpus, capsys):
    (corpus / "c.parquet").write_bytes(b"not Parquet")
    with pytest.raises(CorpusError, match=r"c\.parquet"):
        sampled(corpus, 10, files=("a", "c"))
    assert sampled(corpus, 10, files=("a", "c"), on_bad_shard="skip")[1].rows == 3000
    assert "skipped" in capsys.readouterr().err
    with pytest.raises(CorpusError, match="no caption was read"):
        sampled(corpus, 10, files=("c",), on_bad_shard="skip")


def test_the_command_writes_a_table_that_images_are_collected_from(corpus, capsys):
    out = corpus / "sample.parquet"
    given = ["--concepts", corpus / "sheet.tsv", "--captions", corpus / "a.parquet", corpus / "b.parquet"]
    assert main(list(map(str, ["missed", "sample", *given, "--unnamed-sample", 50, "--out", out]))) == 0
    assert concepts_in(out) == [UNNAMED]
    assert pq.read_table(out).column("concept").unique().to_pylist() == [UNNAMED]
    assert read_population(out).rows == 6000
    _, found = agree(capsys, "missed", "sample", *given, "--unnamed-sample", 50, "--out", out)
    assert found["sampled"] == 50 and found["population"]["rows"] == 6000
    with pytest.raises(DataError, match="fit missed sample"):
        read_population(corpus / "a.parquet")


def test_the_population_survives_being_written(corpus):
    table, population = sampled(corpus, 300)
    write_sample(table, population, corpus / "out.parquet")
    assert read_population(corpus / "out.parquet") == population


def test_the_size_of_the_sample_is_a_setting_of_the_corpus():
    files = {"files": ["a.parquet"]}
    assert Corpus(captions=files, images="http").unnamed_sample == 100_000
    assert Corpus(captions=files, images="http", unnamed_sample=7).may_be_missed
    assert not Corpus(provided_images="folder").may_be_missed
    assert not Corpus(captions={"elasticsearch": "index"}, images="http").may_be_missed
