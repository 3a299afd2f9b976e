"""Counts without the recogniser's errors."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from concept_files import write_rows

from fit.cli.main import main
from fit.counts.corrected import ImageErrors, Rate, corrected_count, read_image_errors
from fit.counts.estimate import effective_count
from fit.errors import FitError
from fit.images.table import COLLECTED
from fit.matches.image_rates import rates_of_concepts
from fit.matches.match import MATCHES


def test_false_matches_are_taken_off():
    # 500 images of 100,000 show the concept: 475 of them match, and 995 others.
    assert effective_count(1470, 100_000, 100_000)[0] == 1470
    errors = ImageErrors(Rate(0.95, 2000), Rate(0.01, 20_000))
    count, low, high = corrected_count(1470, 100_000, 100_000, errors)
    assert count == 500
    # The false positive rate alone is known to about 0.0007: 70 images.
    assert 250 < low < 400 and 600 < high < 750
    # A rate that is known worse gives a wider interval.
    assert corrected_count(1470, 100_000, 100_000, ImageErrors(Rate(0.95, 2000), Rate(0.01, 200)))[1] == 0


def test_a_recogniser_without_errors_changes_no_count():
    certain = ImageErrors(Rate(1, 1e9), Rate(0, 1e9))
    assert corrected_count(400, 500, 475, certain)[0] == effective_count(400, 500, 475)[0]
    assert corrected_count(300, 300, 300, certain) == (300, 300, 300)
    # Several faces of an image match: a factor.
    assert corrected_count(30, 20, 20, certain) == (30, 30, 30)


def test_a_corrected_count_is_neither_negative_nor_more_than_the_captions():
    errors = ImageErrors(Rate(0.9, 500), Rate(0.05, 500))
    assert corrected_count(10, 1000, 1000, errors)[:2] == (0, 0)
    count, _, high = corrected_count(990, 1000, 1000, errors)
    assert count == high == 1000


def test_matches_that_say_nothing_are_not_corrected():
    assert corrected_count(10, 100, 50, ImageErrors(Rate(0.2, 100), Rate(0.2, 100))) is None
    assert corrected_count(0, 100, 0, ImageErrors(Rate(0.9, 100), Rate(0.01, 100))) is None


def test_an_art_filter_loses_artworks_of_everyone():
    plain, filtered = (ImageErrors(Rate(0.9, 500), Rate(0.1, 500), art) for art in (None, Rate(0.5, 500)))
    # 0.5 x (0.9 x 400 + 0.1 x 600) of 1,000 pass.
    assert corrected_count(420, 1000, 1000, plain)[0] == corrected_count(210, 1000, 1000, filtered)[0] == 400


@pytest.mark.slow
@pytest.mark.parametrize(("shown", "downloaded"), [(300, 1500), (20, 2000), (1900, 1500)])
def test_the_corrected_interval_covers_the_truth(shown, downloaded):
    rng = np.random.default_rng(7)
    covered = []
    for _ in range(300):
        tpr, fpr = rng.binomial(400, 0.9) / 400, rng.binomial(2000, 0.02) / 2000
        seen = rng.hypergeometric(shown, 2000 - shown, downloaded)
        matches = int(rng.binomial(seen, 0.9) + rng.binomial(downloaded - seen, 0.02))
        _, low, high = corrected_count(matches, 2000, downloaded, ImageErrors(Rate(tpr, 400), Rate(fpr, 2000)))
        covered.append(low <= shown <= high)
    assert np.mean(covered) >= 0.92


def test_counts_of_a_study_are_corrected_beside_the_raw_ones(tmp_path, capsys):
    (tmp_path / "sheet.tsv").write_text("concept\tname\na\tA\n")
    (tmp_path / "captions.csv").write_text("concept,captions\na,400\n")
    images = [{"image_id": f"{i}", "status": "ok"} for i in range(200)]
    matches = [{"image_id": f"{i}", "similarity": 0.5, "match": i < 60} for i in range(200)]
    write_rows(tmp_path / "images.parquet", {"a": images}, COLLECTED)
    write_rows(tmp_path / "matches.parquet", {"a": matches}, MATCHES)
    rates = {"image_tpr": 0.9, "image_tpr_trials": 300.0, "image_fpr": 0.1, "image_fpr_trials": 300.0}
    rates_file = tmp_path / "rates.json"

    def estimated(rates, *more):
        rates_file.write_text(json.dumps(rates))
        places = [f"--{name}={tmp_path / name}.parquet" for name in ("images", "matches", "out")]
        given = ["--sheet", tmp_path / "sheet.tsv", "--captions", tmp_path / "captions.csv", *places, *more]
        assert main(["counts", "estimate", *map(str, given)]) == 0
        return pq.read_table(tmp_path / "out.parquet").to_pylist()[0]

    row = estimated(rates, "--match-threshold", rates_file)
    # (0.3 - 0.1) / (0.9 - 0.1) of 400.
    assert (row["effective_count"], row["corrected_count"]) == (120, 100)
    assert row["corrected_low"] < 100 < row["corrected_high"]
    assert estimated(rates)["corrected_count"] is None
    unknown = estimated(rates | {"image_fpr": None}, "--match-threshold", rates_file)
    assert (unknown["effective_count"], unknown["corrected_count"]) == (120, None)
    row = estimated(rates | {"image_tpr": 0.05}, "--match-threshold", rates_file)
    assert row["corrected_count"] is None and "no count can be corrected" in capsys.readouterr().err


def test_a_file_without_rates_of_images_is_refused(tmp_path):
    (tmp_path / "old.json").write_text('{"match_threshold": 0.4}')
    with pytest.raises(FitError, match=r"old\.json: no key `image_tpr`.*fit matches threshold"):
        read_image_errors(tmp_path / "old.json")


def test_each_concept_is_corrected_by_its_own_rates_and_one_without_any_by_their_spread(tmp_path):
    own = {"tpr": [0.95, 1000.0], "fpr": [0.001, 1000.0]}
    rates = {"image_tpr": 0.95, "image_tpr_trials": 300.0, "image_fpr": 0.01, "image_fpr_trials": 300.0}
    rates["image_rates"] = {"rare": own, "confused": own | {"fpr": [0.05, 1000.0]}}
    rates["image_rates_of_others"] = own | {"fpr": [0.01, 5.0]}
    (tmp_path / "rates.json").write_text(json.dumps(rates))
    errors = read_image_errors(tmp_path / "rates.json")
    rare, confused, other = (
        corrected_count(60, 1000, 1000, errors.of(name)) for name in ("rare", "confused", "not in the file")
    )
    assert rare[0] == pytest.approx((0.06 - 0.001) / (0.95 - 0.001) * 1000, abs=1) and rare[1] > 40
    assert confused[0] == pytest.approx(11, abs=1) and confused[1] == 0
    assert other[2] - other[1] > rare[2] - rare[1]
    assert errors.rates == (0.95, 0.01)
    rates["image_rates"]["rare"] = {"tpr": [1.0], "fpr": [0.1, 2.0]}
    (tmp_path / "rates.json").write_text(json.dumps(rates))
    with pytest.raises(FitError, match=r"rates\.json: image_rates holds something"):
        read_image_errors(tmp_path / "rates.json")


def test_an_interval_holds_the_truth_where_concepts_are_confused_more_or_less_often():
    """Half of the concepts have a false positive rate of 0.001, half of 0.04; 20 of 2,000 captions show each."""
    rng, number = np.random.default_rng(6), 40
    fpr = np.where(np.arange(number) % 2, 0.04, 0.001)
    accepted = rng.binomial(20, np.tile(fpr[:, None], (1, number)))
    accepted[np.diag_indices(number)] = rng.binomial(20, 0.95, number)
    rates, _ = rates_of_concepts(accepted, np.full(number, 20), 800, 800)
    one = ImageErrors(Rate(0.95, 800), Rate(fpr.mean(), 800))
    matches = rng.binomial(20, 0.95, number) + rng.binomial(1980, fpr)
    held = {"one": 0, "own": 0}
    for matched, of_concept in zip(matches.tolist(), rates, strict=True):
        own = ImageErrors(*(Rate(*of_concept[name]) for name in ("tpr", "fpr")))
        for name, errors in (("one", one), ("own", own)):
            _, low, high = corrected_count(matched, 2000, 2000, errors)
            held[name] += low <= 20 <= high
    assert held["own"] >= 0.9 * number > held["one"]
