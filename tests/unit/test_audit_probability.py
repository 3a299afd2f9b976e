"""An audit says where there is no verdict, how likely each verdict is, and how many are expected to be wrong."""

import csv
import json
import re

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from fit.audits.counts import ConceptCount
from fit.audits.likelihood import HighScores, probability_of_reaching
from fit.audits.threshold import Threshold, read_threshold
from fit.audits.verdicts import audit
from fit.cli.main import main
from fit.thresholds.distribution import QUANTILES, threshold_quantiles
from fit.thresholds.report import measure
from fit.thresholds.scores import sort_scores

QUANTILES_OF_50 = tuple(np.linspace(40, 60, 100))
STUDY = {
    "threshold": 50,
    "interval": [40, 60],
    "concepts": 40,
    "estimator": "pelt",
    "estimators": {"pelt": {"threshold": 50, "quantiles": list(QUANTILES_OF_50)}},
    "resamples_with_a_change": 1.0,
    "permutation_test": {"p_value": 0.001},
    "below": {"mean_score": 0.2},
    "above": {"mean_score": 0.6},
}


def study_file(folder, **changed):
    path = folder / "t.json"
    path.write_text(json.dumps(STUDY | changed))
    return str(path)


REFUSED = [
    ({"below": {"mean_score": 0.6}, "above": {"mean_score": 0.2}}, "the scores fall"),
    ({"direction": "fall"}, "the scores fall"),
    ({"permutation_test": {"p_value": 0.82}}, "chance alone often makes such a jump (p = 0.82)"),
    ({"permutation_test": {"p_value": 0.001, "p_value_families": 0.2}}, "(p = 0.2)"),
    ({"resamples_with_a_change": 0.34}, "only 34% of the resamples have a threshold"),
    ({"threshold": None, "interval": None, "reason": "too few concepts: 4, at least 10"}, "too few concepts"),
    ({"threshold": 0, "interval": [0, 9]}, "the scores change among concepts that have no training image"),
]


@pytest.mark.parametrize(("changed", "why"), REFUSED)
def test_a_study_that_shows_no_threshold_gives_no_verdict_and_says_why(tmp_path, capsys, changed, why):
    (tmp_path / "c.csv").write_text("concept,effective_count,low,high\na,900,800,1000\nb,3,1,9\nc,,,\n")
    (tmp_path / "m.parquet").write_bytes(b"not read")
    files = ["--counts", str(tmp_path / "c.csv"), "--out", str(tmp_path / "a.tsv"), "--plan", str(tmp_path / "plan")]
    command = ["audit", "--threshold", study_file(tmp_path, **changed), *files]
    assert main([*command, "--matched-captions", str(tmp_path / "m.parquet")]) == 1
    said = capsys.readouterr()
    assert "no verdict" in said.err and why in said.err
    assert why in re.sub(r"\s+", " ", said.out)
    with (tmp_path / "a.tsv").open(newline="") as file:
        rows = {row["concept"]: row for row in csv.DictReader(file, delimiter="\t")}
    assert [rows[name]["verdict"] for name in "abc"] == ["refused", "refused", "unknown"]
    assert why in rows["a"]["reason"]
    assert {rows["a"][name] for name in ("by", "p_above", "to_remove")} == {""}
    assert why in (tmp_path / "a.tsv.txt").read_text()
    assert not list(tmp_path.glob("plan*"))


def test_a_study_that_shows_a_threshold_is_not_refused(tmp_path, capsys):
    (tmp_path / "c.csv").write_text("concept,effective_count,low,high\na,900,800,1000\n")
    assert main(["audit", "--threshold", study_file(tmp_path), "--counts", str(tmp_path / "c.csv")]) == 0
    assert "0 below, 0 unknown" in capsys.readouterr().out


def test_what_a_file_does_not_say_is_said_to_be_unknown(tmp_path):
    few = read_threshold(study_file(tmp_path, resamples_with_a_change=0.9))
    assert few.refusal is None
    assert "Only 90% of the resamples" in audit([ConceptCount("a", 70)], few).note()
    bare = read_threshold(study_file(tmp_path, estimators={}, permutation_test=None))
    found = audit([ConceptCount("a", 70)], bare)
    assert "no permutation test" in found.note()
    assert "`fit thresholds detect` again" in found.note()
    assert "p_above" not in found.rows[0]


# --- P(count >= threshold) --------------------------------------------------------------------------------------------


def p_above(count, low=None, high=None, quantiles=QUANTILES_OF_50):
    return float(probability_of_reaching([count], [low], [high], quantiles).mean())


def test_an_exact_count_reaches_the_thresholds_up_to_it():
    assert [p_above(count) for count in (0, 39, 50, 60, 10**6)] == [0, 0, 0.5, 1, 1]
    assert p_above(7, quantiles=(7.0,)) == 1


def test_a_count_with_an_interval_has_its_ends_at_2_and_a_half_per_cent():
    for end, expected in ((30, 0.975), (100, 0.025), (50, 0.5)):
        assert p_above(50, 30, 100, (end,)) == pytest.approx(expected)
    assert p_above(0, 0, 20, (20.0,)) == pytest.approx(0.025)
    assert p_above(20, 20, 20, (19.0,)) == 1
    assert p_above(20, 20, 60, (19.0,)) == 1


def test_the_quantiles_of_a_threshold_lie_between_the_concepts_that_its_resamples_know():
    counts = np.array([0, 10, 10, 100, 1000])
    found = np.array([100.0] * 3 + [1000.0] + [np.nan] * 4)
    quantiles = np.array(threshold_quantiles("pelt", found, counts))
    assert len(quantiles) == QUANTILES and (np.diff(quantiles) >= 0).all()
    assert 10 < quantiles[0] < quantiles[60] < 100 < quantiles[90] < 1000
    assert (quantiles <= 100).mean() == pytest.approx(0.75, abs=0.1)
    assert threshold_quantiles("pelt", np.full(5, np.nan), counts) == []


def test_expected_errors_are_the_sum_of_the_probabilities_and_not_of_those_within():
    threshold = Threshold(50, 45, 55, True, QUANTILES_OF_50)
    counted = [ConceptCount("a", 57), ConceptCount("b", 43), ConceptCount("c", 50), ConceptCount("d", 999)]
    found = audit(counted, threshold)
    rows = {row["concept"]: row for row in found.rows}
    wrong = 1 - rows["a"]["p_above"] + rows["b"]["p_above"]
    assert rows["d"]["p_above"] == 1 and 0.2 < wrong < 0.4
    assert f"Of the 3 verdicts above or below, {wrong:.1f} are expected to be wrong" in found.note()


# --- P(score is high | count) -----------------------------------------------------------------------------------------


def step(concepts=200, at=100, seed=0):
    rng = np.random.default_rng(seed)
    counts = np.floor(10 ** rng.uniform(0, 4, concepts))
    return sort_scores(
        [f"c{i}" for i in range(concepts)], counts, 0.15 + 0.35 * (counts >= at) + rng.normal(0, 0.05, concepts)
    )


def test_the_share_of_high_scores_rises_at_the_threshold_and_is_never_sure():
    model = HighScores(step(), 100)
    assert model.level == pytest.approx(0.325, abs=0.02)
    chances = [model.probability("new", count) for count in (0, 10, 60, 150, 1000, 10**7)]
    assert all(0 <= low <= p <= high <= 1 for p, low, high in chances)
    assert [p < 0.3 for p, *_ in chances] == [True, True, True, False, False, False]
    assert chances[0][0] > 0 and chances[-1][0] < 1
    assert chances[-1][2] == 1 and chances[0][1] == 0


def test_a_concepts_own_score_does_not_predict_itself():
    table = step()
    odd = np.array(table.scores)
    row = int(np.searchsorted(table.counts, 500))
    odd[row] = 0.0
    changed = sort_scores(table.concepts, table.counts, odd)
    name, count = str(table.concepts[row]), int(table.counts[row])
    assert HighScores(changed, 100).probability(name, count) == HighScores(table, 100).probability(name, count)
    assert HighScores(changed, 100).probability("new", count) != HighScores(table, 100).probability("new", count)


def test_the_names_of_concepts_do_not_matter():
    counts = np.repeat([0, 5, 50, 500], 40)
    scores = np.random.default_rng(0).permutation(counts / 1000)
    names = [f"c{i:03d}" for i in range(len(counts))]
    found = [
        HighScores(sort_scores(of, counts, scores + counts / 500), 50).probability("new", 5)
        for of in (names, names[::-1])
    ]
    assert found[0] == found[1]


def test_a_table_that_cannot_say_what_a_high_score_is(tmp_path, capsys):
    (tmp_path / "c.csv").write_text("concept,effective_count\na,900\n")
    rows = [f"c{i},{10 * i},{1 - i / 100}" for i in range(40)]
    (tmp_path / "s.csv").write_text("\n".join(["concept,effective_count,score", *rows]))
    files = ["--counts", str(tmp_path / "c.csv"), "--scores", str(tmp_path / "s.csv")]
    for threshold, why in (("5000", "is above 5000 images"), ("0", "is below 0 images"), ("50", "do not rise at 50")):
        assert main(["audit", "--threshold", threshold, *files]) == 1
        assert f"{why}" in capsys.readouterr().err
    assert main(["audit", "--threshold", study_file(tmp_path, concepts=41), *files]) == 1
    assert "40 concepts, but the threshold was found in 41" in capsys.readouterr().err


def test_the_table_of_scores_is_used(tmp_path, capsys):
    table = step(60)
    (tmp_path / "c.csv").write_text("concept,effective_count\na,900\nb,2\n")
    rows = [f"{c},{n:.0f},{s}" for c, n, s in zip(table.concepts, table.counts, table.scores, strict=True)]
    (tmp_path / "s.csv").write_text("\n".join(["concept,effective_count,score", *rows]))
    files = ["--counts", str(tmp_path / "c.csv"), "--scores", str(tmp_path / "s.csv"), "--out", str(tmp_path / "a.tsv")]
    assert main(["audit", "--threshold", "100", *files]) == 0
    said = capsys.readouterr().out
    assert "Of the 1 concept above, 0." in said and "expected to have a low score" in said
    with (tmp_path / "a.tsv").open(newline="") as file:
        rows = {row["concept"]: row for row in csv.DictReader(file, delimiter="\t")}
    assert float(rows["a"]["p_high_low"]) < float(rows["a"]["p_high"]) <= float(rows["a"]["p_high_high"])
    assert float(rows["a"]["p_high"]) > 0.8 > 0.2 > float(rows["b"]["p_high"])


# --- calibration ------------------------------------------------------------------------------------------------------


def rise(counts, at, fold):
    return expit((np.log1p(counts) - np.log1p(at)) * 2 * np.log(9) / np.log(fold))


@pytest.fixture(scope="module")
def judged():
    """(P(count >= threshold), whether it does) of counts around the thresholds of 30 studies; and of other counts
    (P(score is high | count), whether it is, whether its interval holds the truth)."""
    rng = np.random.default_rng(20)
    sides, scores = [], []
    for study in range(30):
        at, fold = np.exp(rng.uniform(*np.log([30, 600]))), (1.001, 4, 20)[study % 3]
        counts = np.floor(10 ** rng.uniform(0, 4, 100))
        table = sort_scores(
            [f"c{i}" for i in range(100)], counts, 0.15 + 0.35 * rise(counts, at, fold) + rng.normal(0, 0.1, 100)
        )
        found = measure(table, penalty=0.9, resamples=200, seed=study, estimators=["logistic"])
        if found["neighbours"]["alike"]:  # by chance, in one study of fifty; then there is no verdict
            continue
        quantiles = found["estimators"]["logistic"]["quantiles"]
        true = np.floor(at * np.exp(rng.normal(0, 1, 60)))
        spread = rng.choice([0.0, 0.2, 0.5], 60)
        seen = np.log1p(true) + spread * rng.normal(size=60)
        ends = (np.maximum(np.rint(np.expm1(seen + z * spread)), 0).astype(int) for z in (0, -1.96, 1.96))
        chances = probability_of_reaching(*(list(map(int, end)) for end in ends), quantiles).mean(axis=1)
        sides += list(zip(chances, true >= at, strict=True))
        model = HighScores(table, int(np.ceil(found["threshold"])))
        others = np.floor(10 ** rng.uniform(0, 4, 30))
        truth = norm.sf((model.level - 0.15 - 0.35 * rise(others, at, fold)) / 0.1)
        for count, share in zip(others, truth, strict=True):
            chance, low, high = model.probability("new", int(count))
            scores.append((chance, rng.random() < share, low - 1e-9 <= share <= high + 1e-9))
    return np.array(sides, float), np.array(scores, float)


def by_chance(judged):
    """(mean P, share that happened) in five parts of the range of P."""
    bins = np.digitize(judged[:, 0], [0.1, 0.35, 0.65, 0.9])
    return [judged[bins == part, :2].mean(axis=0) for part in range(5)]


@pytest.mark.slow
def test_of_counts_of_like_probability_that_share_reaches_the_threshold(judged):
    # Of one study all go wrong together, so that 30 studies are few.
    assert by_chance(judged[0]) == [pytest.approx([chance, chance], abs=0.15) for chance, _ in by_chance(judged[0])]


@pytest.mark.slow
def test_the_probability_of_a_high_score_is_right_or_nearer_to_a_half(judged):
    lowest, low, _, high, highest = by_chance(judged[1])
    for chance, happened in (lowest, low):
        assert chance - 0.15 < happened < chance + 0.05
    for chance, happened in (high, highest):
        assert chance - 0.05 < happened < chance + 0.15


@pytest.mark.slow
def test_as_many_verdicts_are_wrong_as_expected(judged):
    chances, reached = judged[0].T
    expected = np.minimum(chances, 1 - chances).mean()
    assert ((chances >= 0.5) != reached).mean() == pytest.approx(expected, rel=0.35)
    chances, is_high, _ = judged[1].T
    assert 0.4 * np.minimum(chances, 1 - chances).mean() < ((chances >= 0.5) != is_high).mean()
    assert ((chances >= 0.5) != is_high).mean() < 1.2 * np.minimum(chances, 1 - chances).mean()


@pytest.mark.slow
def test_the_interval_of_the_share_of_high_scores_holds_it(judged):
    assert judged[1][:, 2].mean() >= 0.95
