"""What attacks ask a model for, and what is made of the scores."""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fit.attacks import REGISTRY
from fit.attacks.base import Subject
from fit.attacks.compare import ALL, compare_attacks, read_attacks
from fit.attacks.plan import TRIALS, plan_attacks, read_descriptions, read_subjects
from fit.attacks.settings import PromptingSettings
from fit.attacks.tabulate import ANY, best_of, fit_base, tabulate_attacks, write_tables
from fit.attacks.words import WORDS
from fit.cli.main import main
from fit.concepts.sheet import Concept
from fit.errors import ConfigError, DataError
from fit.generated.conditioning import Conditioning, read_prompts
from fit.io.concept_tables import write_concepts
from fit.registry import find
from fit.scores.imitation import OF_PROMPT
from fit.thresholds.scores import sort_scores

ADA, ZOE = Concept("ada-morvek", "Ada Morvek", ("A. Morvek",)), Concept("zoe-lund", "Zoe Lund")
KNOWN = Subject(
    concept=ADA,
    prompts=("a painting by Ada Morvek", "a moonrise by Ada Morvek"),
    words=("herons", "nets", "plums", "bees"),
    descriptions=("bent stripes in amber on blue",),
)


def trials(attack, subject=KNOWN, **settings):
    return find(REGISTRY, attack, "attack")().trials(subject, PromptingSettings(**settings))


def test_indirect_prompts_are_of_the_first_words_against_each_kind_of_negative_prompt():
    found = trials("indirect", top_words=[1, 3], negative_words=2)
    assert [(trial.setting, trial.asked) for trial in found] == [
        ("1 words, without none", Conditioning("herons")),
        ("1 words, without name", Conditioning("herons", "Ada Morvek")),
        ("1 words, without words", Conditioning("herons", "herons, nets")),
        ("1 words, without both", Conditioning("herons", "Ada Morvek, herons, nets")),
        ("3 words, without none", Conditioning("herons, nets, plums")),
        ("3 words, without name", Conditioning("herons, nets, plums", "Ada Morvek")),
        ("3 words, without words", Conditioning("herons, nets, plums", "herons, nets")),
        ("3 words, without both", Conditioning("herons, nets, plums", "Ada Morvek, herons, nets")),
    ]
    # Sizes beyond the words that there are come to the same prompt, once.
    assert [trial.setting for trial in trials("indirect", top_words=[3, 10, 20], negatives=["none"])] == [
        "3 words, without none",
        "4 words, without none",
    ]
    assert trials("indirect", Subject(concept=ADA)) == []


def test_arithmetic_tries_each_combination_with_a_weight_above_zero():
    found = trials("arithmetic", weights=[-1.0, 0.0, 2.0], context="a harbour", in_context="a harbour by {name}")
    assert len(found) == len({trial.asked for trial in found}) == 27 - 8
    own = next(trial for trial in found if trial.asked.terms == ((2.0, "a painting by Ada Morvek"),))
    assert own.setting == "concept +2, in context +0, context +0"
    assert Conditioning(terms=((2.0, "a harbour by Ada Morvek"), (-1.0, "a harbour"))) in [t.asked for t in found]
    assert all(weight for trial in found for weight, _ in trial.asked.terms)


def test_descriptions_and_prefixes_are_tried_where_there_are_any(tmp_path):
    assert [trial.asked for trial in trials("described", negatives=["none", "name"])] == [
        Conditioning(KNOWN.descriptions[0]),
        Conditioning(KNOWN.descriptions[0], "Ada Morvek"),
    ]
    assert trials("prefix") == []
    (tmp_path / "ada-morvek.safetensors").write_bytes(b"vectors")
    (subject,) = read_subjects([ADA], ["by {name}"], prefixes={"ada-morvek": f"{tmp_path}/ada-morvek.safetensors"})
    (trial,) = trials("prefix", subject)
    assert trial.asked.prompt == "by Ada Morvek" and trial.asked.prefix.endswith("ada-morvek.safetensors")
    assert trial.asked.label.startswith("by Ada Morvek [prefix ada-morvek ")


def test_a_plan_is_a_table_of_prompts_that_generation_reads(tmp_path):
    rows = [{"rank": i, "word": w, "pmi": 1.0} | dict.fromkeys(WORDS.names[4:], 1) for i, w in enumerate("cab", 1)]
    tables = [
        ("ada-morvek", pa.Table.from_pylist(rows, schema=WORDS.remove(0))),
        ("zoe-lund", WORDS.remove(0).empty_table()),
    ]
    write_concepts(tables, tmp_path / "words.parquet", WORDS)
    subjects = read_subjects([ADA, ZOE], ["a painting by {name}", "{name}"], tmp_path / "words.parquet")
    assert subjects[0].words == ("c", "a", "b")
    out, settings = tmp_path / "trials.parquet", PromptingSettings(top_words=[2], negatives=["none", "both"])
    remarks = plan_attacks(subjects, ["named", "indirect", "arithmetic"], settings, out)
    assert remarks == ["zoe-lund: indirect: not tried, no word goes with it often enough (`least_captions`)"]
    table = pq.read_table(out)
    assert table.schema.remove_metadata().equals(TRIALS)
    asked = read_prompts(out, ["ada-morvek", "zoe-lund"])
    assert [one.label for slug in asked for one in asked[slug]] == table.column("label").to_pylist()
    assert asked["ada-morvek"][:4] == [
        Conditioning("a painting by Ada Morvek"),
        Conditioning("Ada Morvek"),
        Conditioning("c, a"),
        Conditioning("c, a", "Ada Morvek, c, a, b"),
    ]
    with pytest.raises(
        DataError, match=r"zoe-lund: none of the attacks indirect can be tried .*; choose other attacks"
    ):
        plan_attacks(subjects, ["indirect"], settings, out)
    with pytest.raises(ConfigError, match="no attack is called 'indirct'; did you mean 'indirect'"):
        plan_attacks(subjects, ["indirct"], settings, out)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["zoe-lund\ta tower"], "no description of ada-morvek; add a row"),
        (
            ["ada-morvek\tstripes as Morvek's"],
            "line 2: the description of ada-morvek names it \\(morvek\\); describe it",
        ),
        (["ada-morvek\t"], "line 2: the description of ada-morvek is empty"),
        (
            ["ada-morvek\ta tower", "ada-morvek\ta tower"],
            "line 3: the description 'a tower' of ada-morvek is there twice",
        ),
    ],
)
def test_a_table_of_descriptions_is_checked_by_line(tmp_path, lines, said):
    (tmp_path / "said.tsv").write_text("\n".join(["concept\tdescription", *lines]) + "\n")
    with pytest.raises(DataError, match=said):
        read_descriptions(tmp_path / "said.tsv", [ADA])


# --- what attacks achieve -------------------------------------------------------------------------------------------


def scored(tmp_path, of):
    """Write trials and scores of Ada; `of` is {(attack, setting): {label: scores of pictures}}. Return their paths."""
    rows = [
        {"attack": attack, "setting": setting, "label": label} | dict.fromkeys(TRIALS.names[4:], "")
        for (attack, setting), labels in of.items()
        for label in labels
    ]
    write_concepts(
        [("ada-morvek", pa.Table.from_pylist(rows, schema=TRIALS.remove(0)))], tmp_path / "trials.parquet", TRIALS
    )
    of_prompts = [
        {"prompt": label, "image_scores": scores} for labels in of.values() for label, scores in labels.items()
    ]
    table = pa.Table.from_pylist(of_prompts, schema=OF_PROMPT.remove(0))
    write_concepts([("ada-morvek", table)], tmp_path / "scores.parquet", OF_PROMPT)
    return tmp_path / "trials.parquet", [tmp_path / "scores.parquet"]


def base_of(counts=(1, 3, 10, 30, 100, 300), resamples=200, rise=True):
    """A base whose score is 0.1 for each factor of three: 0.0 at 1 image, 0.5 at 300. The second of it is Ada."""
    counts = np.array(counts, float)
    slugs = ["ada-morvek" if i == 1 else f"other-{i}" for i in range(len(counts))]
    levels = np.arange(len(counts)) / 10 if rise else np.arange(len(counts))[::-1] / 10
    images = [[[level - 0.01, level + 0.01]] for level in levels]
    return fit_base("plain", sort_scores(slugs, counts, levels, images=images), resamples, 1)


def tabulated(places, attacks, resamples=200, seed=1, base=None):
    return tabulate_attacks(*places, attacks, "defended", base or base_of(resamples=resamples), resamples, seed)


def test_a_setting_scores_the_mean_over_its_prompts_and_an_attack_as_its_best_setting_does(tmp_path):
    places = scored(
        tmp_path,
        {
            ("named", "own"): {"a": [0.8, 0.9], "b": [0.5]},
            ("indirect", "1"): {"c": [0.1, 0.1, 0.1, 0.1]},
            ("indirect", "2"): {"d": [0.3, 0.5, 0.3, 0.5]},
        },
    )
    settings, attacks = tabulated(places, ["named", "indirect", "prefix"])
    assert settings["score"].to_list() == pytest.approx([(0.85 + 0.5) / 2, 0.1, 0.4])
    assert settings["images"].to_list() == [3, 4, 4]
    rows = {row["attack"]: row for row in attacks.to_dicts()}
    assert rows["named"]["score"] == pytest.approx(0.675) and rows["named"]["low"] <= 0.675 <= rows["named"]["high"]
    assert rows["indirect"]["best_setting"] == "2" and rows["indirect"]["score"] == pytest.approx(0.4)
    assert (rows["prefix"]["score"], rows["prefix"]["settings"]) == (None, 0)
    assert rows["prefix"]["reason"] == "not tried: the log of plan_attacks says why"
    write_tables(settings, attacks, tmp_path / "settings.parquet", tmp_path / "attacks.parquet")
    assert pl.read_parquet(tmp_path / "attacks.parquet").equals(attacks)
    lines = Path(tmp_path, "attacks.tsv").read_text().splitlines()
    assert lines[0].split("\t") == attacks.drop("drawn").columns and len(lines) == 5
    again, _ = tabulated(places, ["named", "indirect", "prefix"])
    assert again.equals(settings)


def test_the_best_of_many_settings_is_not_the_luckiest_of_them():
    """Forty settings that are alike: the highest mean is far above them, the score of the best is not."""
    rng = np.random.default_rng(3)
    highest, scores, covered = [], [], 0
    for _ in range(40):
        settings = [[rng.normal(0.2, 0.1, 8)] for _ in range(40)]
        best = best_of(settings, 100, rng)
        highest.append(max(one[0].mean() for one in settings))
        scores.append(best.score)
        covered += best.low <= 0.2 <= best.high
    assert np.mean(highest) > 0.25
    assert abs(np.mean(scores) - 0.2) < 0.02
    assert covered >= 30
    # By hand: halves are every second picture; each chooses, the other scores.
    two = [[np.array([1.0, 0.0, 1.0, 0.0])], [np.array([0.4, 0.5, 0.4, 0.5])]]
    assert best_of(two, 10, rng).score == pytest.approx((0.0 + 0.4) / 2)


def test_an_attack_is_read_in_images_on_the_base_s_curve(tmp_path):
    places = scored(
        tmp_path,
        {
            ("named", "own"): {"a": [-0.2, -0.2], "b": [-0.2, -0.2]},
            ("indirect", "1"): {"c": [0.3, 0.3, 0.3, 0.3]},
            ("arithmetic", "1"): {"d": [0.9, 0.9, 0.9, 0.9]},
        },
    )
    _, attacks = tabulated(places, ["named", "indirect", "arithmetic"])
    assert attacks["model"].unique().to_list() == ["defended"] and attacks["base"].unique().to_list() == ["plain"]
    assert attacks["effective_count"].unique().to_list() == [3]
    rows = {row["attack"]: row for row in attacks.to_dicts()}
    assert rows["named"]["count"] == -np.inf and rows["named"]["said"].startswith("below the smallest count (1 image)")
    assert rows["indirect"]["count"] == pytest.approx(30) and rows["indirect"]["said"].startswith("30 images")
    assert rows["indirect"]["count_low"] <= 30 <= rows["indirect"]["count_high"]
    assert rows["arithmetic"]["count"] == np.inf
    # The best of all attacks is the best of them here, as each half chooses it.
    assert rows[ANY]["count"] == np.inf and rows[ANY]["best_setting"] == "arithmetic: 1"
    assert rows[ANY]["score"] == pytest.approx(0.9) and rows[ANY]["settings"] == 3
    write_tables(*tabulated(places, ["named", "indirect"]), tmp_path / "settings.parquet", tmp_path / "attacks.parquet")
    said = (tmp_path / "attacks.tsv").read_text()
    assert "below" in said and "inf" not in said and "drawn" not in said


def test_a_base_that_cannot_be_read_is_told(tmp_path):
    few, flat = base_of((1, 3)), base_of(rise=False)
    assert few.remarks[0].startswith("2 different counts")
    assert "its curve is flat" in flat.remarks[0] and not base_of().remarks
    assert few.back is None and flat.back is None  # what means nothing is not read
    _, attacks = tabulated(scored(tmp_path, {("named", "own"): {"a": [0.1, 0.2]}}), ["named"], base=few)
    assert attacks["count"].to_list() == [None] and attacks["score"].to_list() == pytest.approx([0.15])
    assert attacks["said"].to_list()[0].startswith("score 0.15, not read as a count: 2 different counts")


def test_a_setting_with_a_prompt_of_one_picture_is_passed_over(tmp_path):
    of = {("indirect", "1"): {"c": [0.9]}, ("indirect", "2"): {"d": [0.2, 0.2]}, ("indirect", "3"): {"e": [0.1, 0.1]}}
    settings, attacks = tabulated(scored(tmp_path, of), ["indirect"])
    assert attacks["score"].to_list() == pytest.approx([0.2]) and attacks["reason"].to_list() == [None]
    assert settings["low"].null_count() == 1 and settings["score"].to_list() == pytest.approx([0.9, 0.2, 0.1])


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ([0.1, float("nan")], "a picture of the prompt a has no score"),
        ([0.1, None], "a picture of the prompt a has no"),
    ],
)
def test_a_picture_without_a_score_is_named(tmp_path, scores, said):
    with pytest.raises(DataError, match=said):
        tabulated(scored(tmp_path, {("named", "own"): {"a": scores}}), ["named"])


def test_trials_that_are_there_twice_and_a_base_of_other_concepts_are_refused(tmp_path):
    trials, scores = scored(tmp_path, {("named", "own"): {"a": [0.1, 0.2]}})
    others = sort_scores([f"o-{i}" for i in range(6)], range(6), np.arange(6) / 10)
    with pytest.raises(DataError, match=r"the base plain has none of its concepts \(ada-morvek\)"):
        tabulated((trials, scores), ["named"], base=fit_base("plain", others, 200, 1))
    table = pq.read_table(trials)
    write_concepts([("ada-morvek", pa.concat_tables([table, table]).drop_columns("concept"))], trials, TRIALS)
    with pytest.raises(DataError, match=r"the prompt a is there twice; keep one"):
        tabulated((trials, scores), ["named"])


def test_tables_that_cannot_be_compared_are_refused(tmp_path):
    of = {("named", "own"): {"a": [0.1, 0.2]}, ("indirect", "1"): {"c": [0.3, 0.3]}}
    settings, attacks = tabulated(scored(tmp_path, of), ["named", "indirect"])
    changed = {
        "no row": attacks.clear(),
        "is not a number": attacks.with_columns(score=pl.lit(np.nan)),
        "a row lacks its model": attacks.with_columns(model=pl.lit(None, pl.String)),
        "two rows of one concept and attack": pl.concat([attacks, attacks]),
    }
    for number, (said, frame) in enumerate(changed.items()):
        write_tables(settings, frame, tmp_path / "s.parquet", tmp_path / f"{number}.parquet")
        with pytest.raises(DataError, match=said):
            read_attacks([tmp_path / f"{number}.parquet"])
    other = attacks.with_columns(model=pl.lit("other"))
    whole = {
        "which are other scales each": other.with_columns(base=pl.lit("sd1.5")),
        "of different numbers of resamples": other.with_columns(pl.col("drawn").list.head(5)),
    }
    write_tables(settings, attacks, tmp_path / "s.parquet", tmp_path / "own.parquet")
    for said, frame in whole.items():
        write_tables(settings, frame, tmp_path / "s.parquet", tmp_path / "other.parquet")
        with pytest.raises(DataError, match=said):
            read_attacks([tmp_path / "own.parquet", tmp_path / "other.parquet"])


def test_models_are_compared_attack_by_attack(tmp_path):
    """The gain of an attack is over the same model's own prompts, and its mean is over concepts."""
    tables = []
    for model, named, best in (("plain", 0.4, 0.5), ("defended", -0.1, 0.3)):
        of = {("named", "own"): {"a": [named, named]}, ("indirect", "1"): {"c": [best, best]}}
        (tmp_path / model).mkdir()
        places = scored(tmp_path / model, of)
        settings, attacks = tabulate_attacks(*places, ["named", "indirect"], model, base_of(), 200, 1)
        other = attacks.with_columns(pl.lit("zoe-lund").alias("concept"), pl.col("score") + 0.1)
        other = other.with_columns(pl.col("drawn").list.eval(pl.element() + 0.1))
        tables.append(tmp_path / model / "attacks.parquet")
        write_tables(settings, pl.concat([attacks, other]), tmp_path / model / "settings.parquet", tables[-1])
    compared = compare_attacks(read_attacks(tables))
    rows = {(row["model"], row["concept"], row["attack"]): row for row in compared.to_dicts()}
    assert rows["defended", "ada-morvek", "indirect"]["gain"] == pytest.approx(0.4)
    assert rows["plain", ALL, "indirect"]["gain"] == pytest.approx(0.1)
    assert rows["plain", ALL, "indirect"]["score"] == pytest.approx(0.55)
    assert rows["defended", ALL, "named"]["gain"] is None and rows["defended", ALL, "named"]["count"] is None
    assert rows["defended", ALL, "indirect"]["gain_low"] == pytest.approx(0.4)
    assert next(model for model, *_ in rows) == "plain"
    with pytest.raises(DataError, match="are both of the model 'plain'"):
        read_attacks([tables[0], tables[0]])
    main(["attacks", "compare", "--tables", *map(str, tables), "--out", str(tmp_path / "all.parquet")])
    assert pl.read_parquet(tmp_path / "all.parquet").equals(compared)
    main(["attacks", "plot", "--table", str(tmp_path / "all.parquet"), "--out", str(tmp_path / "all.png")])
    assert (tmp_path / "all.png").read_bytes().startswith(b"\x89PNG")


def test_scores_that_are_lacking_are_told(tmp_path):
    places = scored(
        tmp_path, {("indirect", "1"): {"c": [0.1]}, ("indirect", "2"): {"d": [0.2]}, ("named", "own"): {"e": []}}
    )
    _, attacks = tabulated(places, ["indirect", "named"], 10)
    assert attacks["score"].to_list() == [None, None]
    assert attacks["reason"].to_list() == [
        "each setting has a prompt with one usable picture: raise images_per_prompt",
        "no picture could be used",
    ]
    trials, _ = scored(tmp_path, {("indirect", "1"): {"other": [0.1]}})
    (tmp_path / "again").mkdir()
    _, scores = scored(tmp_path / "again", {("indirect", "1"): {"c": [0.1]}})
    with pytest.raises(DataError, match="no score of the prompt other: its pictures are of another table"):
        tabulated((trials, scores), ["indirect"], 10)
