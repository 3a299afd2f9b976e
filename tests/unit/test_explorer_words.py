"""The words of the explorer and the datasheet."""

import dataclasses
import re

import pytest

from fit.explorer.words import (
    GLOSSARY,
    Difficulty,
    GroupRates,
    Measured,
    Missed,
    Ratings,
    assumptions,
    in_percent,
)


def status_of(part: str, measured: Measured) -> tuple[str, str]:
    """The status and the words of the one assumption whose text has `part`."""
    (found,) = [one for one in assumptions(measured) if part in one.assumption]
    return found.status, found.words


def test_the_glossary_has_ten_different_terms_and_each_says_what_it_is_not():
    assert len({term.term for term in GLOSSARY}) == len(GLOSSARY) == 10
    for term in GLOSSARY:
        assert re.search(r"\bnot\b", term.words), term.term
        assert term.words.endswith(".")


def test_where_nothing_was_measured_nothing_is_said_to_be_checked():
    found = assumptions(Measured())
    assert len({one.assumption for one in found}) == len(found)
    assert {one.status for one in found} == {"not checked"}


def test_every_measurement_is_of_some_assumption():
    bare = assumptions(Measured())
    values = {
        "corpus": "pictures",
        "counts_from": "other",
        "downloaded_share": 0.5,
        "copies_share": 0.25,
        "survives": True,
        "missed": Missed(100, None, None),
        "difficulty": Difficulty(("spread of references",), (), 100, (50, 200), 120),
        "image_tpr": 0.9,
        "image_fpr": 0.01,
        "worst_pair": ("ada", "bob", 0.5),
        "verification": (GroupRates("a", (0.1, 0.2), None), GroupRates("b", (0.1, 0.2), None)),
        "prompts": 5,
        "prompt_thresholds": (1.0,),
        "ratings": Ratings(2, 20, 0.5, None),
    }
    assert values.keys() | {"groups", "group_p_value"} == {field.name for field in dataclasses.fields(Measured)}
    for name, value in values.items():
        assert assumptions(Measured(**{name: value})) != bare, name
    assert assumptions(Measured(groups=("a", "b"), group_p_value=0.5)) != bare


@pytest.mark.parametrize(
    ("p_value", "status"),
    [(None, "not checked"), (0.4, "checked in part"), (0.05, "does not hold"), (0.001, "does not hold")],
)
def test_groups_with_different_thresholds_are_not_exchangeable(p_value, status):
    assert status_of("exchangeable", Measured(groups=("a", "b"), group_p_value=p_value))[0] == status


def test_one_group_alone_is_compared_with_nothing():
    assert status_of("exchangeable", Measured(groups=("a",), group_p_value=0.5))[0] == "not checked"


@pytest.mark.parametrize(
    ("interval", "with_missed", "status"),
    [
        ((100, 200), 150, "checked"),
        ((100, 200), 250, "does not hold"),
        ((100, 200), 50, "does not hold"),
        ((100, 200), None, "does not hold"),
        (None, 150, "checked in part"),
    ],
)
def test_what_captions_miss_is_held_against_the_interval(interval, with_missed, status):
    found, words = status_of("Captions", Measured(missed=Missed(100_000, interval, with_missed)))
    assert found == status
    assert "100,000 images" in words


@pytest.mark.parametrize(("survives", "status"), [(None, "not checked"), (True, "checked"), (False, "does not hold")])
def test_a_jump_that_the_number_of_targets_explains_is_said(survives, status):
    assert status_of("more targets", Measured(survives=survives))[0] == status


def test_a_jump_that_survives_does_not_say_that_nothing_else_goes_with_the_count():
    assert status_of("Nothing else", Measured(survives=True, groups=("a", "b"), group_p_value=1.0))[0] == "not checked"


@pytest.mark.parametrize(
    ("published", "interval", "adjusted", "status"),
    [
        (100, (50, 200), 120, "checked in part"),
        (100, (50, 200), 300, "does not hold"),
        (100, (50, 200), None, "does not hold"),
        (100, None, 120, "checked in part"),
        (None, None, None, "checked in part"),
    ],
)
def test_the_threshold_adjusted_for_difficulty_is_held_against_the_interval(published, interval, adjusted, status):
    found, words = status_of("Nothing else", Measured(difficulty=Difficulty(("x",), (), published, interval, adjusted)))
    assert found == status
    assert "retraining" in words


def test_what_the_score_could_not_be_adjusted_for_is_not_checked_and_says_why():
    status, words = status_of(
        "Nothing else", Measured(difficulty=Difficulty((), (("x", "as the count"),), 1, None, None))
    )
    assert status == "not checked"
    assert "x: as the count" in words


def test_links_are_checked_only_where_everything_was_collected():
    assert status_of("collected", Measured(downloaded_share=1.0))[0] == "checked"
    status, words = status_of("collected", Measured(downloaded_share=0.99996))
    assert status == "not checked"
    assert "over 99.99 %" in words, "not rounded to all"


def test_error_rates_of_groups_are_compared_by_their_intervals():
    alike = (GroupRates("old", (0.1, 0.3), (0.0, 0.01)), GroupRates("new", (0.2, 0.4), (0.0, 0.02)))
    apart = (GroupRates("old", (0.1, 0.15), (0.0, 0.01)), GroupRates("new", (0.2, 0.4), (0.0, 0.02)))
    by_fmr = (GroupRates("old", None, (0.05, 0.06)), GroupRates("new", None, (0.0, 0.02)))
    assert status_of("embedder errs", Measured(verification=alike))[0] == "checked in part"
    for groups in (apart, by_fmr):
        status, words = status_of("embedder errs", Measured(verification=groups))
        assert status == "does not hold"
        assert "old and new" in words
    assert status_of("embedder errs", Measured(verification=alike[:1]))[0] == "not checked"


def test_the_pair_that_is_confused_most_is_named_and_small_rates_do_not_become_none():
    words = status_of("embedder errs", Measured(image_tpr=1.0, image_fpr=0.00004, worst_pair=("ada", "bob", 1.0)))[1]
    assert "finds 100 % of single images" in words
    assert "under 0.01 %" in words
    assert "images of ada: 100 % are taken for bob" in words


@pytest.mark.parametrize(
    ("ratings", "status"),
    [
        (Ratings(1, 20, 0.7, None), "checked in part"),
        (Ratings(3, 20, 0.7, (0.4, 0.9)), "checked in part"),
        (Ratings(3, 20, 0.7, (0.4, 0.9), 0.02, (-0.2, 0.3)), "checked in part"),
        (Ratings(3, 20, 0.7, (0.4, 0.9), 0.4, (0.1, 0.6)), "checked"),
        (Ratings(3, 20, 0.1, (-0.2, 0.4), 0.4, (0.1, 0.6)), "checked in part"),
        (Ratings(3, 20, -0.7, (-0.9, -0.4)), "does not hold"),
        (Ratings(3, 20, None, None), "checked in part"),
    ],
)
def test_ratings_check_the_score_only_beyond_what_both_owe_to_the_count(ratings, status):
    assert status_of("what people see", Measured(ratings=ratings))[0] == status


def test_prompts_are_never_checked_in_full():
    for tried in ((100.0, 100.0), (50.0, 200.0, None), (None, None)):
        assert status_of("prompts ask", Measured(prompts=5, prompt_thresholds=tried))[0] == "checked in part"
    words = status_of("prompts ask", Measured(prompts=5, prompt_thresholds=(50.0, 200.0, None)))[1]
    assert "between 50 and 200; by 1 of these there is none" in words


@pytest.mark.parametrize(
    ("probability", "said"),
    [(0, "under 0.5 %"), (0.006, "0.6 %"), (0.5, "50 %"), (0.951, "95.1 %"), (0.9949, "99.5 %"), (1, "over 99.5 %")],
)
def test_a_probability_is_said_no_finer_than_it_is_known(probability, said):
    assert in_percent(probability) == said


def test_what_given_counts_rule_out_is_not_asked_for():
    (words,) = [one.words for one in assumptions(Measured()) if "Captions name" in one.assumption]
    assert "given" in words and "`" not in words
    (words,) = [one.words for one in assumptions(Measured(corpus="crawl")) if "Captions name" in one.assumption]
    assert "`fit run missed` measures it" in words
