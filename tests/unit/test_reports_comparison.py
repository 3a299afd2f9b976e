"""Published numbers beside those that a study found."""

import json

import pytest

from fit.published import LATER_CHANGES, THRESHOLDS
from fit.reports.comparison import comparison_table, comparisons
from fit.reports.invariance import Invariance
from fit.thresholds.report import detect

FACES = ("sd1.1", "celebrities")  # published: 364
CLASSICAL = ("sd1.1", "classical_artists")  # published: 112, then 391


@pytest.fixture
def result(tmp_path):
    """Write a threshold's JSON: a jump at 400, with what is given in place of what was found; return its path."""

    def write(estimators=("pelt", "one_change"), scores=None, **instead):
        scores = scores or [0.1] * 10 + [0.9] * 10
        names, counts = [f"c{i:02d}" for i in range(20)], [i * 40 for i in range(20)]
        found = detect(names, counts, scores, penalty=0.9, resamples=50, seed=0, estimators=estimators)
        for key in set(instead) & set(estimators):
            found["estimators"][key] |= instead.pop(key)
        path = tmp_path / "threshold.json"
        path.write_text(json.dumps(found | instead))
        return path

    return write


def lies(path, pair=FACES):
    return next(one for one in comparisons({pair: path}, {}, [pair]) if one.what == "imitation threshold")


def test_the_source_of_every_model_is_there():
    four = ("celebrities", "politicians", "classical_artists", "modern_artists")
    assert [THRESHOLDS["sd1.5", domain] for domain in four] == [THRESHOLDS["sd1.1", domain] for domain in four]
    assert [THRESHOLDS["sd2.1", domain] for domain in four] == [527, 369, 185, 241]
    assert [THRESHOLDS[f"sd1.{i}", "politicians"] for i in range(1, 6)] == [234, 252, 234, 234, 234]
    assert LATER_CHANGES == {CLASSICAL: (391,)}


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ([300.0, 480.0], "lies within the interval"),
        ([300.0, 364.0], "lies within the interval"),  # at most the second number
        ([364.0, 480.0], "lies below the interval"),  # above the first
        ([380.0, 480.0], "lies below the interval"),
        ([120.0, 363.0], "lies above the interval"),
        (None, "not compared: no interval was found"),
    ],
)
def test_where_a_published_threshold_lies_is_said(result, interval, said):
    one = lies(result(pelt={"interval": interval}))
    assert (one.published, one.found, one.lies) == ("364 images", "400 by PELT", said)


def test_it_is_compared_with_the_papers_estimator_whatever_the_headline_is(result):
    path = result(estimators=("one_change", "pelt"), one_change={"threshold": 1, "interval": [0, 2]})
    one = lies(path)
    assert one.found == "400 by PELT"
    text = one.sentence()
    assert text.startswith("sd1.1, celebrities: the published imitation threshold, 364 images, lies ")
    assert "(found: 400 by PELT, " in text


def test_the_estimator_that_is_the_papers_bit_for_bit_comes_first(result):
    path = result()
    found = json.loads(path.read_text())
    found["estimators"]["pelt_published"] = found["estimators"]["pelt"] | {"threshold": 280, "interval": [240, 360]}
    path.write_text(json.dumps(found))
    one = lies(path)
    assert one.found.startswith("280 by ") and one.lies == "lies above the interval"


def test_without_an_interval_of_its_own_the_next_nearest_to_the_paper_is_taken(result):
    path = result()
    found = json.loads(path.read_text())
    found["estimators"]["pelt_published"] = found["estimators"]["pelt"] | {"threshold": 280, "interval": None}
    path.write_text(json.dumps(found))
    assert lies(path).found == "400 by PELT"


def test_a_change_among_concepts_without_images_is_not_compared(result):
    one = lies(result(pelt={"threshold": 0, "interval": [0, 0]}))
    assert "no training image" in one.found and not one.is_compared


def test_a_fall_and_no_change_are_not_compared(result):
    fall = lies(result(scores=[0.9] * 10 + [0.1] * 10))
    assert fall.found.startswith("none by PELT: the scores fall") and fall.lies == "not compared: none was found"
    said = lies(result(estimators=("one_change", "pelt"), pelt={"direction": "fall"}))
    assert said.found.startswith("none by PELT: the scores fall")
    none = lies(result(scores=[0.1] * 10 + [0.2] * 10))
    assert none.found.startswith("none by PELT: ") and not none.is_compared


def test_later_change_points_are_looked_for_among_those_found(result):
    place = {"concept": "c", "effective_count": 120}

    def later(*counts):
        path = result(changes=[place, *({"concept": "c", "effective_count": count} for count in counts)])
        return next(one for one in comparisons({CLASSICAL: path}, {}, [CLASSICAL]) if "later" in one.what).lies

    assert later() == "not compared: no later change point was found"
    assert later(300, 391) == "is one of those found; the nearest is 391"
    assert later(300, 500) == "is not one of those found; the nearest is 300"


def test_invariance_is_compared_by_domain_and_an_unknown_one_is_said(result):
    found = Invariance(30, 0, 25, 0.001, (-0.01, 0.01), 0.05)
    by_what = {one.what: one for one in comparisons({FACES: result()}, {FACES: found}, [FACES])}
    invariance = by_what["score difference of concepts fewer than 10 images apart"]
    assert (invariance.published, invariance.found, invariance.lies) == (
        "0.0007",
        "0.0010",
        "lies within the interval",
    )
    missed = by_what["share of images with a face that captions do not name"]
    assert missed.published == "0 to 0.051 %" and not missed.is_compared


def test_what_lacks_inputs_is_a_row_and_nothing_is_made_up():
    compared = comparisons({}, {}, [FACES, ("mine", "people")])
    assert {one.model for one in compared} == {"sd1.1"}
    assert not any(one.found or one.is_compared for one in compared)
    assert compared[0].sentence().endswith("364 images, is not compared: inputs are missing")
    assert len(comparison_table(compared).rows) == 3


def test_a_study_that_nobody_published_has_no_comparison():
    assert comparisons({}, {}, [("mine", "people"), ("sd2.1", "people")]) == []
