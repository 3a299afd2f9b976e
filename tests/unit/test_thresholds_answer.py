"""The answer in a sentence: said where there is one, and why where there is none."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from fit.alternatives import load
from fit.cli.main import main
from fit.errors import DataError
from fit.thresholds.answer import made, of_study, of_targets, read, sentence
from fit.thresholds.report import detect

SIDES = {"below": {"mean_score": 0.2}, "above": {"mean_score": 0.6}}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"threshold": "many"}, "`threshold` is 'many', not a number of images"),
        ({"threshold": True}, "`threshold` is True"),
        ({"threshold": -1}, "`threshold` is -1"),
        ({"threshold": 1e300}, "`threshold` is 1e+300"),
        ({"threshold": float("nan")}, "`threshold` is nan"),
        ({"interval": [5]}, "`interval` is [5], not two numbers"),
        ({"interval": [9, 5]}, "its ends are in the wrong order"),
        ({"concepts": "many"}, "`concepts` is 'many'"),
        ({"concepts": 2.5}, "`concepts` is 2.5"),
        ({"estimator": 7}, "`estimator` is 7, not a name"),
        ({"estimators": []}, "`estimators` is []"),
        ({"estimators": {"pelt": 3}}, "`estimators.pelt` is 3"),
        ({"estimators": {"pelt": {"threshold": "x"}}}, "`estimators.pelt.threshold` is 'x'"),
        ({"headline": 3}, "`headline` is 3"),
        ({"headline": {"threshold": 5, "beside": 3}}, "`headline.beside` is 3"),
        ({"permutation_test": {"p_value": 2}}, "`permutation_test.p_value` is 2"),
        ({"below": {"mean_score": None}}, "`below.mean_score` is None"),
        ({"resamples_with_a_change": 50}, "`resamples_with_a_change` is 50"),
    ],
)
def test_a_value_that_is_impossible_is_named(tmp_path, changed, said):
    path = tmp_path / "people.json"
    path.write_text(json.dumps(found()))
    assert read(path) == found()
    path.write_text(json.dumps(found(**changed)))
    with pytest.raises(DataError) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: ") and said in str(error.value)


def found(**changed):
    """A threshold of 215 images, of 40 concepts."""
    return {
        "threshold": 215,
        "interval": [146.2, 681.0],
        "resamples_with_a_change": 1.0,
        "estimator": "pelt",
        "estimators": {"pelt": {"reason": None}},
        "penalty": 0.9,
        "concepts": 40,
        "reason": None,
        "permutation_test": {"p_value": 0.001},
        **SIDES,
        **changed,
    }


def none(reason, of_all=True):
    return found(
        threshold=None,
        interval=None,
        below=None,
        above=None,
        reason=reason if of_all else None,
        estimators={"pelt": {"reason": reason}},
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            found(),
            "my-model begins to imitate people at about 215 training images (95 %: 146 to 681; 40 people)",
        ),
        (
            found(interval=[0.0, 681.0]),
            "my-model begins to imitate people at about 215 training images "
            "(95 %: from no image at all to 681; 40 people)",
        ),
        (
            found(resamples_with_a_change=0.66),
            "my-model begins to imitate people at about 215 training images "
            "(95 %: 146 to 681; in 34 % of the resamples there was none; 40 people)",
        ),
        (
            found(interval=None, resamples_with_a_change=0.0),
            "my-model begins to imitate people at about 215 training images "
            "(no interval: no resample has a threshold; 40 people)",
        ),
        (
            found(permutation_test={"p_value": 0.3}),
            "my-model begins to imitate people at about 215 training images "
            "(95 %: 146 to 681; 40 people; but chance alone often makes such a jump, p = 0.3)",
        ),
        (
            found(below={"mean_score": 0.6}, above={"mean_score": 0.2}),
            "no imitation threshold was found for my-model in people: the scores fall instead of rising, from a mean "
            "of 0.60 to 0.20, at about 215 training images (40 people)",
        ),
        (
            found(threshold=0),
            "no imitation threshold was found for my-model in people: the scores change among concepts that have no "
            "training image (40 people)",
        ),
        (
            none("no change point at this penalty", of_all=False),
            "no imitation threshold was found for my-model in people: the scores do not jump (PELT, penalty 0.9) "
            "(40 people)",
        ),
        (
            none("no change point at this penalty", of_all=False)
            | {
                "estimators": {
                    "pelt": {"threshold": None},
                    "one_change": {"threshold": 106},
                    "isotonic": {"threshold": 126},
                }
            }
            | {"reason": "no change point at this penalty", "permutation_test": {"p_value": 0.02}},
            "no imitation threshold was found for my-model in people: the scores do not jump (PELT, penalty 0.9), "
            "though by the best single split and isotonic one would be at 106 to 126 training images, p = 0.02 "
            "(40 people)",
        ),
        (
            none("no change point at this penalty", of_all=False)
            | {"estimators": {"pelt": {"threshold": None}, "one_change": {"threshold": 106}}}
            | {"reason": "no change point at this penalty", "permutation_test": {"p_value": 0.27}},
            "no imitation threshold was found for my-model in people: the scores do not jump (PELT, penalty 0.9), and "
            "nothing in them is beyond chance, p = 0.27 (40 people)",
        ),
        (
            none("all scores are equal: 0.3"),
            "no imitation threshold was found for my-model in people: all scores are alike (0.3) (40 people)",
        ),
        (
            none("no more of a jump than chance makes (p = 0.4)", of_all=False),
            "no imitation threshold was found for my-model in people: no more of a jump than chance makes (p = 0.4) "
            "(40 people)",
        ),
    ],
)
def test_the_answer_or_why_there_is_none(given, said):
    assert sentence(given, "my-model", "people") == said


def test_a_threshold_of_one_image_is_in_the_singular():
    assert "at about 1 training image (" in sentence(found(threshold=1), "m", "people")


@pytest.mark.parametrize(
    ("domain", "whom"),
    [("people", "40 people"), ("classical_artists", "40 classical artists"), ("laion2b", "40 concepts")],
)
def test_concepts_are_called_by_their_domain_where_it_can_be_counted(domain, whom):
    assert f"; {whom})" in sentence(found(), "m", domain)


def test_real_results_are_said():
    settings = {"penalty": 0.9, "resamples": 50, "seed": 0}
    slugs = [f"c{i:02d}" for i in range(20)]
    rise = detect(slugs, range(20), [0.1] * 10 + [0.9] * 10, **settings)
    assert sentence(rise, "m", "people").startswith("m begins to imitate people at about 10 training images (95 %: ")
    fall = detect(slugs, range(20), [0.9] * 10 + [0.1] * 10, **settings)
    assert "begins" not in sentence(fall, "m", "people")
    few = detect(["a", "b"], [1, 2], [0.1, 0.9], **settings)
    assert "too few concepts have a count and a score: 2, at least 10 are needed" in sentence(few, "m", "people")


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"threshold": 3}'])
def test_a_file_that_is_not_a_threshold_is_named(tmp_path, text):
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(DataError, match=r"t\.json"):
        read(tmp_path / "t.json")


def test_a_table_alone_has_a_sentence_too(tmp_path, capsys):
    rows = "".join(f"c{i},{i},{0.1 if i < 10 else 0.9}\n" for i in range(20))
    (tmp_path / "t.csv").write_text("concept,effective_count,score\n" + rows)
    assert main(["thresholds", "detect", str(tmp_path / "t.csv"), "--resamples", "50"]) == 0
    assert capsys.readouterr().out.startswith("imitation begins at about 10 training images (95 %: ")


def test_the_answer_and_the_settings_import_nothing_heavy():
    # The workflow imports both, at its start and at its end.
    code = "import sys, fit.thresholds.answer, fit.thresholds.settings; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "scipy", "ruptures", "polars", "torch"} & set(loaded)


# --- of studies and milestones ----------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the results of my-model in people, but not of other-model."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "results/thresholds/my-model/people.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(found()))
    (tmp_path / "results/reports/mine").mkdir(parents=True)
    (tmp_path / "results/reports/mine/report.md").write_text("")
    return tmp_path


def config(*models, lacks=()):
    return SimpleNamespace(
        studies={"mine": None},
        pairs=lambda study: [(model, "people") for model in models],
        lacks=lambda model, domain: list(lacks),
    )


def test_a_study_ends_with_its_sentence_and_four_paths(place):
    assert of_study(config("my-model"), "mine") == [
        "my-model begins to imitate people at about 215 training images (95 %: 146 to 681; 40 people)",
        "  report    results/reports/mine/report.md",
        "  figure    results/thresholds/my-model/people.scores.png  (not made yet)",
        "  pictures  results/thresholds/my-model/people.pictures.png  (not made yet)",
        "  explorer  results/explorer/mine/index.html  (not made yet)",
    ]


def test_what_a_model_lacks_is_said_in_its_place(place):
    lines = of_study(config("my-model", "other-model", lacks=["refs: put it there", "x", "y"]), "mine")
    assert lines[1] == (
        "no imitation threshold yet for other-model in people: refs: put it there, and 2 more inputs that are missing"
    )
    assert len(lines) == 6


def test_a_milestone_says_what_it_made_and_where(place):
    sheets = [f"results/references/people/p{i}.png" for i in range(40)]
    assert of_targets(config("my-model"), [("references", sheets)]) == [
        "references:",
        "  results/references/people/*.png: references of each concept, to look at, 40 files",
    ]
    assert made(["results/counts/laion/people.parquet"]) == [
        "  results/counts/laion/people.parquet: effective count of each concept"
    ]
    assert made([f"results/matches/people.{kind}" for kind in ("threshold.json", "art.json", "verification.tsv")]) == [
        "  results/matches/people.threshold.json: match threshold: which images show the same concept",
        "  results/matches/people.art.json: match threshold: which images are artworks",
        "  results/matches/people.verification.tsv: how often the embedder errs, by group",
    ]


@pytest.mark.parametrize(
    "path", ["results/thresholds/my-model/people.json", "results/sensitivity/my-model/people.json"]
)
def test_a_milestone_with_a_threshold_says_the_sentence(place, path):
    (place / path).parent.mkdir(parents=True, exist_ok=True)
    (place / path).touch()
    if "sensitivity" not in path:
        (place / path).write_text(json.dumps(found()))
    assert "my-model begins to imitate people at about 215" in made([path])[0]


def test_another_score_is_named_in_its_sentence(place):
    path = place / "results/alternatives/my-model/people.clip.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(found()))
    said = made([str(path.relative_to(place))], lambda name: load(name).label)
    assert said[0].startswith("by the CLIP score: my-model begins to imitate people")


@pytest.mark.parametrize("page", ["results/reports/mine/report.md", "results/explorer/mine/index.html"])
def test_a_study_that_was_asked_for_by_its_report_or_page_says_its_answer_once(place, page):
    files = [page, "results/explorer/mine/index.html", "results/reports/mine/counts.tsv"]
    lines = of_targets(config("my-model"), [("explorer", files)])
    assert lines == of_study(config("my-model"), "mine")


def test_the_report_begins_with_the_answer(place):
    arguments = ["--thresholds", "results/thresholds/my-model/people.json", "--out", "results/reports/mine"]
    (place / "results/reports/mine/report.md").unlink()
    assert main(["reports", "write", "mine", *arguments, "--missing", "other/people: refs: put it there"]) == 0
    lines = (place / "results/reports/mine/report.md").read_text().splitlines()
    assert lines[2] == (
        "**my-model begins to imitate people at about 215 training images (95 %: 146 to 681; 40 people).**"
    )
    assert lines[4] == "**No imitation threshold yet for other in people: refs: put it there.**"
