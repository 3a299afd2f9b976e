"""What the explorer says of a study, gathered from its files."""

import json
import math
import shutil
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pydantic
import pytest
from explored_study import CORPUS, DOMAIN, MISSING, MODEL, ExploredStudy

from fit.audits.threshold import from_study
from fit.cli.main import main
from fit.errors import DataError, FitError
from fit.explorer.contents import Study
from fit.explorer.excluded import EXCLUDED, TOO_FEW
from fit.explorer.facts import calibration_of, penalties_of
from fit.explorer.gather import gather, write_gathered
from fit.explorer.settings import ShownSettings
from fit.explorer.sources import MADE_BY, Sources, rule_of, settings_of
from fit.io.concept_tables import write_concepts
from fit.io.parquet import write
from fit.scores.settings import ScoreSettings
from fit.scores.tabulate import OF_CONCEPT
from fit.sensitivity.choices import locate
from fit.thresholds.answer import sentence
from fit.thresholds.report import detect
from fit.thresholds.settings import ThresholdSettings

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 27, tzinfo=UTC)
PLACE = f"{MODEL}/{DOMAIN}"


def gathered(results, *parts, missing=None, shown=None):
    """Return what is gathered of a study of `parts`."""
    return gather(
        "mine",
        parts,
        results,
        missing=missing or {},
        thresholds=ThresholdSettings(resamples=20, estimators=["pelt", "one_change", "logistic"]),
        scores=ScoreSettings(),
        shown=shown or ShownSettings(),
        seed=3,
        now=NOW,
    )


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    study = ExploredStudy(tmp_path_factory.mktemp("explored"))
    study.write_pictures()
    return study


@pytest.fixture(scope="module")
def told(explored):
    return gathered(explored.results, explored.part(), missing={("other", DOMAIN): ["weights: put them there"]})


def concept(study, slug, part=0):
    return next(one for one in study.parts[part].concepts if one.slug == slug)


def test_what_was_gathered_reads_back(told, tmp_path):
    write_gathered(told, tmp_path / "study.json")
    text = (tmp_path / "study.json").read_text()
    assert pydantic.TypeAdapter(Study).validate_json(text) == told
    assert json.loads(text)["made"] == "2026-11-27T00:00:00+00:00"
    assert "NaN" not in text and "Infinity" not in text


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"threshold": "many"}, "`threshold` is 'many'"),
        ({"penalty": "high"}, "penalty"),
        ({"below": 3}, "`below` is 3"),
    ],
)
def test_a_threshold_that_was_changed_by_hand_is_named(explored, tmp_path, changed, said):
    results = tmp_path / "results"
    shutil.copytree(explored.results, results)
    path = results / f"thresholds/{PLACE}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(FitError, match=said):
        gathered(results, explored.part())


def test_the_answer_is_the_sentence_of_fit_answer(told, explored):
    answer = told.parts[0].answer
    assert answer.sentence == sentence(explored.found, MODEL, DOMAIN)
    # This study's jump does not survive at a fixed number of targets: there is no threshold, and it says why.
    assert answer.kind == "none" and answer.threshold is None and answer.interval is None
    assert any("does not survive" in text for text in answer.warnings)
    assert answer.rests_on[0] == "24 concepts with a count and a score."
    assert "1,730 images were collected" in " ".join(answer.rests_on)
    assert all(text[0].isupper() or text[0].isdigit() for text in (*answer.rests_on, *answer.warnings))
    assert all(text.endswith(".") for text in (*answer.rests_on, *answer.warnings))


def test_concepts_have_their_counts_and_scores(told, explored):
    part = told.parts[0]
    table = pl.read_parquet(explored.results / f"scores/{PLACE}.parquet")
    counts = pl.read_parquet(explored.results / f"counts/{CORPUS}/{DOMAIN}.parquet")
    assert [one.count for one in part.concepts] == sorted(counts["effective_count"].to_list())
    for row in table.to_dicts():
        one = concept(told, row["concept"])
        assert one.scores["score"] == row["score"] and one.scores["fixed_score"] == row["fixed_score"]
        assert one.scores["minus_null"] == pytest.approx(row["score"] - row["null_score"])
        assert one.scores["fixed_minus_null"] == pytest.approx(row["fixed_score"] - row["fixed_null_score"])
        # What is said of a concept is the mean of what is said of its prompts, for every kind of score.
        for kind, score in one.scores.items():
            assert score == pytest.approx(sum(prompt.scores[kind] for prompt in one.prompts) / len(one.prompts))
        assert one.count_interval == [row["low"], row["high"]]
        assert (one.captions, one.downloaded, one.matches) == (row["captions"], row["downloaded"], row["matches"])
    assert [name.name for name in concept(told, "early").names] == ["name"]
    assert concept(told, "c15").prompts[0].prompt == "a painting by c15"


def test_what_was_left_out_is_said_with_numbers_and_reasons(told, explored):
    left_out = {(one.step, one.why): one.number for one in concept(told, "c15").excluded}
    assert left_out["training images", "the server answered with the code 404"] == 1
    assert left_out["training images", "the picture is damaged"] == 1
    match = explored.study.tables("matches").read("c15", ["match"]).column("match").to_pylist()
    unlike = "they do not match: they are not like a reference"
    assert left_out["training images", unlike] == match.count(False) >= 50
    assert set(left_out.values()) == {1, match.count(False)} and len(MISSING) == 2


def test_estimates_are_those_of_the_threshold_by_each_score(told, explored):
    kinds = {kind.name: kind for kind in told.parts[0].scores}
    assert list(kinds) == ["score", "fixed_score", "minus_null", "fixed_minus_null", "null_score"]
    by_score = explored.found["by_score"]["scores"]
    for key, found in (("score", explored.found), ("minus_null", by_score["minus_null"])):
        assert [one.threshold for one in kinds[key].estimates] == [
            answer["threshold"] for answer in found["estimators"].values()
        ]
    assert kinds["fixed_score"].label == by_score["fixed"]["label"]


def test_penalties_are_what_pelt_finds_there(told, explored):
    kind = told.parts[0].scores[0]
    assert [one.penalty for one in kind.penalties] == sorted(one.penalty for one in kind.penalties)
    assert 0.9 in [one.penalty for one in kind.penalties] and kind.penalties[-1].threshold is None
    for one in kind.penalties:
        assert one.threshold == locate(explored.table, "pelt", one.penalty), one


def test_a_table_that_no_threshold_can_be_found_in_has_no_penalties(explored):
    assert penalties_of(explored.table.take(range(5)), 0.9) == []


def test_sensitivity_says_which_value_the_study_has(told):
    strips = {strip.choice: strip.values for strip in told.parts[0].sensitivity}
    for choice in ("penalty", "score", "prompts", "top-k", "match threshold", "targets"):
        assert [value.is_used for value in strips[choice]].count(True) == 1, choice
    assert [value.label for value in strips["top-k"] if value.is_used] == ["10 targets"]
    assert any("paper" in value.label for value in strips["targets"])


def test_outliers_have_each_of_their_causes(told):
    early, copied = concept(told, "early").outlier, concept(told, "copied").outlier
    assert early.side == "below" and any("no alias" in cause for cause in early.causes)
    # A cause may have a semicolon in it.
    assert copied.side == "above" and len(copied.causes) == 2 and ";" in copied.causes[0]
    assert concept(told, "plain").outlier.causes == []


def test_every_file_is_named_with_its_hash_and_rule(told, explored):
    files = {source.file: source for source in told.sources}
    for name, source in files.items():
        path = explored.results.parent / name
        assert sha256(path.read_bytes()).hexdigest() == source.sha256
        assert source.rule != "unknown" and source.says
    assert files[f"results/thresholds/{PLACE}.json"].settings["penalty"] == 0.9
    assert {f"results/explorer/{kind}/{PLACE}/part_000.parquet" for kind in ("pictures", "excluded")} <= set(files)
    assert [source.rule for source in told.sources if source.file.endswith(".tsv")].count("given") == 1


def test_rules_are_those_of_the_workflow():
    text = "".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    for pattern, rules, _ in MADE_BY:
        for rule in rules:
            block = text.partition(f"rule {rule}:")[2].partition("\nrule ")[0]
            outputs = [
                line for line in block.partition("output:")[2].partition("log:")[0].splitlines() if "results/" in line
            ]
            places = [line.partition('"results/')[2].partition('"')[0] for line in outputs]
            filled = [place.replace("{part}", "part_000").replace("{", "").replace("}", "") for place in places]
            assert any(rule_of(place, "nowhere")[0].find(rule) >= 0 for place in filled), (rule, pattern, filled)


def test_the_rule_that_made_a_file_is_told_by_its_log(tmp_path):
    place = f"counts/{CORPUS}/{DOMAIN}.parquet"
    assert rule_of(place, tmp_path)[0] == "estimate_counts or scale_counts or import_counts"
    log = tmp_path / f"logs/import_counts/{CORPUS}/{DOMAIN}.log"
    log.parent.mkdir(parents=True)
    log.touch()
    assert rule_of(place, tmp_path)[0] == "import_counts"


def test_tables_can_be_taken_away(told):
    tables = {table.name: table for table in told.tables}
    assert list(tables) == ["thresholds", "scores", "counts", "calibration", "data", "concepts"]
    for table in tables.values():
        assert all(len(row) == len(table.columns) for row in table.rows), table.name
    assert len(tables["concepts"].rows) == 24
    assert [row[:2] for row in tables["thresholds"].rows] == [[MODEL, DOMAIN], ["other", DOMAIN]]
    assert f"other in {DOMAIN}: weights: put them there." in told.missing


def test_settings_of_a_file_are_shown_as_far_as_they_are_finite_and_few(tmp_path):
    made_by = {"steps": 12, "clip": float("-inf"), "weights": {str(at): "f" for at in range(100)}, "betas": [0.1, 0.2]}
    table = pa.table({"x": [1]}).replace_schema_metadata(
        {b"generated": json.dumps(made_by).encode(), b"concepts": b"[]"}
    )
    pq.write_table(table, tmp_path / "t.parquet")
    shown = made_by | {"clip": "-inf", "weights": "100 values"}
    assert settings_of(tmp_path / "t.parquet") == {"generated": shown}
    (tmp_path / "t.json").write_text(json.dumps({"penalty": 0.9, "quantiles": [1, 2], "p": float("nan")}))
    assert settings_of(tmp_path / "t.json") == {"penalty": 0.9, "p": "nan"}
    assert settings_of(tmp_path / "other.tsv") == {}


# --- a study that lacks things ----------------------------------------------------------------------------------------


@pytest.fixture
def bare(explored, tmp_path):
    """A study of counts that were given: no captions, no corpus, no null, no sensitivity; one concept lacks a score."""
    results = tmp_path / "results"
    table = pl.read_parquet(explored.results / f"scores/{PLACE}.parquet")
    concepts = table["concept"].to_list()
    unscored = concepts[0]
    bare_scores = [
        {"concept": row["concept"], "effective_count": 0 if row["concept"] == concepts[1] else row["effective_count"]}
        | {"score": row["score"], "group": None}
        for row in table.to_dicts()
        if row["concept"] != unscored
    ]
    write(pl.DataFrame(bare_scores).to_arrow().cast(OF_CONCEPT_SHORT), make(results / f"scores/{PLACE}.parquet"))
    counts = [{"concept": c, "effective_count": 0 if c == concepts[1] else 5} for c in concepts]
    write(pl.DataFrame(counts).to_arrow(), make(results / f"counts/{CORPUS}/{DOMAIN}.parquet"))
    found = detect(
        *zip(*[(row["concept"], row["effective_count"], row["score"]) for row in bare_scores], strict=True),
        penalty=50.0,
        resamples=20,
        seed=0,
        estimators=["pelt"],
    )
    make(results / f"thresholds/{PLACE}.json").write_text(json.dumps(found))
    return results, found, unscored, concepts[1]


OF_CONCEPT_SHORT = OF_CONCEPT.empty_table().select(["concept", "effective_count", "score", "group"]).schema


def make(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def test_what_a_study_lacks_is_said_and_does_not_stop_it(bare, explored):
    results, found, unscored, zero = bare
    told = gathered(results, explored.part())
    part = told.parts[0]
    assert [kind.name for kind in part.scores] == ["score"]
    assert part.answer.kind == "none" and part.answer.sentence == sentence(found, MODEL, DOMAIN)
    assert part.answer.rests_on[0].endswith(
        f"; 1 more on the sheet has none: {concept(told, unscored).name} (no score)."
    )
    assert (
        f"1 of {len(part.concepts)} concepts is left out: {concept(told, unscored).name} (no score)" in told.missing[0]
    )
    assert "The counts were given: this study did not measure them." in part.answer.rests_on
    assert concept(told, unscored).scores == {"score": None} and concept(told, unscored).prompts == []
    assert concept(told, zero).count == 0 and part.concepts[0].slug == zero
    assert {one.verdict.verdict for one in part.concepts} == {"refused"}
    assert (part.calibration, part.sensitivity) == ([], [])
    said = " ".join(told.missing)
    for lack in ("each choice", "outliers", "left out", "by group", "its null"):
        assert lack in said
    assert "counted by name" not in said and "captions miss" not in said, "with given counts nothing could measure them"
    assert "snakemake" not in said, "outside a clone there is no Snakefile: `fit run` runs the study in both"
    assert not part.outliers_sought
    assert told.comparisons == []
    assert "were given" in next(one.words for one in part.assumptions if "trained on the corpus" in one.assumption)


def test_a_concept_with_too_few_references_is_named_with_the_reason(bare, explored):
    results, _, unscored, _ = bare
    rows = [(9, TOO_FEW), (1, "it is not a picture")]
    lists = [
        (slug, [{"step": "references", "number": number, "why": why} for number, why in rows if slug == unscored])
        for slug in explored.study.count_of
    ]
    tables = [(slug, pa.Table.from_pylist(of, schema=EXCLUDED.remove(0))) for slug, of in lists]
    write_concepts(tables, make(results / f"explorer/excluded/{PLACE}/part_000.parquet"), EXCLUDED)
    told = gathered(results, explored.part())
    name = concept(told, unscored).name
    said = f"{name} (too few references, 9 usable; of its references, 1 left out: it is not a picture)"
    assert said in told.missing[0] and said in told.parts[0].answer.rests_on[0]


def test_a_concept_without_a_count_comes_last_and_has_no_verdict(explored, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(explored.results, results)
    path = results / f"counts/{CORPUS}/{DOMAIN}.parquet"
    counts = pl.read_parquet(path)
    counts.filter(pl.col("concept") != "c15").write_parquet(path)
    told = gathered(results, explored.part())
    last = told.parts[0].concepts[-1]
    assert (last.slug, last.count, last.captions, last.verdict) == ("c15", None, None, None)
    assert last.scores["score"] is not None


def test_missing_files_name_themselves(explored, tmp_path):
    with pytest.raises(DataError, match=r"thresholds/painter/styles.json: there is no such file; ask snakemake"):
        gathered(tmp_path, explored.part())
    results = tmp_path / "results"
    shutil.copytree(explored.results, results)
    (results / f"sensitivity/{PLACE}.json").write_text("{")
    with pytest.raises(FitError, match=r"sensitivity/painter/styles.json: not JSON"):
        gathered(results, explored.part())


def test_a_verdict_says_how_sure_it_is(explored, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(explored.results, results)
    found = {key: value for key, value in explored.found.items() if key != "by_score"}
    found["headline"] = found["headline"] | {"resamples_with_a_change": 0.99}
    (results / f"thresholds/{PLACE}.json").write_text(json.dumps(found))
    threshold = from_study(found | {key: found["headline"][key] for key in ("threshold", "interval", "estimator")})
    told = gathered(results, explored.part())
    part = told.parts[0]
    assert part.answer.kind == found["headline"]["kind"] and part.answer.threshold == found["headline"]["threshold"]
    least, most = part.concepts[0].verdict, part.concepts[-1].verdict
    assert (least.verdict, most.verdict) == ("below", "above")
    assert least.p_above < 0.5 < most.p_above and most.p_high > least.p_high
    assert f"600 training images: above the threshold, which lies above {threshold.low:,}" in most.words
    assert "with a probability of over 99.5 %" in most.words and "a probability of under 0.5 %" in least.words


# --- several parts, other studies, pictures ---------------------------------------------------------------------------


def second_model(explored, results):
    """Lay the same study down again as another model's."""
    shutil.copytree(explored.results, results)
    for kind in ("scores", "scores/null", "thresholds", "sensitivity", "explorer/pictures", "explorer/excluded"):
        shutil.copytree(results / kind / MODEL, results / kind / "other")
    return explored.part(model="other")


def test_models_of_one_domain_are_compared_and_other_studies_too(explored, tmp_path):
    results = tmp_path / "results"
    other = second_model(explored, results)
    beside = tmp_path / "elsewhere" / "results"
    (beside / "scores").mkdir(parents=True)
    shutil.copytree(explored.results / "scores" / MODEL, beside / "scores" / "sd")
    shutil.copy(beside / f"scores/sd/{DOMAIN}.parquet", beside / "scores/sd/people.parquet")
    told = gathered(results, explored.part(), other, shown=ShownSettings(beside=(str(beside.parent),)))
    named = [(one.first, one.second) for one in told.comparisons]
    there = f"elsewhere: sd/{DOMAIN}"
    assert named == [(PLACE, f"other/{DOMAIN}"), (PLACE, there), (f"other/{DOMAIN}", there)]
    for one in told.comparisons:
        assert one.concepts == len(one.pairs) == 24 and one.ratio == pytest.approx(1)
        assert one.sentence.startswith(f"the threshold of {one.second} is 1 times that of {one.first}")
        assert all(math.isclose(*pair.scores) and pair.name == f"{pair.slug} name" for pair in one.pairs)
    assert str(beside / f"scores/sd/{DOMAIN}.parquet") in [source.file for source in told.sources]
    with pytest.raises(DataError, match="name the folder of results of another study"):
        gathered(results, explored.part(), shown=ShownSettings(beside=(str(tmp_path / "nowhere"),)))


@pytest.mark.parametrize(
    ("pictures", "people", "shown"), [("all", True, 2), ("without_people", True, 1), ("none", False, 0)]
)
def test_pictures_that_are_left_out_are_said(explored, tmp_path, pictures, people, shown):
    results = tmp_path / "results"
    other = second_model(explored, results)
    parts = [explored.part(is_of_people=people), other]
    told = gathered(results, *parts, shown=ShownSettings(pictures=pictures))
    of_pictures = [source.file for source in told.sources if "explorer/pictures" in source.file]
    assert len(of_pictures) == shown
    assert bool(told.pictures_left_out) == (shown < 2)
    assert told.parts[0].is_of_people == people


def test_a_published_value_stands_beside_ours(explored, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(explored.results, results)
    for kind in ("scores", "scores/null", "thresholds", "sensitivity", "explorer/pictures", "explorer/excluded"):
        (results / kind / "sd1.1").mkdir(parents=True)
        for path in sorted((results / kind / MODEL).glob(f"{DOMAIN}*")):
            path.rename(results / kind / "sd1.1" / path.name.replace(DOMAIN, "classical_artists"))
    for path in (results / f"counts/{CORPUS}/{DOMAIN}.parquet", results / f"matches/{DOMAIN}.threshold.json"):
        path.rename(path.with_name(path.name.replace(DOMAIN, "classical_artists")))
    part = gathered(results, explored.part(model="sd1.1", domain="classical_artists")).parts[0]
    published = part.answer.published
    assert (published.threshold, published.ours) == (112, 100)
    assert "112 images, lies within the interval" in published.sentence and "first version" in published.sentence


def test_a_match_threshold_that_was_not_needed_is_said():
    (fact,) = calibration_of({"match_threshold": None, "reason": "no training images"}, "same concept")
    assert (fact.value, fact.words) == ("none", "No training images.")


def test_sources_are_noted_once(explored):
    sources = Sources(explored.results)
    for _ in range(2):
        sources.needed("thresholds", MODEL, f"{DOMAIN}.json")
    assert len(sources.noted()) == 1


def test_a_study_without_any_part_says_what_is_missing(tmp_path):
    told = gathered(tmp_path, missing={("sd1.1", "celebrities"): ["data/refs: put it there"]})
    assert told.parts == told.comparisons == told.sources == []
    assert told.missing == ["sd1.1 in celebrities: data/refs: put it there."]
    (row,) = next(table for table in told.tables if table.name == "thresholds").rows
    assert row[:2] == ["sd1.1", "celebrities"] and "364" in row


def test_the_command_says_what_it_lacks(explored, tmp_path, capsys):
    out = ["--results", str(explored.results), "--out", str(tmp_path / "study.json")]
    sheet = f"{DOMAIN}={explored.study.folder / 'sheet.tsv'}"
    facts = ["--corpora", f"{MODEL}={CORPUS}", "--sheets", sheet, "--embedders", f"{DOMAIN}=style"]
    data = ["--data", f"corpus/{CORPUS}=a.parquet", "--licences", f"corpus/{CORPUS}=cc-by-4.0", "--no-honour-opt-out"]
    data += ["--fetched", f"corpus/{CORPUS}={DOMAIN}"]
    assert main(["explorer", "gather", "mine", "--parts", PLACE, *facts, *data, "--resamples=10", *out]) == 0
    found = json.loads((tmp_path / "study.json").read_text())
    assert found["parts"][0]["corpus"] == CORPUS
    assert [(one["name"], one["licence"], one["refused"]) for one in found["data"]] == [(CORPUS, "cc-by-4.0", None)]
    assert "honour_opt_out: false" in found["data"][0]["opt_outs"]
    assert len(found["readers"]) == 3 and found["unsupported"] and found["limits"]
    assert main(["explorer", "gather", "mine", "--parts", PLACE, *facts[:4], *out]) == 1
    assert f"--embedders: nothing is said of {DOMAIN}, which --parts names" in capsys.readouterr().err
    assert main(["explorer", "gather", "mine", "--parts", MODEL, *out]) == 1
    assert f"--parts '{MODEL}': write MODEL/DOMAIN" in capsys.readouterr().err
    assert main(["explorer", "gather", "mine", "--sheets", "x", *out]) == 1
    assert "--sheets 'x': write NAME=VALUE" in capsys.readouterr().err
