import copy
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fit.cli.flags import read_settings
from fit.cli.main import make_parser
from fit.config.attacks import with_attacks
from fit.config.parts import (
    concepts_to_collect,
    concepts_to_embed,
    concepts_to_generate,
    files_to_count,
    joined,
    shared_out,
)
from fit.config.read import check, check_files, load
from fit.config.schema import config_schema
from fit.config.stages import STAGES, stage_settings, versions
from fit.embeddings.settings import FaceSettings
from fit.errors import ConfigError

ROOT = Path(__file__).parents[2]
JOB = {
    "study": "atelier",
    "domain": "painters",
    "corpus": "atelier",
    "model": "atelier",
    "embedder": "atelier-style",
    "part": "00000",
    "world": "101",
    "changes": "usual",
    "deal": "0",
    "training": "1",
    "objective": "contrastive",
    "scorer_seed": "11",
}
"""Wildcards of a job of the built-in study and of the truth experiment, all that there are."""


OTHER_MODELS = {
    "measure_truth": "truth-101-usual-0-1",
    "erase_concepts": "atelier-esd",
    "measure_defence": "atelier-esd",
    "plot_defence": "atelier-esd",
}
"""Stage -> the model of a job, where it is not the built-in study's."""


def job(stage):
    """Wildcards of a job of `stage`."""
    return JOB | ({"model": OTHER_MODELS[stage]} if stage in OTHER_MODELS else {})


def with_every_stage(data):
    """The configuration with what the project's own leaves out: attacks."""
    attacks = {"models": ["atelier-esd"], "domain": "painters", "concepts": ["sander-belberg"]}
    return data | {"attacks": attacks}


@pytest.fixture
def data():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def test_the_projects_configuration_is_valid():
    config = load(ROOT / "config.yaml")
    assert config.pairs("atelier") == [("atelier", "painters")]
    assert len(config.pairs("paper")) == 12


def broken(data, path, value):
    data = copy.deepcopy(data)
    inside = data
    *parents, last = path.split("/")
    for key in parents:
        inside = inside[key]
    if value is None:
        del inside[last]
    else:
        inside[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("treshold", {}, ["`treshold`", "did you mean `threshold`?"]),
        ("models/atelier/stepps", 3, ["`models.atelier.stepps`", "did you mean `steps`?"]),
        ("domains/painters/art_filter/text", ["x"], ["`domains.painters.art_filter.text`", "did you mean `texts`?"]),
        ("corpora/atelier/captions/zebra", 1, ["`corpora.atelier.captions.zebra`", "known here: ", "files"]),
        ("models/atelier/steps", "many", ["`models.atelier.steps`", "'many'"]),
        ("threshold/estimators", ["pelt", "pelt"], ["`threshold.estimators`", "name each once"]),
        ("threshold/estimators", ["guess"], ["`threshold.estimators", "'guess'"]),
        ("threshold/estimators", ["single"], ["`threshold.estimators`", "`one_change`"]),
        ("domains/painters/same_concept_cut", 0.5, ["`domains.painters.same_concept_cut` is now", "`match_threshold`"]),
        ("domains/painters/art_filter/cut", 0.5, ["`domains.painters.art_filter.cut` is now", "`threshold`"]),
        (
            "corpora/atelier/captions/max_hits",
            5,
            ["`corpora.atelier.captions.max_hits` is now", "`max_matched_captions`"],
        ),
        ("models/atelier/steps", 0, ["`models.atelier.steps`", "greater than or equal to 1"]),
        ("models", None, ["`models` is missing"]),
        ("default_study", None, ["`default_study` is missing", "atelier, paper"]),
        ("studies/atelier/domains", ["sculptors"], ["`studies.atelier.domains`", "'sculptors'", "painters"]),
        ("models/atelier/before", "base", ["`models.atelier.before`", "'base'", "sd1.1"]),
        ("models/atelier/before", "atelier", ["`models.atelier.before`", "not its own base"]),
        ("models/atelier/before", "sd1.1", ["`models.atelier.before`", "'laion2b_en'", "`corpus: atelier`"]),
        ("models/atelier/corpus", "laion", ["`models.atelier.corpus`", "'laion'", "laion2b_en"]),
        ("domains/painters/prompts", ["by {name}", "by {name}"], ["`domains.painters.prompts`", "twice"]),
        ("domains/painters/embedder", "dscs", ["`domains.painters.embedder`", "'dscs'"]),
        ("default_study", "nothing", ["`default_study`", "'nothing'"]),
        ("corpora/laion5b/counts_from", "laion5b", ["`corpora.laion5b.counts_from`", "scaled themselves"]),
        (
            "corpora/laion2b_en",
            {"provided_counts": "counts.csv"},
            ["`corpora.laion5b.counts_from`", "without captions"],
        ),
        ("corpora/laion5b/images", "http", ["`corpora.laion5b`", "either `images` or `counts_from`"]),
        (
            "domains/painters/references",
            {"keep": 5},
            ["`domains.painters.references`", "`table`, `folder`, `serpapi`, `wikiart`"],
        ),
        ("domains/painters/prompts", ["a painting"], ["`domains.painters.prompts`", "{name}"]),
        ("domains/painters/prompts", ["{name} {x}"], ["`domains.painters.prompts`", "{name}"]),
        ("domains/painters/match_threshold", "middle", ["`domains.painters.match_threshold"]),
        ("domains/painters/prompts", ["-{name}"], ["`domains.painters.prompts`", "begins with a dash"]),
        ("domains/painters/art_filter/texts", [], ["`domains.painters.art_filter.texts`", "at least 1"]),
        ("studies/atelier/models", ["atelier", "atelier"], ["`studies.atelier.models`", "name each once"]),
        ("corpora/atelier/captions/columns", ["url"], ["`corpora.atelier.captions`", "'url' is kept anyway"]),
        ("corpora/atelier/captions/columns", ["a", "a"], ["`corpora.atelier.captions`", "'a' is named twice"]),
        ("corpora/laion2b_en/captions/columns", ["row"], ["`corpora.laion2b_en.captions`", "'row' of their own"]),
    ],
)
def test_a_bad_key_is_named_with_a_remedy(data, path, value, said):
    with pytest.raises(ConfigError) as error:
        check(broken(data, path, value))
    for words in ["config.yaml", *said]:
        assert words in str(error.value)
    assert "__" not in str(error.value)


def test_a_model_and_a_corpus_may_have_the_name_of_a_domain(data):
    data["models"]["celebrities"] = data["models"]["atelier"] | {"corpus": "politicians"}
    data["corpora"]["politicians"] = data["corpora"]["atelier"]
    config = check(data)
    painters = config.partition_of("scores/atelier/painters").parts
    folders = ["scores/celebrities/painters", "matches/politicians/painters", "sensitivity/celebrities/painters"]
    folders += ["references/painters/candidates", "embeddings/csd/references/painters/candidates"]
    assert all(config.partition_of(folder).parts == painters for folder in folders)


def test_a_study_needs_what_its_base_models_need(data, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    data["models"]["sd1.5"]["before"] = "sd1.1"
    data["models"]["sd1.1"] |= {"before": "blank", "pipeline": "./weights/sd1.1"}
    data["models"]["blank"] = data["models"]["sd1.5"] | {"before": None, "pipeline": "./weights/blank"}
    data["studies"]["paper"] |= {"models": ["sd1.5"], "domains": ["celebrities"]}
    config = check(data)
    assert config.models_before("sd1.5") == ["sd1.1", "blank"] and config.models_before("blank") == []
    needed = [(model, "celebrities") for model in ("sd1.5", "sd1.1", "blank")]
    assert config.pairs("paper") == needed[:1] and config.pairs_with_bases("paper") == needed
    keys = [key for key, _ in config.missing("sd1.5", "celebrities")]
    assert {"models.sd1.1.pipeline", "models.blank.pipeline"} <= set(keys) and len(keys) == len(set(keys))
    data["models"]["blank"]["before"] = "sd1.5"
    with pytest.raises(ConfigError, match=r"leads back to 'blank'"):
        check(data)


def test_every_key_is_described():
    def models(schema):
        return [schema, *schema.get("$defs", {}).values()]

    bare = [
        f"{model.get('title')}.{name}"
        for model in models(config_schema())
        for name, field in model.get("properties", {}).items()
        if "description" not in field
    ]
    assert bare == []


def test_settings_are_builtins_in_sorted_order_with_a_version(data):
    config = check(with_every_stage(data))
    for stage in STAGES:
        settings = stage_settings(config, stage, **job(stage))
        assert list(settings) == sorted(settings)
        assert settings["version"] == versions()[stage] >= 1
        assert yaml.safe_load(yaml.safe_dump(settings)) == settings


def test_a_setting_reaches_only_the_stages_that_depend_on_it(data):
    data = with_every_stage(data)
    changed = broken(data, "threshold/penalty", 0.5)
    before, after = ({s: stage_settings(check(d), s, **job(s)) for s in STAGES} for d in (data, changed))
    stages = [stage for stage in STAGES if before[stage] != after[stage]]
    assert set(stages) == {"detect_threshold", "count_missed", "gather_study", "estimate_poisoning"}


def test_how_links_are_fetched_redoes_no_local_photographs(data):
    job = {"domain": "classical_artists"}
    before = stage_settings(check(data), "import_photographs", **job)
    patient = broken(data, "collection/total_timeout_s", 600)
    assert stage_settings(check(patient), "import_photographs", **job) == before
    assert stage_settings(check(broken(data, "collection/min_side", 9)), "import_photographs", **job) != before


@pytest.mark.slow
@given(st.lists(st.from_regex(r"[a-z0-9][a-z0-9-]{0,8}", fullmatch=True), unique=True), st.integers(1, 70))
def test_parts_share_out_every_concept_once_and_a_slug_is_a_part_too(slugs, size):
    partition = shared_out(slugs, size)
    assert sorted(slug for of_part in partition.parts.values() for slug in of_part) == sorted(slugs)
    assert all(list(of_part) == [slug for slug in slugs if slug in of_part] for of_part in partition.parts.values())
    for slug in slugs:
        assert partition.concepts(slug) == (slug,)
        (part,) = partition.holding([slug])
        assert slug in partition.concepts(part)
    assert set(partition.holding(slugs)) == set(partition.parts)
    with pytest.raises(KeyError):
        partition.concepts("part_999")


@pytest.mark.parametrize(
    ("concepts", "pictures", "size"),
    [
        (400, 1000, 2),  # the paper's: 200 jobs
        (200, 1000, 1),
        (44, 20, 50),  # few pictures: loading a model would take longer
        (44, 1, 64),
        (10_000, 1000, 5),  # a job ends in a day
        (400, 100_000, 1),
    ],
)
def test_how_many_concepts_a_job_generates(concepts, pictures, size):
    assert concepts_to_generate(concepts, pictures) == size


@pytest.mark.parametrize(
    ("concepts", "links", "size"),
    [(400, 100_000, 2), (44, 100_000, 1), (44, 100, 64), (44, 1000, 10), (44, 0, 1), (10_000, 100_000, 50)],
)
def test_how_many_concepts_a_job_collects(concepts, links, size):
    assert concepts_to_collect(concepts, links) == size


def test_how_many_concepts_a_job_embeds_and_files_it_counts():
    assert [concepts_to_embed(pictures) for pictures in (20, 1000, 100_000)] == [500, 10, 1]
    assert [files_to_count(files) for files in (0, 1, 32, 33, 128)] == [1, 1, 1, 2, 4]


@pytest.mark.parametrize("asked", ["auto", 3])
def test_a_job_embeds_whole_tables_of_generated_pictures(data, asked, tmp_path):
    sheet = tmp_path / "painters.tsv"
    sheet.write_text("concept\tname\n" + "".join(f"painter-{i}\tPainter {i}\n" for i in range(400)))
    data["domains"]["painters"] |= {"concepts": str(sheet), "concepts_per_job": asked}
    data["models"]["atelier"]["images_per_prompt"] = 200
    config = check(data)
    made, embedded = (config.partition_of(f"{of}generated/atelier/painters") for of in ("", "embeddings/csd/"))
    # As many as have 10,000 pictures; but a number that is asked for holds for all stages.
    assert len(embedded.parts) == (40 if asked == "auto" else len(made.parts))
    for part, concepts in embedded.parts.items():
        tables = config.embedded_parts("generated/atelier/painters", part)
        assert sorted(slug for table in tables for slug in made.parts[table]) == sorted(concepts)
    # A concept alone has a table of its own; other pictures are embedded table by table.
    for place, part in [("generated/atelier/painters", "painter-7"), ("images/atelier/painters", "part_003")]:
        assert config.embedded_parts(place, part) == [part]
    assert config.embedded_parts("photographs/painters", "all") == ["all"]


@pytest.mark.parametrize(("slugs", "size"), [(99, 25), (100, 25), (400, 2), (400, 64)])
def test_a_concept_more_leaves_most_parts_alone(slugs, size):
    of_study = [f"painter-{i}" for i in range(slugs)]
    before, after = (shared_out(of, size) for of in (of_study, [*of_study, "one-more"]))
    assert sorted(slug for of_part in before.parts.values() for slug in of_part) == sorted(of_study)
    moved = [slug for slug in of_study if before.holding([slug]) != after.holding([slug])]
    # A part more takes concepts out of others, and gives them none.
    assert len(moved) <= 2 * size
    assert {part for slug in moved for part in after.holding([slug])} <= after.parts.keys() - before.parts.keys()
    # So do parts that are joined to larger ones.
    before, after = joined(before, of_study, 4 * size), joined(after, [*of_study, "one-more"], 4 * size)
    stay = [slug for slug in of_study if before.holding([slug]) == after.holding([slug])]
    assert len(stay) >= slugs - 10 * size


def test_a_file_that_is_no_yaml(tmp_path):
    (tmp_path / "config.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match="not YAML"):
        load(tmp_path / "config.yaml")
    (tmp_path / "config.yaml").write_text("")
    with pytest.raises(ConfigError, match="no keys"):
        load(tmp_path / "config.yaml")
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "none.yaml")


def test_a_file_laid_over_another_adds_and_replaces_key_by_key(data, tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(data))
    mine = {
        "seed": 7,
        "domains": {"painters": {"concepts_per_job": 3}},
        "studies": {"mine": data["studies"]["atelier"]},
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(mine))
    config = load(tmp_path / "config.yaml", tmp_path / "mine.yaml")
    assert config.seed == 7
    assert config.domains["painters"].concepts_per_job == 3
    assert config.domains["painters"].prompts == data["domains"]["painters"]["prompts"]
    assert set(config.studies) == {"atelier", "paper", "mine"}
    (tmp_path / "mine.yaml").write_text("sed: 7\n")
    with pytest.raises(ConfigError, match=f"^{re.escape(str(tmp_path / 'mine.yaml'))}: `sed`"):
        load(tmp_path / "config.yaml", tmp_path / "mine.yaml")


def test_a_domain_has_no_dot_as_files_beside_its_own_have(data):
    data["domains"]["painters.art"] = data["domains"]["painters"]
    with pytest.raises(ConfigError, match=r"painters\.art"):
        check(data)


def test_images_behind_links_do_not_wait_for_the_caption_files(data):
    # A corpus has hundreds of them, and a plan a job per concept.
    config = check(data)
    assert stage_settings(config, "collect_images", corpus="laion2b_en", domain="celebrities")["files"] == []
    assert stage_settings(config, "collect_images", corpus="atelier", domain="painters")["files"]


def test_embedding_depends_on_what_changes_vectors_and_on_nothing_of_the_machine(data):
    job = {"embedder": "facenet"}
    before = stage_settings(check(data), "embed_images", **job)
    data["embedders"]["facenet"] |= {"threads": 9, "gpus": 0, "batch_size": 3, "download": False}
    assert stage_settings(check(data), "embed_images", **job) == before
    data["embedders"]["facenet"] |= {"detection_side": 640, "dtype": "bfloat16", "pixel_mean": 0.0}
    changed = stage_settings(check(data), "embed_images", **job)
    assert set(changed["flags"]) - set(before["flags"]) == {
        "--detection-side=640",
        "--dtype=bfloat16",
        "--pixel-mean=0.0",
    }


def test_a_number_for_each_channel_reaches_the_command(data):
    data["embedders"]["facenet"] |= {"pixel_mean": [123.7, 116.3, 103.5], "pixel_std": 58}
    config = check(data)
    assert config.embedders["facenet"].pixel_mean == (123.7, 116.3, 103.5)
    flags = stage_settings(config, "embed_images", embedder="facenet")["flags"]
    at = flags.index("--pixel-mean")
    assert flags[at : at + 4] == ["--pixel-mean", "123.7", "116.3", "103.5"] and "--pixel-std=58.0" in flags
    args = make_parser("embeddings").parse_args(
        ["embeddings", "images", "--images", "t", "--out", "e", *flags, "--threads", "1"]
    )
    faces = read_settings(FaceSettings, args)
    assert faces.pixel_mean == (123.7, 116.3, 103.5) and faces.pixel_std == (58.0,)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pixel_mean", [1, 2]),
        ("pixel_mean", [1, True, 3]),
        ("pixel_std", [1, 2, 0]),
        ("upsample", 9),
        ("detector", "x"),
    ],
)
def test_wrong_settings_of_faces_are_named(data, key, value):
    data["embedders"]["facenet"] |= {key: value}
    with pytest.raises(ConfigError, match=f"embedders.facenet.{key}"):
        check(data)


def test_a_file_of_weights_is_an_input_once_it_is_there(data, tmp_path):
    weights = tmp_path / "glintr100.onnx"
    data["embedders"]["faces"] = {"backend": "arcface", "model": str(weights)}
    assert check(data).folder_of("embedder", "faces") is None
    weights.touch()
    assert check(data).folder_of("embedder", "faces") == str(weights)
    assert check(data).folder_of("embedder", "atelier-style") == "results/atelier/style-encoder"
    assert check(data).folder_of("embedder", "facenet") is None


def test_a_figure_says_which_score_it_shows(data):
    job = {"model": "atelier", "domain": "painters"}
    assert stage_settings(check(data), "plot_threshold", **job)["score"] == "imitation score"
    assert stage_settings(check(data), "plot_threshold", **job, kind="clip")["score"] == "clip"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: 1\nstudies: {}\nseed: 2\n", r"mine.yaml, line 3: the key `seed` is in line 1 too"),
        ("studies:\n  a: {}\n  b: {}\n  a: {}\n", r"mine.yaml, line 4: the key `a` is in line 2 too"),
        ("list:\n- {a: 1,\n   a: 2}\n", r"mine.yaml, line 3: the key `a` is in line 2 too"),
        ('{\n\t"seed": 1,\n\t"seed": 2\n}', r"mine.yaml, line 3: the key `seed` is in line 2 too"),
        ("a: [\n", r"mine.yaml, line 2: not YAML: .*expected"),
        ("a: 1\n\tb: 2\n", r"mine.yaml, line 2: not YAML"),
        ("", "mine.yaml: no keys in it: it is empty"),
        ("- a\n", "mine.yaml: no keys in it: it holds a list"),
        ("word\n", "mine.yaml: no keys in it: it holds a single value"),
        (None, "mine.yaml: there is no such file"),
        ("seed: caf\udce9\n", "mine.yaml: byte 9 is not UTF-8"),
    ],
)
def test_a_second_file_that_is_no_configuration_is_named_with_its_line(tmp_path, text, said):
    path = tmp_path / "mine.yaml"
    if text is not None:
        path.write_text(text, "utf-8", "surrogateescape")
    with pytest.raises(ConfigError, match=said) as error:
        load(ROOT / "config.yaml", path)
    assert "unicode string" not in str(error.value)


def test_keys_that_are_merged_in_may_be_set_beside(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: &b\n  <<: *a\n  x: 3\nc:\n  <<: *b\n  x: 4\n")
    check_files([path])


def test_a_value_of_the_command_line_is_not_blamed_on_a_file():
    data = yaml.safe_load((ROOT / "config.yaml").read_text()) | {"seed": "abc"}
    with pytest.raises(ConfigError, match=r"^--config: `seed`"):
        check(data, files=[ROOT / "config.yaml"] * 2, command_line={"seed": "abc"})


def test_an_embedder_that_may_look_for_faces_makes_a_domain_one_of_people(data):
    config = check(data)
    assert [d for d in config.domains if config.is_of_people(d)] == ["celebrities", "politicians"]
    # One of another package is not known, so it counts as one of faces; the key says otherwise.
    elsewhere = check(broken(data, "embedders/csd/backend", "elsewhere"))
    assert elsewhere.is_of_people("classical_artists")
    assert not check(broken(data, "domains/celebrities/of_people", False)).is_of_people("celebrities")


@pytest.mark.parametrize(("pictures", "shown"), [("all", 2), ("without_people", 1), ("none", 0)])
def test_the_page_gets_only_the_pictures_that_it_may_show(data, pictures, shown):
    data["explorer"]["pictures"] = pictures
    data["domains"]["people"] = data["domains"]["painters"] | {"of_people": True}
    data["studies"]["atelier"]["domains"] = ["painters", "people"]
    folders = stage_settings(check(data), "build_explorer", study="atelier")["folders"]
    assert folders == [f"results/explorer/pictures/atelier/{d}" for d in ("painters", "people")][:shown]
    told = stage_settings(check(data), "gather_study", study="atelier")
    assert told["people"] == ["people"] and f"--pictures={pictures}" in told["flags"]


@pytest.mark.parametrize("section", ["atelier", "truth"])
def test_a_built_in_world_with_its_counts_reversed_is_named(section):
    found = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    found[section] |= {"smallest_count": 50, "largest_count": 49}
    with pytest.raises(ConfigError, match=rf"`{section}.smallest_count` is 50, above `{section}.largest_count`, 49"):
        check(found)


def test_a_derived_model_is_searched_for_copies_and_attacked_as_it_is_changed(data):
    config = with_attacks(check(with_every_stage(data)))
    changed = "results/defences/erased/atelier-esd"
    for stage in ("generate_copies", "measure_guidance", "find_prefix", "generate_images"):
        of_base = stage_settings(config, stage, **JOB)["flags"]
        derived = stage_settings(config, stage, **JOB | {"model": "atelier-esd"})["flags"]
        assert any(changed in flag for flag in derived) and not any(changed in flag for flag in of_base), stage
